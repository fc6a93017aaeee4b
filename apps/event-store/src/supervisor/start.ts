/** The command `start`: options to a supervisor, progress to standard error, one line `ready …` to standard output. */
import { isAbsolute, resolve } from 'node:path'
import { dataFolder, ServerError } from '@synod/servers'
import { StoreError } from '@synod/log'
import { ConfigError } from '../config/config-error.ts'
import { exitCodes } from '../exit-codes.ts'
import { StartError } from './start-error.ts'
import { Supervisor } from './supervisor.ts'

export interface StartCommandOptions {
  readonly nodes?: number | undefined
  readonly port: number
  readonly host: string
  /** `tcp`, `nats`, or a package. */
  readonly transport: string
  readonly consensus?: string | undefined
  readonly paxos?: 'basic' | 'multi' | undefined
  readonly restart: boolean
}

const transports: Readonly<Record<string, string>> = { tcp: '@synod/transport-tcp', nats: '@synod/transport-nats' }
const loopback = new Set(['127.0.0.1', '::1', 'localhost'])
const paxosPackage = '@synod/consensus-paxos'

/** Runs until a signal; the exit code. */
export async function start(options: StartCommandOptions): Promise<number> {
  // Whoever reads these may go away (`start | head -1`); the cluster stays.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  const report = (message: string): void => void process.stderr.write(`${message}\n`)
  if (options.paxos !== undefined && options.consensus !== undefined && options.consensus !== paxosPackage) {
    report(`error: --paxos is an option of ${paxosPackage}, not of ${options.consensus}: leave one of the two out`)
    return exitCodes.usage
  }
  if (!loopback.has(options.host)) report(`warning: ${options.host} can be reached from elsewhere, and nobody is asked who they are`)
  const { path: data, notice } = dataFolder()
  if (notice !== undefined) report(notice)
  const supervisor = new Supervisor({
    data,
    host: options.host,
    port: options.port,
    nodes: options.nodes,
    consensus: consensusOf(options),
    transport: transports[options.transport] ?? packageName(options.transport),
    restarts: options.restart,
    report,
  })
  const ended = untilSignal(() => void supervisor.stop())
  process.on('uncaughtException', (error) => {
    report(`error: ${error.stack ?? error.message}`)
    void supervisor.stop().finally(() => process.exit(exitCodes.failure))
  })
  try {
    await supervisor.start()
    if (!ended.signalled()) process.stdout.write(`ready ${supervisor.urls.join(' ')}\n`)
    await ended.promise
    report('stopping')
    await supervisor.stop()
    report('stopped')
    return exitCodes.ok
  } catch (error) {
    await supervisor.stop()
    // The message of these says it all; of anything else the stack is wanted.
    const known = error instanceof StartError || error instanceof ServerError || error instanceof ConfigError || error instanceof StoreError
    report(`error: ${known ? error.message : ((error as Error).stack ?? String(error))}`)
    return exitCodes.failure
  }
}

function consensusOf({ consensus, paxos }: StartCommandOptions): { package: string; options: Record<string, unknown> } | undefined {
  if (consensus === undefined && paxos === undefined) return undefined
  const name = packageName(consensus ?? paxosPackage)
  return { package: name, options: name === paxosPackage ? { mode: paxos ?? 'multi' } : {} }
}

/** A path is the caller's, from where the command was typed; everyone later looks from elsewhere. */
function packageName(name: string): string {
  if (!name.startsWith('.') && !isAbsolute(name)) return name
  return resolve(process.env.INIT_CWD ?? process.cwd(), name)
}

function untilSignal(onSignal: () => void): { readonly promise: Promise<void>; signalled(): boolean } {
  let signalled = false
  const promise = new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (signalled) return // a terminal and a package manager may each send one
        signalled = true
        onSignal()
        done()
      })
    }
  })
  return { promise, signalled: () => signalled }
}
