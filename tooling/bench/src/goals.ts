import type { StoreKey } from './target.ts'

/** A goal of the project for one of its figures divided by that of another store in the same run. */
export interface Goal {
  readonly work: 'append' | 'replay' | 'live'
  /** Of appends. */
  readonly inFlight?: number
  readonly store: StoreKey
  readonly peer: StoreKey
  readonly measure: Measure
  readonly atLeast?: number
  readonly atMost?: number
}

export type Measure = 'appendsPerSecond' | 'eventsPerSecond' | 'p50Milliseconds' | 'p99Milliseconds'

export const goals: readonly Goal[] = [
  { work: 'append', inFlight: 256, store: 'synod', peer: 'jetstream', measure: 'appendsPerSecond', atLeast: 1.5 },
  { work: 'append', inFlight: 256, store: 'synod', peer: 'etcd', measure: 'appendsPerSecond', atLeast: 6 },
  { work: 'append', inFlight: 256, store: 'synod-nats', peer: 'jetstream', measure: 'appendsPerSecond', atLeast: 1 },
  { work: 'append', inFlight: 1, store: 'synod', peer: 'etcd', measure: 'p50Milliseconds', atMost: 1 },
  { work: 'replay', store: 'synod', peer: 'jetstream', measure: 'eventsPerSecond', atLeast: 1 },
  { work: 'live', store: 'synod', peer: 'jetstream', measure: 'p99Milliseconds', atMost: 3 },
]

/** Appends under a condition, divided by plain ones of the same run and load. */
export const conditionalShareGoal = 0.5

/** Of a node's own process under full load. */
export const residentBytesGoal = 400 * 2 ** 20
