/** The command line as a tree of commands. What a command does is loaded when it is chosen. */
import { Argument, Command, Option } from 'commander'
import type { AppendEventOptions } from './append-event.ts'
import type { AppendLinesOptions } from './append-lines.ts'
import { UsageError } from './command-errors.ts'
import { completionScript, shells, type Shell } from './completion-script.ts'
import { clusterOptions, countMax, examples, exit, isOrAre, usageGuarded } from './command-parts.ts'
import { filterOptions } from './filter-options.ts'
import { addGroups } from './group-commands.ts'
import { collected, expected, integer, place, seconds, wordOption } from './option-values.ts'
import type { ReadCommandOptions } from './read.ts'
import type { ClusterOptions } from './run-command.ts'
import type { StatusCommandOptions } from './status.ts'
import { addStreams } from './stream-commands.ts'
import type { SubscribeCommandOptions } from './subscribe.ts'
import type { StartCommandOptions } from '../supervisor/start.ts'

export function createProgram(): Command {
  const program = new Command('synod')
    .description('A replicated, append-only event store: a cluster of nodes, each with its own Postgres')
    .exitOverride()
    .showHelpAfterError('(synod --help says more)')
    .addHelpText(
      'after',
      '\nExit codes: 0 ok, 1 failure, 2 wrong usage, 3 conflict, 4 no such stream or group, 69 unavailable, 70 a node failed,\n' +
        '78 a node refuses its store or configuration, 130 interrupted. docs/command-line.md has the rest.',
    )
  addAppend(program)
  addAppendAtomically(program)
  addRead(program)
  addSubscribe(program)
  addStreams(program)
  addGroups(program)
  addStatus(program)
  addStart(program)
  addDemo(program)
  addNode(program)
  addInit(program)
  addCompletion(program)
  return program
}

function addAppend(program: Command): void {
  clusterOptions(program.command('append'))
    .description('Appends one event; without arguments, JSON lines from standard input or a file')
    .argument('[stream]', 'its name')
    .argument('[type]', "the event's type")
    .argument('[data]', 'JSON text; - reads it from standard input; null when absent')
    .option('--metadata <json>', 'JSON text')
    .option('--tag <tag>', 'may be given several times', collected)
    .option('--id <uuid>', "the event's id: the same append again has one effect")
    .option('--expected <state>', "any, noStream, streamExists, or the stream's last revision", expected)
    .option('--from-file <file>', 'JSON lines {stream, type, data, metadata?, tags?, id?, expected?}; - is standard input')
    .option('--source <name>', "of lines: what their ids follow from (the file's path; for standard input one that is drawn)")
    .option('--skip <count>', 'of lines: not the first so many', integer(0, countMax))
    .option('--in-flight <count>', 'of lines: appends under way at a time, one a stream at most (256)', integer(1, 1024))
    .option('--keep-going', 'of lines: tells a bad line, and goes on with the others')
    .addHelpText(
      'after',
      examples(
        `synod append course-1 CourseOpened '{"seats": 2}' --expected noStream`,
        `synod append course-1 StudentEnrolled '{"student": "ada"}' --tag student-ada --expected 0`,
        'synod append --from-file events.jsonl',
        'synod read course-1 --json | synod append --nodes http://10.0.0.1:2113',
      ),
    )
    .action(usageGuarded(append))
}

function addAppendAtomically(program: Command): void {
  clusterOptions(program.command('append-atomically'))
    .description('Appends to several streams, all or nothing, with checks and a condition: a JSON document')
    .argument('[file]', '{writes: [{stream, expected?, events}], checks?, condition?} as POST /append takes it; - is standard input', '-')
    .addHelpText(
      'after',
      examples(
        'synod append-atomically transfer.json',
        `echo '{"writes": [{"stream": "user-1", "events": [{"type": "Registered", "data": {}, "tags": ["name:ada"]}]}],` +
          ` "condition": {"failIfEventsMatch": {"items": [{"tags": ["name:ada"]}]}}}' | synod append-atomically`,
      ),
    )
    .action(
      usageGuarded(async (file: string, options: ClusterOptions) => {
        if (file === '-' && process.stdin.isTTY) throw new UsageError('nothing to append: name a file, or pipe a document in')
        const { appendAtomically } = await import('./append-atomically.ts')
        return appendAtomically(file, options)
      }),
    )
}

type AppendOptions = AppendEventOptions &
  Omit<AppendLinesOptions, 'skip' | 'inFlight'> & { readonly skip?: number; readonly inFlight?: number }

async function append(
  stream: string | undefined,
  type: string | undefined,
  data: string | undefined,
  options: AppendOptions,
): Promise<number> {
  const given = (names: readonly (keyof AppendOptions)[]): string[] =>
    names.filter((name) => options[name] !== undefined).map((name) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`)
  const ofLines = given(['fromFile', 'source', 'skip', 'inFlight', 'keepGoing'])
  const ofEvent = given(['metadata', 'tag', 'id', 'expected'])
  if (stream !== undefined) {
    if (type === undefined) throw new UsageError('an event needs a type: synod append <stream> <type> [data]')
    if (ofLines.length > 0) throw new UsageError(`${ofLines.join(', ')} ${isOrAre(ofLines)} for JSON lines: leave the stream out`)
    const { appendEvent } = await import('./append-event.ts')
    return appendEvent(stream, type, data, options)
  }
  if (ofEvent.length > 0)
    throw new UsageError(`${ofEvent.join(', ')} ${isOrAre(ofEvent)} of one event: synod append <stream> <type> [data]`)
  if (options.fromFile === undefined && process.stdin.isTTY) {
    throw new UsageError('nothing to append: name a stream and a type, or --from-file, or pipe JSON lines in (synod append --help)')
  }
  const { appendLines } = await import('./append-lines.ts')
  return appendLines({ ...options, skip: options.skip ?? 0, inFlight: options.inFlight ?? 256 })
}

function addRead(program: Command): void {
  filterOptions(clusterOptions(program.command('read')))
    .description('Prints the events of a stream, or of all streams in their one order')
    .argument('[stream]', 'its name; absent: all streams')
    .option('--from <place>', 'inclusive: a revision of the stream, a position among all events', place)
    .option('--backward', 'the newest first')
    .option('--limit <count>', 'events at most (to the end)', integer(1, countMax))
    .option('--local', "what one node's own store has, without asking the others")
    .option('--at-least <position>', 'waits until the node that answers has applied this position', place)
    .addHelpText(
      'after',
      examples(
        'synod read course-1',
        'synod read --backward --limit 10',
        'synod read --type StudentEnrolled --tag student:ada',
        'synod read --json > backup.jsonl',
      ),
    )
    .action(
      usageGuarded(async (stream: string | undefined, options: ReadCommandOptions) => {
        const { read } = await import('./read.ts')
        return read(stream, options)
      }),
    )
}

function addSubscribe(program: Command): void {
  filterOptions(clusterOptions(program.command('subscribe')))
    .description('Prints the events of a stream, or of all streams, and goes on with what comes')
    .argument('[stream]', 'its name; absent: all streams')
    .option('--from <place>', 'inclusive: a revision of the stream, a position among all events', place)
    .addOption(new Option('--after <position>', 'resumes after a position, in a stream too').argParser(place).conflicts('from'))
    .option('--until-caught-up', 'ends when everything that was there is printed')
    .option('--checkpoint-file <file>', 'keeps the position there, and resumes after it: then --from and --after are for the first time')
    .addHelpText(
      'after',
      examples(
        'synod subscribe',
        'synod subscribe course-1 --from 3',
        'synod subscribe --category course --type StudentEnrolled',
        'synod subscribe --json --checkpoint-file position.json | ./project',
      ),
    )
    .action(
      usageGuarded(async (stream: string | undefined, options: SubscribeCommandOptions) => {
        const { subscribe } = await import('./subscribe.ts')
        return subscribe(stream, options)
      }),
    )
}

function addStatus(program: Command): void {
  clusterOptions(program.command('status'))
    .description('Shows every node: who leads, what state it is in, how far it is; live at a terminal')
    .option('--once', 'one look, which takes a second: appends are counted over it')
    .option('--interval <seconds>', 'look after look, at this pace (1 at a terminal)', seconds)
    .addHelpText('after', examples('synod status', 'synod status --once --json', 'synod status --nodes http://10.0.0.1:2113'))
    .action(async (options: StatusCommandOptions) => {
      const { status } = await import('./status.ts')
      return exit(await status(options))
    })
}

function addStart(program: Command): void {
  program
    .command('start')
    .description('Runs a cluster on this machine: nodes and their Postgres servers, supervised')
    .option('--nodes <count>', 'how many (3; of an existing cluster: what is there)', integer(1, 15))
    .option('--port <port>', 'HTTP port of the first node; the others follow', integer(1, 65_535), 2113)
    .option('--host <address>', 'where the nodes listen; only loopback is safe, there is no authentication', '127.0.0.1')
    .option('--transport <name>', 'tcp; nats (at NATS_URL, or at a server that it runs); or a package', 'tcp')
    .option('--consensus <package>', 'the consensus package of a new cluster (@synod/consensus-paxos)')
    .addOption(wordOption('--paxos <mode>', 'of Paxos: basic or multi', ['basic', 'multi']))
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
    .action(async (options: StartCommandOptions) => {
      const { start } = await import('../supervisor/start.ts')
      process.exitCode = await start(options)
    })
}

function addNode(program: Command): void {
  program
    .command('node')
    .description('Runs one node in this process')
    .requiredOption('--config <file>', 'its configuration (docs/config.md)')
    .option('--http-host <address>', 'instead of http.host')
    .option('--http-port <port>', 'instead of http.port', integer(1, 65_535))
    .option('--lock <file>', 'held while the node runs: a second one refuses to start')
    .addHelpText('after', examples('synod node --config n1.json', 'SYNOD_LOG=debug synod node --config n1.json --http-port 8080'))
    .action(async (options: { config: string; httpHost?: string; httpPort?: number; lock?: string }) => {
      const { runNode } = await import('../node/run-node.ts')
      const { config, ...rest } = options
      // Timers and sockets of a node that failed must not keep its process alive.
      process.exit(await runNode({ configFile: config, ...rest }))
    })
}

function addInit(program: Command): void {
  program
    .command('init')
    .description("Founds a new cluster in one node's empty store: to be done once on every node, before any of them runs")
    .requiredOption('--config <file>', "the node's configuration, with an incarnation for every peer (docs/config.md)")
    .addHelpText('after', examples('synod init --config n1.json'))
    .action(async (options: { config: string }) => {
      const { init } = await import('../init.ts')
      process.exitCode = await init(options.config)
    })
}

function addDemo(program: Command): void {
  program
    .command('demo')
    .description('Appends 20,000 real flights while the leader is killed, then compares every node with the input')
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(async (_options: unknown, command: Command) => {
      const { demo } = await import('../demo/demo.ts')
      process.exitCode = await demo(command.args)
    })
}

function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('Prints a completion script for a shell')
    .addArgument(new Argument('<shell>').choices(shells))
    .addHelpText('after', examples('eval "$(synod completion bash)"', 'eval "$(synod completion zsh)"', 'synod completion fish | source'))
    .action((shell: Shell) => void process.stdout.write(completionScript(shell, program)))
}
