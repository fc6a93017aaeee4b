/**
 * What the commands that talk to a cluster have in common: one client, an output, an end by signal, and errors told once, as text or
 * as JSON, with the exit code that goes with them.
 */
import { constants } from 'node:os'
import { styleText } from 'node:util'
import { ClientError, connect, type Client, type EventType } from '@synod/client'
import { exitCodes } from '../exit-codes.ts'
import { describeError, exitCodeOf, InputError, InterruptedError, NoNodeError, OutputClosedError, UsageError } from './command-errors.ts'
import type { TextEventType } from './event-lines.ts'
import { Output } from './output.ts'

export interface ClusterOptions {
  readonly nodes: readonly string[]
  /** Seconds. */
  readonly timeout: number
  readonly json?: boolean
}

export interface CommandRun {
  /** What it reads is text, what it appends is anything. */
  readonly client: Client<EventType, TextEventType>
  readonly output: Output
  /** Aborts with an InterruptedError at a signal, with an OutputClosedError when nobody reads any more. */
  readonly signal: AbortSignal
  /** A line for people on standard error; nothing with --json. */
  readonly note: (text: string) => void
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const silenceMilliseconds = 2000

/** Runs `work`; the process's exit code. Without one, it is 0. */
export async function runCommand(options: ClusterOptions, work: (run: CommandRun) => Promise<number | void>): Promise<number> {
  const ending = new AbortController()
  const onSignal = (name: NodeJS.Signals): void => {
    const interrupted = new InterruptedError(name, constants.signals[name])
    // The second time in earnest.
    if (ending.signal.aborted) process.exit(interrupted.exitCode)
    ending.abort(interrupted)
  }
  for (const name of signals) process.on(name, onSignal)
  const output = new Output(process.stdout, (error) => ending.abort(toOutputError(error)))
  // Nobody reads our complaints: then they are lost, and the exit code says it.
  process.stderr.on('error', () => undefined)
  const isJson = options.json === true
  const note = (text: string): void => {
    if (!isJson) process.stderr.write(`${styleText('dim', text, { stream: process.stderr })}\n`)
  }
  let exitCode: number
  try {
    const { nodes, timeout } = options
    const milliseconds = Math.round(timeout * 1000)
    const client: CommandRun['client'] = connect<TextEventType>({
      nodes,
      appendTimeout: milliseconds,
      readTimeout: milliseconds,
      parseJson: (text) => text,
    })
    const patience = tellSilence(client, nodes, note)
    try {
      exitCode = (await work({ client, output, signal: ending.signal, note })) ?? exitCodes.ok
    } finally {
      clearTimeout(patience)
      await client.close()
    }
  } catch (error) {
    exitCode = exitCodeOf(error)
    tellError(error, isJson)
  }
  await output.flush()
  for (const name of signals) process.off(name, onSignal)
  return exitCode
}

/** Says what went wrong, on standard error. */
export function tellError(error: unknown, isJson: boolean): void {
  // Nobody reads, or somebody asked for the end: the exit code says all.
  if (error instanceof OutputClosedError || error instanceof InterruptedError) return
  if (isJson) {
    process.stderr.write(`${JSON.stringify({ kind: 'error', ...describeError(error), exitCode: exitCodeOf(error) })}\n`)
  } else {
    const isKnown = [ClientError, UsageError, InputError, NoNodeError].some((known) => error instanceof known)
    // The message of these says it all; of anything else the stack is wanted.
    const text = isKnown ? (error as Error).message : ((error as Error).stack ?? String(error))
    process.stderr.write(`${styleText('red', 'error:', { stream: process.stderr })} ${text}\n`)
  }
}

/** The client tries for long; somebody who waits at a terminal is told why. */
function tellSilence(client: Pick<Client, 'status'>, nodes: readonly string[], note: CommandRun['note']): NodeJS.Timeout {
  return setTimeout(() => {
    const { connections, lastProblem } = client.status()
    const isAsked = connections.length > 0 || lastProblem !== undefined
    if (!isAsked || connections.some(({ state }) => state === 'open')) return
    note(`no node at ${nodes.join(', ')} answers yet${lastProblem === undefined ? '' : ` (${lastProblem})`}; still trying`)
  }, silenceMilliseconds)
}

function toOutputError(error: NodeJS.ErrnoException): Error {
  return error.code === 'EPIPE' ? new OutputClosedError('nobody reads the output any more') : new InputError(`the output: ${error.message}`)
}
