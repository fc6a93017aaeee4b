import { setTimeout as sleep } from 'node:timers/promises'
import { exitCodes } from '../exit-codes.ts'
import { ClusterStatus, type ClusterStatusJson } from './cluster-status.ts'
import { NoNodeError } from './command-errors.ts'
import { runCommand, type ClusterOptions, type CommandRun } from './run-command.ts'
import { cutTo, statusTable } from './status-table.ts'

export interface StatusCommandOptions extends ClusterOptions {
  readonly once?: boolean
  /** Seconds. */
  readonly interval?: number
}

/** Between the two looks that give a rate. */
const rateMilliseconds = 1000

/** The command `status`: a live table at a terminal, else one look; with an interval, look after look. */
export function status(options: StatusCommandOptions): Promise<number> {
  return runCommand(options, async (run) => {
    const isTable = process.stdout.isTTY && options.json !== true
    const isOnce = options.once === true || (options.interval === undefined && !isTable)
    const cluster = new ClusterStatus(options.nodes, run.signal)
    if (!isOnce) return follow(cluster, (options.interval ?? 1) * 1000, options.json === true, isTable, run)
    await cluster.look()
    await sleep(rateMilliseconds, undefined, { signal: run.signal }).catch(() => run.signal.throwIfAborted())
    const seen = await cluster.look()
    await run.output.write(textOf(seen, options.json === true))
    return seen.nodes.some(({ state }) => state === 'serving') ? exitCodes.ok : exitCodes.unavailable
  })
}

/** Until a signal. A cluster that does not answer is shown as that, and asked again. */
async function follow(cluster: ClusterStatus, milliseconds: number, isJson: boolean, isTable: boolean, run: CommandRun): Promise<never> {
  let linesShown = 0
  for (;;) {
    const lines = await looked(cluster, isJson)
    run.signal.throwIfAborted()
    if (isTable) {
      // A terminal that does not know its size says 0.
      const [columns, rows] = [process.stdout.columns || 80, process.stdout.rows || 24]
      const shown = lines.slice(0, rows - 1).map((line) => cutTo(line, columns))
      // Up to where the last one began, and clear what is below.
      await run.output.write(`${linesShown > 0 ? `\u001b[${linesShown}A` : ''}\u001b[J${shown.join('\n')}\n`)
      linesShown = shown.length
    } else await run.output.line(lines.join('\n'))
    await run.output.flush()
    await sleep(milliseconds, undefined, { signal: run.signal }).catch(() => run.signal.throwIfAborted())
  }
}

async function looked(cluster: ClusterStatus, isJson: boolean): Promise<string[]> {
  try {
    return textOf(await cluster.look(), isJson)
      .trimEnd()
      .split('\n')
  } catch (error) {
    if (!(error instanceof NoNodeError)) throw error
    return [isJson ? JSON.stringify({ at: new Date().toISOString(), code: error.code, message: error.message }) : error.message]
  }
}

function textOf(seen: ClusterStatusJson, isJson: boolean): string {
  return `${isJson ? JSON.stringify(seen) : statusTable(seen, process.stdout).join('\n')}\n`
}
