import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** Seconds of processor time that these processes and all below them have used so far; undefined where there is no /proc. */
export function processorSeconds(roots: readonly number[]): number | undefined {
  const table = processTable()
  if (table === undefined) return undefined
  let ticks = 0
  for (const pid of withDescendants(roots, table)) ticks += table.get(pid)?.ticks ?? 0
  return ticks / ticksPerSecond()
}

/** These processes and all below them. */
export function processTree(roots: readonly number[]): number[] {
  return [...withDescendants(roots, processTable() ?? new Map())]
}

interface Process {
  readonly parent: number
  /** Its own and those of its children that ended, in ticks of the kernel. */
  readonly ticks: number
}

function processTable(): Map<number, Process> | undefined {
  if (process.platform !== 'linux') return undefined
  const table = new Map<number, Process>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      // After the command, which may itself hold spaces and brackets: state, parent, …, and from the 12th on utime, stime, cutime, cstime.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
      table.set(Number(name), { parent: Number(fields[1]), ticks })
    } catch {
      // it ended between the listing and the look
    }
  }
  return table
}

function withDescendants(roots: readonly number[], table: ReadonlyMap<number, Process>): Set<number> {
  const found = new Set(roots)
  for (let before = -1; before !== found.size;) {
    before = found.size
    for (const [pid, { parent }] of table) if (found.has(parent)) found.add(pid)
  }
  return found
}

let ticks: number | undefined

function ticksPerSecond(): number {
  return (ticks ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' })))
}
