import type { AppendFigures } from './append-work.ts'
import { goals, type Goal, type Measure } from './goals.ts'
import type { LiveFigures } from './live-work.ts'
import type { ReplayFigures } from './replay-work.ts'
import type { StoreKey } from './target.ts'

/** A figure of Synod's divided by the same one of another store. */
export interface Comparison {
  readonly work: Goal['work']
  readonly inFlight?: number
  readonly store: StoreKey
  readonly peer: StoreKey
  readonly ratios: Readonly<Partial<Record<Measure, number>>>
  readonly goal?: { readonly measure: Measure; readonly atLeast?: number; readonly atMost?: number; readonly isMet: boolean }
}

interface Measured {
  readonly store: StoreKey
  readonly inFlight?: number
  readonly median: Readonly<Partial<Record<Measure, number>>>
}

const measures: readonly Measure[] = ['appendsPerSecond', 'eventsPerSecond', 'p50Milliseconds', 'p99Milliseconds']

/** Every pair that has a goal, and the first of Synod's targets beside every other store. */
export function compare(figures: {
  readonly append: readonly AppendFigures[]
  readonly replay: readonly ReplayFigures[]
  readonly live: readonly LiveFigures[]
}): Comparison[] {
  const loads = Map.groupBy(figures.append, ({ inFlight }) => inFlight)
  return [
    ...[...loads].flatMap(([inFlight, ofLoad]) => compareWork('append', ofLoad, inFlight)),
    ...compareWork('replay', figures.replay),
    // The rate of an open loop says nothing about a store.
    ...compareWork(
      'live',
      figures.live.map(({ store, median: { p50Milliseconds, p99Milliseconds } }) => ({
        store,
        median: { p50Milliseconds, p99Milliseconds },
      })),
    ),
  ]
}

function compareWork(work: Goal['work'], figures: readonly Measured[], inFlight?: number): Comparison[] {
  const own = figures.filter(({ store }) => isSynod(store))
  const peers = figures.filter(({ store }) => !isSynod(store))
  return own.flatMap((measured, index) =>
    peers.flatMap((peer) => {
      const goal = goals.find(
        (one) => one.work === work && one.inFlight === inFlight && one.store === measured.store && one.peer === peer.store,
      )
      return goal === undefined && index > 0 ? [] : [comparison(work, measured, peer, goal)]
    }),
  )
}

function comparison(work: Goal['work'], own: Measured, peer: Measured, goal: Goal | undefined): Comparison {
  const ratios: Partial<Record<Measure, number>> = {}
  for (const measure of measures) {
    const [value, other] = [own.median[measure], peer.median[measure]]
    if (value !== undefined && other !== undefined && other > 0) ratios[measure] = value / other
  }
  return {
    work,
    ...(own.inFlight !== undefined && { inFlight: own.inFlight }),
    store: own.store,
    peer: peer.store,
    ratios,
    ...(goal !== undefined && { goal: judged(goal, ratios[goal.measure]) }),
  }
}

function judged({ measure, atLeast, atMost }: Goal, ratio: number | undefined): NonNullable<Comparison['goal']> {
  const isMet = ratio !== undefined && ratio >= (atLeast ?? 0) && ratio <= (atMost ?? Infinity)
  return { measure, ...(atLeast !== undefined && { atLeast }), ...(atMost !== undefined && { atMost }), isMet }
}

function isSynod(store: StoreKey): boolean {
  return store.startsWith('synod')
}
