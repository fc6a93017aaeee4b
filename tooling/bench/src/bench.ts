/**
 * One run: every store is started once, all at the beginning, and the rounds of a work alternate between them, so that what else
 * happens on the machine meets all of them alike. A store that is not measured just now idles. A figure is the median of its rounds.
 */
import { ServerError } from '@synod/servers'
import { appendWork, type AppendFigures } from './append-work.ts'
import { BenchError } from './bench-error.ts'
import type { BenchPlan, Work, WorkOptions } from './bench-plan.ts'
import { compare, type Comparison } from './compare.ts'
import { conditionalWork, type ConditionalFigures } from './conditional-work.ts'
import { eventBytes } from './event-body.ts'
import { liveWork, type LiveFigures } from './live-work.ts'
import { describeMachine, type Machine } from './machine.ts'
import { memoryWork, type MemoryFigures } from './memory-work.ts'
import { processorSeconds } from './processor-time.ts'
import { replayWork, type ReplayFigures } from './replay-work.ts'
import { stores } from './stores.ts'
import type { RunningStore, StoreKey, Target } from './target.ts'

export interface BenchResult {
  readonly version: 2
  readonly startedAt: string
  readonly machine: Machine
  readonly plan: BenchPlan
  readonly eventBytes: number
  /** Processor time of all stores together while none is under load, as cores: what those that wait take from the one at work. */
  readonly idleCores?: number
  /** A load after the other; within it Synod first. */
  readonly append: readonly AppendFigures[]
  readonly conditional: readonly ConditionalFigures[]
  readonly replay: readonly ReplayFigures[]
  readonly live: readonly LiveFigures[]
  readonly memory: readonly MemoryFigures[]
  readonly comparisons: readonly Comparison[]
  /** Stores that are not here, and why. */
  readonly missing: readonly Missing[]
}

export interface Missing {
  readonly store: string
  readonly why: string
}

export interface BenchOptions extends WorkOptions {
  readonly stores: readonly StoreKey[]
  readonly works: readonly Work[]
}

const idleMilliseconds = 1_000

/** Starts the stores, measures, and leaves nothing behind. @throws BenchError, ServerError, or the signal's reason */
export async function bench(options: BenchOptions): Promise<BenchResult> {
  const startedAt = new Date().toISOString()
  const machine = describeMachine()
  const running: RunningStore[] = []
  const missing: Missing[] = []
  try {
    await startStores(options, running, missing)
    const targets = running.flatMap((store) => store.targets).filter(({ key }) => options.stores.includes(key))
    if (targets.length === 0) throw new BenchError(`nothing to measure: ${missing.map(({ why }) => why).join('; ')}`)
    const idleCores = await measureIdle(targets)
    const { works } = options
    const append = works.includes('append') ? await appendWork(targets, options) : []
    const conditional = works.includes('conditional') ? await conditionalWork(targets, options) : []
    const replay = works.includes('replay') ? await replayWork(targets, options) : []
    const live = works.includes('live') ? await liveWork(targets, options) : []
    const memory = works.includes('memory') ? await memoryWork(targets, options) : []
    const figures = { append, conditional, replay, live, memory }
    if (Object.values(figures).every((one) => one.length === 0))
      throw new BenchError(`${options.stores.join(', ')}: nothing to measure for ${works.join(', ')}`)
    const idle = idleCores === undefined ? {} : { idleCores }
    return { version: 2, startedAt, machine, plan: options.plan, eventBytes, ...idle, ...figures, comparisons: compare(figures), missing }
  } catch (error) {
    options.signal.throwIfAborted() // its reason says more than what it broke
    throw error
  } finally {
    options.report('stopping')
    await Promise.all(running.map((store) => store.close()))
  }
}

/** All at once; they stand in the order of the table. */
async function startStores({ stores: wanted, report, signal }: BenchOptions, running: RunningStore[], missing: Missing[]): Promise<void> {
  const starting = stores.filter(({ keys }) => keys.some((key) => wanted.includes(key)))
  for (const { name } of starting) report(`starting ${name}`)
  const outcomes = await Promise.allSettled(starting.map((store) => store.start(signal)))
  const failures: unknown[] = []
  for (const [index, outcome] of outcomes.entries()) {
    const name = starting[index]?.name ?? ''
    if (outcome.status === 'fulfilled') {
      running.push(outcome.value)
    } else if (outcome.reason instanceof ServerError && ['nats_not_found', 'etcd_not_found'].includes(outcome.reason.code)) {
      report(`missing ${name}: ${outcome.reason.message}`)
      missing.push({ store: name, why: outcome.reason.message })
    } else {
      failures.push(outcome.reason)
    }
  }
  if (failures.length > 0) throw failures[0]
}

async function measureIdle(targets: readonly Target[]): Promise<number | undefined> {
  const pids = [...new Set(targets.flatMap((target) => target.pids))]
  const [before, startedAt] = [processorSeconds(pids), performance.now()]
  await new Promise((resolve) => setTimeout(resolve, idleMilliseconds))
  const after = processorSeconds(pids)
  return before === undefined || after === undefined ? undefined : ((after - before) / (performance.now() - startedAt)) * 1000
}
