/**
 * One seed, from the draw to the verdict. A safety phase in which everything may go wrong; then a liveness phase: a random
 * quorum is healed, the rest is frozen as it is, and the quorum has to converge and serve; then the checks.
 *
 * Everything follows from (mode, seed): the same pair gives the same run, turn by turn, which the trace's hash shows.
 */
import { majority } from '@synod/consensus/quorums'
import type { Configuration, Genesis } from '@synod/log'
import type { NodeId } from '@synod/transport'
import { Agreement } from './checkers/agreement.ts'
import type { HistoryOperation } from './checkers/history.ts'
import type { Violation } from './checkers/violation.ts'
import { checkRun } from './check-run.ts'
import { heal } from './liveness.ts'
import type { Run } from './run.ts'
import { replay, SpecificationError, type Replayed } from './specification/replay.ts'
import { TraceRecorder } from './specification/trace-recorder.ts'
import { drawFilter } from './workload/boundaries.ts'
import { noBoundaries } from './workload/workload-plan.ts'
import { BoundaryClient, type BoundaryHistory } from './workload/boundary-client.ts'
import { Client } from './workload/client.ts'
import { drawGroup, GroupConsumer } from './workload/group-consumer.ts'
import { RetentionClient, type RetentionHistory } from './workload/retention-client.ts'
import { Subscriber } from './workload/subscriber.ts'
import { Archive } from './world/archive.ts'
import { Dice } from './world/dice.ts'
import { FaultInjector } from './world/fault-injector.ts'
import { Network } from './world/network.ts'
import { drawPlan, type Mode, type SeedPlan } from './world/seed-plan.ts'
import { SimNode } from './world/sim-node.ts'
import type { Surroundings } from './world/surroundings.ts'
import { Tally } from './world/tally.ts'
import { Trace, type TraceLine } from './world/trace.ts'
import { World } from './world/world.ts'

export interface SeedOptions {
  readonly mode: Mode
  readonly seed: number
  /** Keep the lines of the trace, not only its hash. Default: not. */
  readonly isTraced?: boolean
  /** Without boundary clients, filtered subscribers, groups and retention: as seeds were when they were written into regression tests. Default: not. */
  readonly isPlain?: boolean
  /** Writes down what the cores do, to be replayed through the specification in the end. Default: one of its own. */
  readonly recorder?: TraceRecorder
}

export interface SeedResult {
  readonly mode: Mode
  readonly seed: number
  readonly violations: readonly Violation[]
  /** Virtual milliseconds. */
  readonly simulatedMs: number
  /** From the healing of the quorum until it served; undefined when it did not. */
  readonly convergedMs?: number
  readonly turns: number
  readonly slots: number
  readonly operations: number
  /** Faults injected and what clients did, by name. */
  readonly counts: Readonly<Record<string, number>>
  /** What the specification made of it, with more than one node; undefined where it refused a step. */
  readonly replayed?: Replayed
  readonly traceHash: string
  readonly trace: readonly TraceLine[]
  readonly plan: SeedPlan
}

/** One is enough to fail; a few help to understand. */
const violationsMax = 10

export async function runSeed(options: SeedOptions): Promise<SeedResult> {
  const run = begin(options)
  const { world, violations, plan } = run
  const onRejection = (error: unknown): void =>
    run.onViolation({
      kind: 'node',
      message: `a rejection that nobody handles: ${String(error)}\n${error instanceof Error ? error.stack : ''}`,
    })
  process.on('unhandledRejection', onRejection)
  let convergedMs: number | undefined
  try {
    for (const node of run.nodes) node.start()
    run.injector.begin()
    const isFailed = (): boolean => violations.length > 0
    await world.runUntil(isFailed, plan.safetyMs)
    run.injector.end()
    if (!isFailed()) convergedMs = await heal(run)
    if (!isFailed()) await checkRun(run)
  } catch (error) {
    run.onViolation({ kind: 'node', message: `${String(error)}\n${error instanceof Error ? error.stack : ''}` })
  } finally {
    for (const node of run.nodes) node.life?.die()
    process.off('unhandledRejection', onRejection)
  }
  const replayed = compare(run)
  return {
    mode: options.mode,
    seed: options.seed,
    violations,
    simulatedMs: world.now,
    ...(replayed === undefined ? {} : { replayed }),
    ...(convergedMs === undefined ? {} : { convergedMs }),
    turns: world.turns,
    slots: run.agreement.slots,
    operations: run.history.length,
    counts: run.tally.counts(),
    traceHash: run.trace.hash,
    trace: run.trace.lines,
    plan,
  }
}

/** A step of the cores that the specification does not allow is a violation. A node alone sends nobody what it proposes: it is not compared. */
function compare({ recorder, nodes, onViolation, tally }: Run): Replayed | undefined {
  if (nodes.length === 1) return undefined
  try {
    const replayed = replay(recorder.trace, majority(nodes.map(({ id }) => id)))
    tally.add('specification events', replayed.events)
    tally.add('specification steps', replayed.steps)
    return replayed
  } catch (error) {
    if (!(error instanceof SpecificationError)) throw error
    onViolation({ kind: 'specification', message: error.message })
    return undefined
  }
}

function begin(options: SeedOptions): Run {
  const dice = new Dice(`${options.mode} ${options.seed}`)
  const drawn = drawPlan(dice.named('plan'), options.mode)
  const plan = options.isPlain === true ? { ...drawn, workload: { ...drawn.workload, ...noBoundaries } } : drawn
  const world = new World()
  const trace = new Trace(options.isTraced ?? false)
  const tally = new Tally()
  const members = Array.from({ length: plan.nodes }, (_, at) => `n${at + 1}`)
  const network = new Network(world, dice.named('network'), members, plan.network, trace, tally)
  const configuration = configurationOf(members, plan)
  const violations: Violation[] = []
  const onViolation = (violation: Violation): void => {
    trace.add(world.now, 'world', 'violation', violation.kind)
    if (violations.length < violationsMax) violations.push(violation)
  }
  const around: Surroundings = {
    world,
    plan,
    network,
    trace,
    tally,
    agreement: new Agreement(),
    archive: new Archive(onViolation),
    recorder: options.recorder ?? new TraceRecorder(),
    genesisOf: (node) => genesisOf(node, configuration),
    onViolation,
    onDown: (node) => injector.onDown(node),
  }
  const nodes = members.map((id) => new SimNode(id, members, around, dice.named(id)))
  for (const node of nodes) node.found(around.genesisOf(node.id))
  world.onCrash = (life, error) => {
    const node = nodes.find((candidate) => candidate.life === life)
    if (life === undefined || node === undefined) throw error
    node.onCrash(life, error)
  }
  const injector = new FaultInjector({ world, dice: dice.named('faults'), plan, nodes, network, tally, trace })
  const history: HistoryOperation[] = []
  const boundaries: BoundaryHistory = { appends: [], queries: [] }
  const asked = { nodes }
  const retention: RetentionHistory = { changes: [], operations: [] }
  const histories = { history, boundaries, retention }
  const who = population(around, dice, histories, () => asked.nodes)
  return { ...around, dice, nodes, injector, ...histories, violations, asked, ...who }
}

function population(
  around: Surroundings,
  dice: Dice,
  { history, boundaries, retention }: Pick<Run, 'history' | 'boundaries' | 'retention'>,
  nodes: () => readonly SimNode[],
): Pick<Run, 'clients' | 'boundaryClients' | 'retentionClients' | 'subscribers' | 'consumers' | 'group'> {
  const { world, plan, trace, tally, onViolation } = around
  const { workload } = plan
  const reading = { ...workload, appendShare: 0, localShare: 0.1, thinkMsMean: workload.readerThinkMsMean, staysRate: 0.95 }
  const clients = Array.from({ length: workload.clients + workload.readers }, (_, at) => {
    const name = `c${at + 1}`
    const plan = at < workload.clients ? workload : reading
    return new Client({ name, number: at + 1, world, dice: dice.named(name), plan, nodes, history, trace, tally, onViolation })
  })
  const boundaryClients = Array.from({ length: workload.boundaryClients }, (_, at) => {
    const name = `b${at + 1}`
    const own = { world, dice: dice.named(name), plan: workload, nodes, trace, tally, onViolation }
    return new BoundaryClient({ ...own, name, number: at + 1, history: boundaries })
  })
  const retentionClients = Array.from({ length: workload.retentionClients }, (_, at) => {
    const name = `r${at + 1}`
    const own = { world, dice: dice.named(name), plan: workload, nodes, trace, tally, onViolation }
    return new RetentionClient({ ...own, name, history: retention })
  })
  const subscribers = Array.from({ length: workload.subscribers + workload.filteredSubscribers }, (_, at) => {
    const name = `u${at + 1}`
    const own = dice.named(name)
    const isFiltered = at >= workload.subscribers
    const filter = isFiltered ? drawFilter(own) : undefined
    const stream = !isFiltered && own.chance(0.4) ? `s${own.whole(1, workload.streams)}` : undefined
    return new Subscriber({ name, world, dice: own, stream, filter, slowMs: workload.slowSubscriberMs, nodes, tally, onViolation })
  })
  const group = workload.consumers > 0 ? drawGroup(dice.named('group')) : undefined
  const consumers = Array.from({ length: group === undefined ? 0 : workload.consumers }, (_, at) => {
    const name = `g${at + 1}`
    return new GroupConsumer({ ...group!, name, world, dice: dice.named(name), nodes, tally, onViolation })
  })
  return { clients, boundaryClients, retentionClients, subscribers, consumers, ...(group !== undefined && { group }) }
}

function configurationOf(members: readonly NodeId[], plan: SeedPlan): Configuration {
  return {
    cluster: 'c0'.repeat(16),
    epoch: 1,
    protocol: '@synod/consensus-paxos',
    protocolOptions: JSON.stringify(plan.protocolOptions),
    voters: members.map((node, at) => ({ node, incarnation: (at + 1).toString(16).padStart(2, '0').repeat(16) })),
  }
}

function genesisOf(node: NodeId, configuration: Configuration): Genesis {
  return { node, incarnation: configuration.voters.find((voter) => voter.node === node)?.incarnation ?? '', configuration }
}
