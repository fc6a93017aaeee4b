import type { NodeCounters } from '../compose-node.ts'
import type { NodeStatus } from '../node/node-view.ts'
import type { GroupSize } from './group-sizes.ts'

/** What a scrape looks at. */
export interface MetricsSource {
  readonly id: string
  readonly cluster: string
  readonly transport: string
  status(): NodeStatus
  /** Undefined until the node's packages are open. */
  counters?(): NodeCounters | undefined
}

/** What the node's surface holds. */
export interface SurfaceCounters {
  readonly http: Readonly<Record<string, number>>
  /** Of clients' connections. */
  readonly clients: Readonly<Record<string, number>>
  /** Not the surface's own, but asked for as it is: with a promise. */
  readonly groups: readonly GroupSize[]
}

export interface AllCounters extends NodeCounters, SurfaceCounters {}

/** Whose counters they are. */
export type Counting = Exclude<keyof AllCounters, 'peers' | 'groups'>

/** One look, for all metrics of a scrape. */
export interface Sample {
  readonly source: MetricsSource
  readonly status: NodeStatus
  readonly counters: AllCounters
}

const nothingYet: NodeCounters = { log: {}, store: {}, transport: {}, peers: new Map(), machine: {}, events: {} }

export function takeSample(source: MetricsSource, surface: SurfaceCounters): Sample {
  return { source, status: source.status(), counters: { ...(source.counters?.() ?? nothingYet), ...surface } }
}
