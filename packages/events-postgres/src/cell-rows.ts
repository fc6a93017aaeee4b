/** Cells are rows that are replaced and removed: a few in a flush, in its transaction. Keys are bytes, and so is their order. */
import type { Bytes } from '@synod/codec'
import type { Cell } from '@synod/events'
import type { ClientBase } from 'pg'

/** Of one statement; a flush with more takes more statements. A larger value goes alone. */
const statementCellsMax = 1024
const statementBytesMax = 1024 * 1024

/** Inside the transaction of a flush. */
export async function writeCells(client: ClientBase, schema: string, cells: readonly Cell[]): Promise<void> {
  const removed = cells.flatMap(({ key, value }) => (value === null ? [Buffer.from(key)] : []))
  for (let from = 0; from < removed.length; from += statementCellsMax)
    await client.query(`delete from ${schema}.cells where key = any($1::bytea[])`, [removed.slice(from, from + statementCellsMax)])
  for (const { keys, values } of statements(cells))
    await client.query(
      `insert into ${schema}.cells (key, value) select * from unnest($1::bytea[], $2::bytea[])
        on conflict (key) do update set value = excluded.value`,
      [keys, values],
    )
}

/** Those that are set. */
function* statements(cells: readonly Cell[]): Iterable<{ readonly keys: readonly Buffer[]; readonly values: readonly Bytes[] }> {
  let [keys, values, bytes]: [Buffer[], Bytes[], number] = [[], [], 0]
  for (const { key, value } of cells) {
    if (value === null) continue
    if (keys.length === statementCellsMax || (keys.length > 0 && bytes + value.length > statementBytesMax)) {
      yield { keys, values }
      ;[keys, values, bytes] = [[], [], 0]
    }
    keys.push(Buffer.from(key))
    values.push(Buffer.from(value))
    bytes += value.length
  }
  if (keys.length > 0) yield { keys, values }
}

/** What is above every key that begins with the prefix, and below all others that are above it. */
export function endOfPrefix(prefix: string): Buffer {
  const end = Buffer.from(prefix)
  // No byte of UTF-8 is 255: the last one can be counted up, and 255 alone is above all.
  if (end.length === 0) return Buffer.of(255)
  end[end.length - 1]!++
  return end
}
