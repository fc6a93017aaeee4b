/**
 * One run: every store is started once, all at the beginning, and the rounds alternate between them, so that what else happens on
 * the machine meets all of them alike. A store that is not measured just now idles. The figure of a store under a load is the
 * median of its rounds.
 */
import { ServerError } from '@synod/servers'
import { eventBody, eventBytes } from './event-body.ts'
import { jetstreamTarget } from './jetstream-target.ts'
import { describeMachine, type Machine } from './machine.ts'
import { medianOf } from './median-of.ts'
import { runRound, type Round } from './run-round.ts'
import { synodTarget } from './synod-target.ts'
import type { Target } from './target.ts'

export interface BenchPlan {
  readonly rounds: number
  readonly roundMilliseconds: number
  /** Before the first round of a store under a load; not counted. */
  readonly warmUpMilliseconds: number
  /** Appends in flight, one load each. */
  readonly loads: readonly number[]
}

export interface Figures {
  readonly store: string
  readonly durable: string
  readonly client: string
  readonly inFlight: number
  readonly median: Pick<Round, 'appendsPerSecond' | 'p50Milliseconds' | 'p99Milliseconds' | 'generatorCores'>
  readonly rounds: readonly Round[]
}

export interface BenchResult {
  readonly version: 1
  readonly startedAt: string
  readonly machine: Machine
  readonly plan: BenchPlan
  readonly eventBytes: number
  /** A load after the other; within it Synod first. */
  readonly figures: readonly Figures[]
  /** Synod's median divided by that of another store. */
  readonly ratios: readonly {
    readonly store: string
    readonly inFlight: number
    readonly appendsPerSecond: number
    readonly p50: number
    readonly p99: number
  }[]
  /** Stores that are not here, and why. */
  readonly missing: readonly { readonly store: string; readonly why: string }[]
}

export interface BenchOptions {
  readonly plan: BenchPlan
  /** Progress, for people. */
  readonly report: (message: string) => void
  readonly signal: AbortSignal
}

/** Starts the stores, measures, and leaves nothing behind. @throws BenchError, ServerError, or the signal's reason */
export async function bench({ plan, report, signal }: BenchOptions): Promise<BenchResult> {
  const startedAt = new Date().toISOString()
  const machine = describeMachine()
  const missing: { store: string; why: string }[] = []
  const data = eventBody()
  const targets: Target[] = []
  try {
    report('starting Synod: three nodes with a Postgres each')
    targets.push(await synodTarget(data, signal))
    try {
      report('starting three nats-servers')
      targets.push(await jetstreamTarget(data, signal))
    } catch (error) {
      if (!(error instanceof ServerError) || error.code !== 'nats_not_found') throw error
      report(error.message)
      missing.push({ store: 'JetStream R3', why: error.message })
    }
    const figures: Figures[] = []
    for (const inFlight of plan.loads) figures.push(...(await runLoad(targets, inFlight, { plan, report, signal })))
    return { version: 1, startedAt, machine, plan, eventBytes, figures, ratios: ratiosOf(figures), missing }
  } finally {
    report('stopping')
    await Promise.all(targets.map((target) => target.close()))
  }
}

async function runLoad(targets: readonly Target[], inFlight: number, { plan, report, signal }: BenchOptions): Promise<Figures[]> {
  const measured = targets.map((target) => ({ target, rounds: [] as Round[] }))
  for (const target of targets) await runRound(target, { inFlight, milliseconds: plan.warmUpMilliseconds, signal })
  for (let round = 1; round <= plan.rounds; round++) {
    for (const { target, rounds } of measured) {
      const one = await runRound(target, { inFlight, milliseconds: plan.roundMilliseconds, signal })
      rounds.push(one)
      report(`${inFlight} in flight, round ${round} of ${plan.rounds}: ${target.name} ${Math.round(one.appendsPerSecond)} appends/s`)
    }
  }
  return measured.map(({ target: { name, durable, client }, rounds }) => ({
    store: name,
    durable,
    client,
    inFlight,
    median: {
      appendsPerSecond: medianOf(rounds.map((round) => round.appendsPerSecond)),
      p50Milliseconds: medianOf(rounds.map((round) => round.p50Milliseconds)),
      p99Milliseconds: medianOf(rounds.map((round) => round.p99Milliseconds)),
      generatorCores: medianOf(rounds.map((round) => round.generatorCores)),
    },
    rounds,
  }))
}

function ratiosOf(figures: readonly Figures[]): BenchResult['ratios'] {
  const synod = new Map(figures.filter(({ store }) => store === 'Synod').map((own) => [own.inFlight, own.median]))
  return figures.flatMap(({ store, inFlight, median }) => {
    const own = synod.get(inFlight)
    if (own === undefined || store === 'Synod') return []
    return [
      {
        store,
        inFlight,
        appendsPerSecond: own.appendsPerSecond / median.appendsPerSecond,
        p50: own.p50Milliseconds / median.p50Milliseconds,
        p99: own.p99Milliseconds / median.p99Milliseconds,
      },
    ]
  })
}
