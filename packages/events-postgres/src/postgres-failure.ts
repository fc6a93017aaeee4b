import { ReadSideError } from '@synod/events'
import pg from 'pg'

/** SQLSTATEs that may be gone at the next try: cut connections, servers that stop or start, cancellations, conflicts, too little of something. */
const passing = /^(08...|57...|40...|53200|53300|53400|55P03|25P0[345])$/

/** An error that the server did not send is a lost connection or a time-out of ours, unless it is a bug. */
export function isPassing(error: unknown): boolean {
  if (error instanceof ReadSideError || error instanceof TypeError || error instanceof RangeError) return false
  return error instanceof pg.DatabaseError ? passing.test(error.code ?? '') : true
}

export function readSideErrorOf(error: unknown): ReadSideError {
  if (error instanceof ReadSideError) return error
  const cause = error instanceof Error ? error : new Error(String(error))
  const code = error instanceof pg.DatabaseError ? (error.code ?? '') : ''
  const said = `${cause.message}${code === '' ? '' : ` (SQLSTATE ${code})`}`
  if (code === 'XX001' || code === 'XX002')
    return new ReadSideError(
      'damaged',
      `Postgres found its own data damaged: drop the read side's schema: it is built again from the log, as long as nothing of that was reclaimed (docs/reclaiming.md): ${said}`,
      { cause },
    )
  return new ReadSideError(
    'unavailable',
    `the read side's Postgres cannot be used: see that it runs, is reachable and has space, then start this node again: ${said}`,
    { cause },
  )
}
