import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

export interface UserIds {
  readonly uid: number
  readonly gid: number
}

/**
 * The user that Postgres runs as. Undefined is the user we are; when that is root, which Postgres refuses to be: the owner of the data
 * folder, should an ordinary user have made it, else `nobody`.
 */
export function unprivilegedUser(dataFolder?: string): UserIds | undefined {
  if (process.getuid?.() !== 0) return undefined
  const owner = dataFolder === undefined ? undefined : statSync(dataFolder, { throwIfNoEntry: false })
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const line = existsSync('/etc/passwd')
    ? readFileSync('/etc/passwd', 'utf8')
        .split('\n')
        .find((entry) => entry.startsWith('nobody:'))
    : undefined
  const [, , uid, gid] = line?.split(':') ?? []
  return { uid: Number(uid ?? 65_534), gid: Number(gid ?? 65_534) }
}

/**
 * The first folder on the way to `path` that `user` may not pass through, or undefined if the way is free. `path` itself counts
 * as a folder on the way; what does not exist yet is taken to be made with the right owner.
 */
export function blockedFolder(path: string, user: UserIds | undefined): string | undefined {
  if (user === undefined) return undefined
  const folders: string[] = []
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    folders.unshift(folder)
    if (folder === dirname(folder)) break
  }
  return folders.find((folder) => {
    const stat = statSync(folder, { throwIfNoEntry: false })
    if (stat === undefined || !stat.isDirectory()) return false
    const bit = stat.uid === user.uid ? 0o100 : stat.gid === user.gid ? 0o010 : 0o001
    return (stat.mode & bit) === 0
  })
}
