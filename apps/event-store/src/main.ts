#!/usr/bin/env node
/** The `synod` command line. */
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { exitCodes } from './exit-codes.ts'

const program = new Command('synod')
  .description('A replicated, append-only event store: a cluster of nodes, each with its own Postgres')
  .exitOverride()
  .showHelpAfterError('(synod --help says more)')
  .addHelpText('after', '\nExit codes: 0 ok, 1 failure, 2 wrong usage, 70 a node failed, 78 a node refuses its store or configuration')

program
  .command('start')
  .description('Runs a cluster on this machine: nodes and their Postgres servers, supervised')
  .option('--nodes <count>', 'how many (3; of an existing cluster: what is there)', integer(1, 15))
  .option('--port <port>', 'HTTP port of the first node; the others follow', integer(1, 65_535), 2113)
  .option('--host <address>', 'where the nodes listen; only loopback is safe, there is no authentication', '127.0.0.1')
  .option('--transport <name>', 'tcp; nats (at NATS_URL, or at a server that it runs); or a package', 'tcp')
  .option('--consensus <package>', 'the consensus package of a new cluster (@synod/consensus-paxos)')
  .option('--paxos <mode>', 'of Paxos: basic or multi', oneOf('basic', 'multi'))
  .option('--no-restart', 'leaves a node that dies dead')
  .addHelpText(
    'after',
    examples(
      'synod start',
      'synod start --nodes 5 --port 3000',
      'synod start --transport nats',
      'SYNOD_DATA=/srv/synod synod start --paxos basic',
    ),
  )
  .action(async (options: StartOptions) => {
    const { start } = await import('./supervisor/start.ts')
    process.exitCode = await start(options)
  })

program
  .command('node')
  .description('Runs one node in this process')
  .requiredOption('--config <file>', 'its configuration (docs/config.md)')
  .option('--http-host <address>', 'instead of http.host')
  .option('--http-port <port>', 'instead of http.port', integer(1, 65_535))
  .option('--lock <file>', 'held while the node runs: a second one refuses to start')
  .addHelpText('after', examples('synod node --config n1.json', 'SYNOD_LOG=debug synod node --config n1.json --http-port 8080'))
  .action(async (options: { config: string; httpHost?: string; httpPort?: number; lock?: string }) => {
    const { runNode } = await import('./node/run-node.ts')
    const { config, ...rest } = options
    // Timers and sockets of a node that failed must not keep its process alive.
    process.exit(await runNode({ configFile: config, ...rest }))
  })

program
  .command('init')
  .description("Founds a new cluster in one node's empty store: to be done once on every node, before any of them runs")
  .requiredOption('--config <file>', "the node's configuration, with an incarnation for every peer (docs/config.md)")
  .addHelpText('after', examples('synod init --config n1.json'))
  .action(async (options: { config: string }) => {
    const { init } = await import('./init.ts')
    process.exitCode = await init(options.config)
  })

program
  .command('demo')
  .description('Appends 20,000 real flights while the leader is killed, then compares every node with the input')
  .helpOption(false)
  .allowUnknownOption()
  .allowExcessArguments()
  .action(async (_options: unknown, command: Command) => {
    const { demo } = await import('./demo/demo.ts')
    process.exitCode = await demo(command.args)
  })

export interface StartOptions {
  readonly nodes?: number
  readonly port: number
  readonly host: string
  readonly transport: string
  readonly consensus?: string
  readonly paxos?: 'basic' | 'multi'
  readonly restart: boolean
}

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  // Commander has said what is wrong already; help that was asked for is no error.
  process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
}

function integer(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN
    if (!(number >= min && number <= max)) throw new InvalidArgumentError(`allowed are integers from ${min} to ${max}.`)
    return number
  }
}

function oneOf(...words: readonly string[]): (value: string) => string {
  return (value) => {
    if (!words.includes(value)) throw new InvalidArgumentError(`allowed are ${words.join(', ')}.`)
    return value
  }
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`
}
