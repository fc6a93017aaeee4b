import type { Flush } from '@synod/events'
import { CopyBuffer } from './copy-buffer.ts'
import { postingRows } from './posting-rows.ts'
import { runBytes, runRows } from './runs.ts'

export interface TableRows {
  /** The table and its columns, as COPY wants them. */
  readonly table: string
  readonly rows: CopyBuffer
}

/**
 * A flush as rows; a table may have none. Each is made when it is asked for, and what can be very much comes in several:
 * so neither the work of one turn, nor a statement, nor what is held in memory grows with the flush.
 */
export function* flushRows(flush: Flush): Iterable<TableRows> {
  yield { table: 'streams (number, name)', rows: streams(flush) }
  yield { table: 'runs (stream, count, revision, places)', rows: runs(flush) }
  yield { table: 'slots (slot, first_position, count, index)', rows: slots(flush) }
  yield { table: 'keys (sequence, principal, key, digest, answer)', rows: keys(flush) }
  for (const rows of postingRows(flush.postings)) yield { table: 'postings (last, first, count, term, positions)', rows }
}

function streams({ streams: names }: Flush): CopyBuffer {
  const rows = new CopyBuffer(names.length * 48)
  for (const { number, name } of names) {
    rows.row(2)
    rows.integer(number)
    rows.text(name)
  }
  return rows
}

function runs(flush: Flush): CopyBuffer {
  const rows = new CopyBuffer(runBytes(flush))
  runRows(flush, rows)
  return rows
}

function slots({ slots: flushed }: Flush): CopyBuffer {
  const rows = new CopyBuffer(flushed.reduce((sum, { index }) => sum + 38 + index.length, 0))
  for (const { slot, firstPosition, count, index } of flushed) {
    rows.row(4)
    rows.bigint(slot)
    if (count === 0) rows.null()
    else rows.bigint(firstPosition)
    rows.integer(count)
    rows.bytes(index)
  }
  return rows
}

function keys({ keys: known }: Flush): CopyBuffer {
  const rows = new CopyBuffer(known.length * 96)
  for (const { sequence, principal, key, digest, answer } of known) {
    rows.row(5)
    rows.bigint(sequence)
    rows.text(principal)
    rows.text(key)
    rows.bytes(digest)
    rows.bytes(answer)
  }
  return rows
}
