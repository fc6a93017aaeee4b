import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PostgresServer } from './start-postgres.ts'
import { startPostgres } from './start-postgres.ts'
import { watchdog } from './watchdog.ts'

export interface TemporaryPostgres extends PostgresServer, AsyncDisposable {
  /** Starts again in the same folder after `stop` or `kill`, to test recovery. */
  restart(): Promise<TemporaryPostgres>
  /** Stops the server and removes its folder. */
  remove(): Promise<void>
}

/** A server for one test, in a new folder; both are gone soon after this process is, even when that was killed. */
export async function temporaryPostgres(
  options: { readonly settings?: Readonly<Record<string, string>> } = {},
): Promise<TemporaryPostgres> {
  return startIn(mkdtempSync(join(tmpdir(), 'synod-postgres-')), options.settings ?? {})
}

async function startIn(folder: string, settings: Readonly<Record<string, string>>): Promise<TemporaryPostgres> {
  const dataDir = join(folder, 'postgres')
  const server = await startPostgres({ dataDir, settings })
  const guard = watchdog({ pid: server.pid, pidFile: join(dataDir, 'postmaster.pid'), folder, signal: 'QUIT' })
  const remove = async (): Promise<void> => {
    await server.stop('immediate')
    guard.dismiss()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  return {
    ...server,
    remove,
    [Symbol.asyncDispose]: remove,
    async restart() {
      await server.stop('immediate')
      const next = await startIn(folder, settings)
      guard.dismiss() // only now: the folder has a guard all the time
      return next
    },
  }
}
