/**
 * The LogStore port: what one node keeps. Records are protocol-neutral and sparse, each names its epoch, and a batch of
 * operations is atomic (the idea of OmniPaxos' storage operations). One process owns a store at a time.
 */
import type { Bytes } from '@synod/codec'
import type { NodeId } from '@synod/transport'
import type { Genesis } from './configuration.ts'
import type { Epoch, Index } from './slot.ts'

export type StoreOperation =
  /** A small named value; replaces the former one. Epoch 0 is the log's own, else a promised ballot, a term and vote… */
  | { readonly op: 'meta'; readonly epoch: Epoch; readonly key: string; readonly value: Bytes }
  /** What stands at an index, decided or not: sparse, may overwrite. The header is the protocol's. */
  | { readonly op: 'slot'; readonly epoch: Epoch; readonly index: Index; readonly header: Bytes; readonly entry: Bytes }
  /** Forgets every slot at or above the index (Raft drops a conflicting suffix). Never reaches down to `decidedThrough`. */
  | { readonly op: 'truncateFrom'; readonly epoch: Epoch; readonly index: Index }
  /** Every slot of the epoch up to here holds its decided entry. Never lowered: a lower one is ignored. */
  | { readonly op: 'decidedThrough'; readonly epoch: Epoch; readonly index: Index }

export interface StoredSlot {
  readonly index: Index
  readonly header: Bytes
  readonly entry: Bytes
}

/** Part of an entry that lies in the store. */
export interface Slice {
  readonly epoch: Epoch
  readonly index: Index
  readonly offset: number
  readonly length: number
}

/** A range of slots whose space is given back together. The pieces of an epoch lie side by side from index 1. */
export interface Piece {
  /** Inclusive, both. */
  readonly from: Index
  readonly to: Index
  /** Bytes of the parts that are left; absent as long as its slots are whole. */
  readonly keptBytes?: number
}

/** What of a slot's entry will be asked for again. */
export interface KeptSlot {
  readonly index: Index
  /** Ascending, none empty, none overlaps another. */
  readonly parts: readonly { readonly offset: number; readonly length: number }[]
}

export interface LogStore {
  /**
   * Takes the store over: raises `boot`, so that another process on the same store fails at its next write. Throws a
   * StoreError: `wrong_node` or `wrong_cluster` (and then nothing was raised), `unsafe_settings`, `newer_schema`, `damaged`, `unavailable`.
   */
  open(self: NodeId, cluster?: string): Promise<Recovered>
  /** Writes the genesis record into an empty store; again with the same record it does nothing. StoreError `already_founded` otherwise. Callable before `open` only. */
  found(genesis: Genesis): Promise<void>
  /**
   * Atomic; resolves when durable. May be called again before it resolves: calls take effect in order and may merge.
   * Rejects with a StoreError once (`fenced`, `disk_full`, `unavailable`), and then the store is dead: every later call
   * rejects with the same error and nothing more was written. The bytes must not change before it resolves. An operation
   * that cannot be (an index below 1, a truncation down to `decidedThrough`) is a bug above: a RangeError, and nothing of
   * the batch is written.
   */
  write(operations: readonly StoreOperation[]): Promise<void>
  /**
   * Slots from `from` to `to` inclusive that are there, ascending, in batches of bounded bytes. Throws StoreError `damaged` for
   * a row that fails its checksum, `reclaimed` where it comes upon a piece that was reclaimed.
   */
  read(epoch: Epoch, from: Index, to: Index): AsyncIterable<readonly StoredSlot[]>
  /** The parts asked for, in that order; undefined for one that was reclaimed, be it in part. Throws StoreError `missing` when one is not there. */
  slices(requests: readonly Slice[]): Promise<(Bytes | undefined)[]>
  /** Those that end at or below `through`, ascending. The last one is not among them as long as slots may be added to it. */
  pieces(epoch: Epoch, through: Index): readonly Piece[]
  /**
   * Gives space back: of this piece only what is kept will be asked for, by `slices`, at its old offset. Its slots stay
   * decided, and are never read whole again. What is kept is asked for while it is copied, ascending by index; a slot that is
   * not named keeps nothing. Atomic: before it resolves, and when it rejects, the piece may be as it was. Pieces may be one
   * afterwards. Again it keeps less still. Rejects with a StoreError: `reclaimed` when something to be kept is gone,
   * `unavailable` when it may be tried again; with a RangeError when there is no such piece, or it is not decided as a whole.
   */
  reclaim(epoch: Epoch, piece: Piece, keep: AsyncIterable<readonly KeptSlot[]>): Promise<void>
  /** Bytes of storage used and rows written and the like: names become metric labels. */
  counters(): Readonly<Record<string, number>>
  /** Lets outstanding writes finish. Idempotent. */
  close(): Promise<void>
}

export interface LogStoreOptions {
  /** What the config file says under the store's `options`. */
  readonly options?: unknown
  /** Told what an operator should know and what is no reason to refuse. Default: nobody is told. */
  readonly warn?: (message: string) => void
  /** Told after every transaction that is durable now: how long that took, and what it held. Default: nobody. */
  readonly onCommit?: (commit: StoreCommit) => void
}

/** What one transaction of a store cost. */
export interface StoreCommit {
  /** From handing it to the database until it was durable. */
  readonly milliseconds: number
  /** Calls of `write` that it made durable. */
  readonly writes: number
  /** Of entries, headers and values. */
  readonly bytes: number
}

/** A log-store package exports one of these under the name `store`, so that a config file can name the package. */
export interface LogStoreFactory {
  readonly name: string
  /** Validates the options and throws a StoreError `invalid_options`. Touches nothing: `found` and `open` of the store do. */
  create(options: LogStoreOptions): LogStore
}

export interface RecoveredEpoch {
  readonly epoch: Epoch
  readonly meta: ReadonlyMap<string, Bytes>
  readonly decidedThrough: Index
  /** Every slot above `decidedThrough`, ascending, sparse. */
  readonly window: readonly StoredSlot[]
  /** The highest index that was reclaimed; absent when none was. */
  readonly reclaimedThrough?: Index
}

export interface Recovered {
  /** One more at every open, from 1, durable. */
  readonly boot: number
  /** Absent in a store that was never founded, or was wiped: it must not vote. */
  readonly genesis?: Genesis
  /** Ascending; only those of which something is stored. Epoch 0 has only `meta`. */
  readonly epochs: readonly RecoveredEpoch[]
}

export class StoreError extends Error {
  readonly code:
    | 'wrong_node'
    | 'wrong_cluster'
    | 'already_founded'
    | 'unsafe_settings'
    | 'newer_schema'
    | 'invalid_options'
    | 'fenced'
    | 'damaged'
    | 'missing'
    | 'reclaimed'
    | 'disk_full'
    | 'unavailable'
    | 'closed'
  constructor(code: StoreError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StoreError'
    this.code = code
  }
}

/** For `open`: throws when the store belongs to somebody else than asks. Before anything is raised: its owner may be running. */
export function requireOwner(genesis: Genesis | undefined, self: NodeId, cluster: string | undefined): void {
  if (genesis === undefined) return
  if (genesis.node !== self)
    throw new StoreError('wrong_node', `this store belongs to node ${genesis.node}, not to ${self}: give ${self} the address of its own`)
  const { configuration } = genesis
  if (cluster !== undefined && configuration.cluster !== cluster)
    throw new StoreError(
      'wrong_cluster',
      `this store belongs to cluster ${configuration.cluster}, not to ${cluster}: give ${self} the address of its own`,
    )
}

/** For `read`: the slot lies in a piece that was reclaimed. */
export function reclaimedError(epoch: Epoch, index: Index): StoreError {
  return new StoreError(
    'reclaimed',
    `slot ${index} of epoch ${epoch} was reclaimed: only what is visible of it is left, and it cannot be read whole; a node that needs it must be replaced`,
  )
}
