import { createHash } from 'node:crypto'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { blockedFolder, unprivilegedUser } from './unprivileged-user.ts'

export interface DataFolder {
  readonly path: string
  /** Why the data is not where one would look for it; to be shown to the operator. */
  readonly notice?: string
}

const cloneRoot = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')

/**
 * Where `start` keeps its data: `SYNOD_DATA` if set, else `.synod` in the clone. One exception: as root, with a clone that an
 * unprivileged user cannot reach (Postgres refuses to be root), `/var/lib/synod/<hash of the clone's path>`, with a notice.
 */
export function dataFolder(options: { readonly clone?: string; readonly environment?: NodeJS.ProcessEnv } = {}): DataFolder {
  const { clone = cloneRoot, environment = process.env } = options
  if (environment.SYNOD_DATA) return { path: resolve(environment.SYNOD_DATA) }
  const blocked = blockedFolder(clone, unprivilegedUser())
  if (blocked === undefined) return { path: join(clone, '.synod') }
  const path = join('/var/lib/synod', createHash('sha256').update(clone).digest('hex').slice(0, 12))
  return {
    path,
    notice: `Postgres does not run as root, and no other user can pass through ${blocked}: the data is in ${path} (set SYNOD_DATA to choose another folder)`,
  }
}
