import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isPostgresOf, postgresProcessesIn, signal, waitUntil } from './process-table.ts'
import { ServerError } from './server-error.ts'

/** What Postgres writes into `postmaster.pid`; its eighth line tells how far it is. */
export function readPostmasterFile(folder: string): { readonly pid: number; readonly ready: boolean } | undefined {
  try {
    const lines = readFileSync(join(folder, 'postmaster.pid'), 'utf8').split('\n')
    return { pid: Number(lines[0]), ready: lines[7]?.trim() === 'ready' }
  } catch {
    return undefined
  }
}

/**
 * Stops whatever a killed owner left running in `folder` and removes a stale `postmaster.pid`. Stopping rather than adopting: then no
 * transaction of the dead owner is still open, and the settings are this version's. Takes nothing when there is nothing.
 * The caller holds the folder's lock, so no live owner is hurt.
 * @throws ServerError `server_did_not_stop`
 */
export async function stopLeftover(folder: string): Promise<void> {
  const left = readPostmasterFile(folder)
  if (left !== undefined && isPostgresOf(left.pid, folder)) {
    signal(left.pid, 'SIGINT') // fast: connections are cut, one checkpoint
    if (!(await waitUntil(() => !isPostgresOf(left.pid, folder), 5_000))) {
      signal(left.pid, 'SIGQUIT') // at once: the log is replayed at the next start
      await waitUntil(() => !isPostgresOf(left.pid, folder), 5_000)
    }
  }
  // A killed postmaster leaves children, which keep its shared memory until they notice; a new one refuses to start beside them.
  for (const name of ['SIGQUIT', 'SIGKILL'] as const) {
    const children = postgresProcessesIn(folder)
    if (children.length === 0) break
    for (const pid of children) signal(pid, name)
    await waitUntil(() => postgresProcessesIn(folder).length === 0, 3_000)
  }
  const remaining = postgresProcessesIn(folder)
  if (remaining.length > 0)
    throw new ServerError(
      'server_did_not_stop',
      `processes ${remaining.join(', ')} still run in ${folder} after a SIGKILL: is its disk stuck?`,
    )
  // Nobody runs here. The number in the file may belong to a stranger by now, and Postgres would wait for that one.
  rmSync(join(folder, 'postmaster.pid'), { force: true })
}
