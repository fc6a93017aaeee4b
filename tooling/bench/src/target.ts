/** A store under load, reached in one way. */
export interface Target {
  readonly key: StoreKey
  readonly name: string
  /** What is true of an event when its append is answered. */
  readonly durable: string
  /** How the load reaches it. */
  readonly client: string
  /** The store's processes, without the load; their descendants count as well. */
  readonly pids: readonly number[]
  /** Opens what a load of this many at once needs; later calls of `append` use it. */
  prepare(inFlight: number): Promise<void>
  /** Appends one event; resolves when the store acknowledged it, rejects in any other case. `turn` counts up and chooses the stream. */
  append(turn: number): Promise<void>
  readonly conditional?: ConditionalDoor
  readonly replay?: ReplayDoor
  readonly live?: LiveDoor
  /** Of a store that has nodes of its own kind. */
  nodes?(): Promise<readonly NodeProcess[]>
}

export interface NodeProcess {
  readonly id: string
  readonly pid: number
  /** Of the postmaster of its database. */
  readonly postgresPid: number
  readonly isLeader: boolean
}

/** Appends under a condition on events that are there or not, which the store judges. */
export interface ConditionalDoor {
  readonly condition: string
  /** Appends one event under a condition that holds; resolves when the store acknowledged it, rejects in any other case. */
  append(): Promise<void>
}

/** Reads old events in their order, each of them parsed. */
export interface ReplayDoor {
  /** How it reads. */
  readonly reader: string
  /** Appends this many events, so that `read` finds them; called once. */
  fill(count: number): Promise<void>
  /** Resolves when the last of `count` events, read from the first on, has been parsed. */
  read(count: number, signal: AbortSignal): Promise<void>
}

/** Hands new events to a subscriber that waits for them. */
export interface LiveDoor {
  readonly subscriber: string
  /** Settles when the subscription is live; `onEvent` gets the number of each event that was published after that. */
  subscribe(onEvent: (number: number) => void, signal: AbortSignal): Promise<{ close(): Promise<void> }>
  /** Appends an event that carries this number; resolves when the store acknowledged it. */
  publish(number: number): Promise<void>
}

/** What runs, and every way to reach it that is measured. */
export interface RunningStore {
  readonly targets: readonly Target[]
  /** Stops all that runs and removes its data. Idempotent. */
  close(): Promise<void>
}

export const storeKeys = ['synod', 'synod-nats', 'synod-http', 'jetstream', 'etcd', 'emmett'] as const
export type StoreKey = (typeof storeKeys)[number]

/** Appends go to as many streams (subjects, prefixes of keys) by turns. */
export const streamsCount = 1_024
