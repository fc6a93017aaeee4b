import { ReadSideError, type ReadSideMark } from '@synod/events'
import type { ClientBase } from 'pg'

/** The one row that is updated: who owns the read side, and how far it is. */
export interface OwnedMark {
  readonly boot: number
  readonly mark: ReadSideMark
}

interface MarkColumns {
  readonly boot: string
  readonly slot: string
  readonly position: string
  readonly streams: string
}

export const markColumns = 'boot, slot, position, streams'

export function markOf(row: MarkColumns | undefined): OwnedMark {
  if (row === undefined)
    throw new ReadSideError(
      'damaged',
      'the read side has lost its mark: drop its schema: it is built again from the log, as long as nothing of that was reclaimed (docs/reclaiming.md)',
    )
  const { boot, slot, position, streams } = row
  return { boot: Number(boot), mark: { slot: Number(slot), position: Number(position), streams: Number(streams) } }
}

export function isSameMark(left: ReadSideMark, right: ReadSideMark): boolean {
  return left.slot === right.slot && left.position === right.position && left.streams === right.streams
}

/**
 * Flushes are not synced, so a crash of Postgres may lose the last of them, while this process lives on and believes
 * them done. Every new connection therefore looks at the mark first. Throws a ReadSideError `fenced`.
 */
export async function checkMark(client: ClientBase, schema: string, expected: OwnedMark): Promise<void> {
  const { rows } = await client.query<MarkColumns>(`select ${markColumns} from ${schema}.mark`)
  const { boot, mark } = markOf(rows[0])
  if (boot === expected.boot && mark.slot >= expected.mark.slot) return
  throw fenced(schema, { boot, mark }, expected)
}

export function fenced(schema: string, found: OwnedMark, expected: OwnedMark): ReadSideError {
  const why =
    found.boot === expected.boot
      ? `stands at slot ${found.mark.slot} and was left at ${expected.mark.slot}: Postgres has lost what it had not synced`
      : `was opened by another process`
  return new ReadSideError(
    'fenced',
    `the read side in schema ${schema} ${why}; start this node again, and let no other node use this database`,
  )
}
