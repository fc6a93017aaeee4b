import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 1) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  // A killed child that nobody has reaped yet still answers signal 0.
  return !stateOf(pid).startsWith('Z')
}

/** Tells two processes that had the same id apart: when it started, in the system's own notation; '' if there is none. */
export function startedAt(pid: number): string {
  return process.platform === 'linux' ? (statFields(pid)[19] ?? '') : ps(pid, 'lstart=')
}

/** The ids of running `postgres` processes that have `folder` as their current folder, as a postmaster and all its children do. */
export function postgresProcessesIn(folder: string): number[] {
  if (process.platform !== 'linux') return []
  const wanted = statSync(folder, { throwIfNoEntry: false })
  if (wanted === undefined) return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const cwd = statSync(`/proc/${pid}/cwd`)
        return (
          cwd.ino === wanted.ino &&
          cwd.dev === wanted.dev &&
          basename(readlinkSync(`/proc/${pid}/exe`)).startsWith('postgres') &&
          isAlive(pid)
        )
      } catch {
        return false // gone meanwhile, or another user's
      }
    })
}

/** Is `pid` the postmaster of `folder`, and not a stranger that was given the number of a dead one? */
export function isPostgresOf(pid: number, folder: string): boolean {
  if (!isAlive(pid)) return false
  return process.platform === 'linux' ? postgresProcessesIn(folder).includes(pid) : ps(pid, 'command=').includes(folder)
}

/** Signals one process that this package started; a process that is gone already is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** True as soon as `condition` holds, false after `timeoutMs`. */
export async function waitUntil(condition: () => boolean | Promise<boolean>, timeoutMs: number): Promise<boolean> {
  for (const deadline = performance.now() + timeoutMs; ; await sleep(10)) {
    if (await condition()) return true
    if (performance.now() > deadline) return false
  }
}

function stateOf(pid: number): string {
  return process.platform === 'linux' ? (statFields(pid)[0] ?? '') : ps(pid, 'state=')
}

/** The fields of /proc/<pid>/stat after the command, which may itself hold spaces and brackets. */
function statFields(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}

function ps(pid: number, column: string): string {
  try {
    return execFileSync('ps', ['-o', column, '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  } catch {
    return ''
  }
}
