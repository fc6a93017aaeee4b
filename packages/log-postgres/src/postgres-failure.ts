import { StoreError } from '@synod/log'
import pg from 'pg'

/**
 * Failures that say nothing about the statement itself and may be gone at the next try: connections that are cut (08), servers
 * that stop or start (57P0x), cancellations (57014), conflicts (40), too many connections (53300), too little memory (53200),
 * lock and idle time-outs. An error that the server did not send is a lost connection or a time-out of ours, unless it is a bug.
 */
const passing = /^(08...|57...|40...|53200|53300|53400|55P03|25P0[345])$/

export function isPassing(error: unknown): boolean {
  if (error instanceof StoreError || error instanceof TypeError || error instanceof RangeError) return false
  return error instanceof pg.DatabaseError ? passing.test(error.code ?? '') : true
}

/** There is no such table (any more). */
export function isTableGone(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '42P01'
}

/** The error that the port names. */
export function storeErrorOf(error: unknown): StoreError {
  if (error instanceof StoreError) return error
  const cause = error instanceof Error ? error : new Error(String(error))
  const code = error instanceof pg.DatabaseError ? (error.code ?? '') : ''
  const said = `${cause.message}${code === '' ? '' : ` (SQLSTATE ${code})`}`
  if (code === '53100')
    return new StoreError('disk_full', `Postgres has no space left: free some, then start this node again: ${said}`, { cause })
  if (code === 'XX001' || code === 'XX002')
    return new StoreError('damaged', `Postgres found its own data damaged: repair this node from its peers: ${said}`, { cause })
  if (code === '28P01' || code === '28000' || code === '3D000' || code === '42501') {
    return new StoreError('unavailable', `Postgres refuses the connection string's user or database: correct it: ${said}`, { cause })
  }
  return new StoreError('unavailable', `Postgres cannot be used: see that it runs and is reachable, then start this node again: ${said}`, {
    cause,
  })
}
