/**
 * The Protocol port: a consensus core as a pure, synchronous, deterministic state machine, after etcd raft's `Ready`. No
 * clock but the ticks it is handed, no I/O, no promise, no randomness but the seed. The same code runs in production, in
 * the simulator and in the explorer. A core keeps the undecided window only; what is decided is served by the runtime.
 */
import type { Bytes } from '@synod/codec'
import type { Capabilities, Epoch, Index, RecoveredEpoch, StoreOperation } from '@synod/log'
import type { NodeId } from '@synod/transport'
import type { Quorums } from './quorums.ts'

/** A durability ticket, counted up by the core from 1; `durable` with a token covers every token up to it. */
export type Token = number

export type Input<M> =
  /** Milliseconds of a monotonic clock. Comes every few tens of milliseconds. */
  | { readonly kind: 'tick'; readonly now: number }
  | { readonly kind: 'message'; readonly from: NodeId; readonly message: M }
  /** Decide this entry at some index. The id is unique in this boot. */
  | { readonly kind: 'offer'; readonly id: number; readonly entry: Bytes }
  /** Wanted: an index at or above everything acknowledged anywhere before this input. */
  | { readonly kind: 'barrier'; readonly id: number }
  | { readonly kind: 'durable'; readonly token: Token }
  /** Entries are missing here, from and to inclusive: drive rounds, or fetch, or do nothing when it is under way. */
  | { readonly kind: 'want'; readonly from: Index; readonly to: Index }
  /** A peer knew the *decision*: a round that is under way for it is interrupted. */
  | { readonly kind: 'learn'; readonly index: Index; readonly header: Bytes; readonly entry: Bytes }
  /** Give leadership up, to the fittest. */
  | { readonly kind: 'stepDown' }

export type Effect<M> =
  /** To be made durable, in the order of emission; `durable` reports it. */
  | { readonly kind: 'persist'; readonly token: Token; readonly operations: readonly StoreOperation[] }
  /** Waits until every `persist` emitted before it is durable, unless it reveals nothing that is not. Never to self. */
  | { readonly kind: 'send'; readonly to: readonly NodeId[]; readonly message: M; readonly reveals?: 'nothing' }
  /** In any order, doubled if need be: the runtime sorts, and waits until the slot is durable here. The slot was persisted before, with this entry. */
  | { readonly kind: 'decide'; readonly index: Index; readonly header: Bytes; readonly entry: Bytes }
  /** An offer or a barrier ended: `offered` decided · `refused` sent nowhere · `abandoned` unknown. A barrier is only ever refused. Every id is settled once (a barrier alternatively by `readAt`). */
  | { readonly kind: 'settle'; readonly id: number; readonly as: 'offered' | 'refused' | 'abandoned' }
  | { readonly kind: 'readAt'; readonly id: number; readonly index: Index }
  | { readonly kind: 'role'; readonly role: string; readonly leader?: NodeId; readonly available: boolean; readonly why?: string }
  /** The runtime gets decided entries from peers, this one first, and hands them in by `learn`. A second one replaces the first. */
  | { readonly kind: 'fetch'; readonly from: Index; readonly to: Index; readonly peer?: NodeId }
  /** For people: elections, rounds, conflicts. Cheap to ignore. */
  | { readonly kind: 'trace'; readonly event: string; readonly data: Readonly<Record<string, unknown>> }

export interface Protocol<M> {
  step(input: Input<M>): readonly Effect<M>[]
  /** An independent copy: the explorer branches without replay. */
  fork(): Protocol<M>
  /** The whole state as canonical text, nodes renamed: for visited sets, symmetry and determinism checks. */
  digest(rename?: (node: NodeId) => NodeId): string
  /** The highest index known decided, in order or not. */
  readonly decidedHigh: Index
  /** `decode` throws a MalformedError. */
  readonly codec: { encode(message: M): Bytes; decode(bytes: Bytes): M }
}

export interface ProtocolOptions {
  readonly self: NodeId
  readonly epoch: Epoch
  readonly boot: number
  readonly members: readonly NodeId[]
  readonly quorums: Quorums
  readonly recovered: RecoveredEpoch
  readonly seed: number
  /** What closes a hole: an encoded entry that does nothing. */
  readonly noop: Bytes
}

/** A protocol with its cluster-wide options settled. */
export interface ProtocolDefinition<M> {
  readonly name: string
  /** For people, for instance `multi`. */
  readonly mode: string
  readonly capabilities: Capabilities
  quorums(members: readonly NodeId[]): Quorums
  open(options: ProtocolOptions): Protocol<M>
}

/** A consensus package exports one of these under the name `protocol`. Throws a RangeError that says which option is wrong. */
export type ProtocolFactory<M> = (options: unknown) => ProtocolDefinition<M>
