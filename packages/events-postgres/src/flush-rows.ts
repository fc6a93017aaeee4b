import type { Flush } from '@synod/events'
import { CopyBuffer } from './copy-buffer.ts'

export interface TableRows {
  /** The table and its columns, as COPY wants them. */
  readonly table: string
  readonly rows: CopyBuffer
}

/** A flush as rows, without the empty tables. */
export function flushRows(flush: Flush): readonly TableRows[] {
  const tables = [
    { table: 'streams (number, name)', rows: streams(flush) },
    { table: 'events (revision, position, slot, stream, start, length)', rows: events(flush) },
    { table: 'slots (slot, first_position, count, index)', rows: slots(flush) },
    { table: 'keys (sequence, principal, key, digest, answer)', rows: keys(flush) },
  ]
  return tables.filter(({ rows }) => rows.rows > 0)
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

function events({ slots: flushed, from, to }: Flush): CopyBuffer {
  const rows = new CopyBuffer((to.position - from.position) * 62)
  for (const { slot, firstPosition, count, streamNumbers, revisions, offsets, lengths } of flushed) {
    for (let event = 0; event < count; event++) {
      rows.row(6)
      rows.bigint(revisions[event] ?? 0)
      rows.bigint(firstPosition + event)
      rows.bigint(slot)
      rows.integer(streamNumbers[event] ?? 0)
      rows.integer(offsets[event] ?? 0)
      rows.integer(lengths[event] ?? 0)
    }
  }
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
