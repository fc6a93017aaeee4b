/**
 * The command `demo`: a cluster of its own takes 20,000 real flights from concurrent clients while a subscriber follows; on the way
 * the process that leads is killed with kill -9, started again by its supervisor, and catches up; then every node is compared with
 * the input, event by event. It appends and follows with the client, and asks each node over HTTP what it has.
 *
 * It ends by itself. Whatever happens (done, failed, a signal, too late), all that it started is stopped and its data removed.
 */
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { exitCodes } from '../exit-codes.ts'
import { DemoCluster } from './demo-cluster.ts'
import { DemoError } from './demo-error.ts'
import { DemoScreen } from './demo-screen.ts'
import { runDemo } from './run-demo.ts'

const flightsMin = 500
const flightsMax = 20_000
/** The demo itself; cleaning up has the rest of five minutes. */
const demoMillisecondsMax = 260_000
const cleanUpMillisecondsMax = 35_000
const differencesShownMax = 20

/** Runs `synod demo` with these arguments (without the words before them); the exit code. */
export async function demo(argv: readonly string[]): Promise<number> {
  const command = new Command('synod demo')
    .description('Appends 20,000 real flights to a cluster of its own while the leader is killed, then compares every node with the input')
    .option('--flights <count>', `how many, from ${flightsMin} to ${flightsMax}`, flightsOf, flightsMax)
    .addHelpText(
      'after',
      '\nTakes about a minute and free ports; ends by itself within five. Exit code 0: all is there, once and in order; 1: what differs is printed.',
    )
    .exitOverride()
  try {
    command.parse(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage // commander has said what is wrong
  }
  return runWithCleanUp(command.opts<{ flights: number }>().flights)
}

async function runWithCleanUp(flights: number): Promise<number> {
  const screen = new DemoScreen(process.stdout)
  const ending = new AbortController()
  const onSignal = (name: NodeJS.Signals): void => ending.abort(new DemoError(`stopped by ${name}`))
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const name of signals) process.on(name, onSignal)
  const deadline = setTimeout(() => ending.abort(new DemoError(`not done after ${demoMillisecondsMax / 1000} s`)), demoMillisecondsMax)
  let verdict: string[]
  let cluster: DemoCluster | undefined
  try {
    cluster = await DemoCluster.create((message) => screen.say(message))
    verdict = await Promise.race([runDemo({ cluster, flights, screen, signal: ending.signal }), rejectedBy(ending.signal)])
  } catch (error) {
    // The message of these says it all; of anything else the stack is wanted.
    verdict = [error instanceof DemoError ? error.message : ((error as Error).stack ?? String(error))]
  }
  clearTimeout(deadline)
  screen.endProgress()
  const cut = setTimeout(() => {
    screen.print(`demo failed: it could not be cleaned up in time, see ${cluster?.folder}`)
    process.exit(exitCodes.failure)
  }, cleanUpMillisecondsMax)
  ending.abort(new DemoError('over'))
  try {
    await cluster?.remove()
  } catch (error) {
    verdict.push(`cleaning up failed, see ${cluster?.folder}: ${(error as Error).message}`)
  }
  clearTimeout(cut)
  for (const name of signals) process.off(name, onSignal)
  return conclude(screen, verdict)
}

function conclude(screen: DemoScreen, verdict: readonly string[]): number {
  if (verdict.length === 0) {
    screen.print('demo passed')
    return exitCodes.ok
  }
  const hidden = verdict.length - differencesShownMax
  const shown = verdict.slice(0, differencesShownMax).map((line) => `  ${line}`)
  screen.print(`demo failed:\n${shown.join('\n')}${hidden > 0 ? `\n  and ${hidden} more` : ''}`)
  return exitCodes.failure
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }))
}

function flightsOf(value: string): number {
  const count = /^\d{1,6}$/.test(value) ? Number(value) : Number.NaN
  if (!(count >= flightsMin && count <= flightsMax))
    throw new InvalidArgumentError(`allowed are integers from ${flightsMin} to ${flightsMax}.`)
  return count
}
