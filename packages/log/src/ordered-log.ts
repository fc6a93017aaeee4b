/** The OrderedLog port: what an application sees. No slot in `propose`, no leader in the API, three fates. */
import type { NodeId } from '@synod/transport'
import type { Bytes } from '@synod/codec'
import type { Entry } from './entry.ts'
import type { Envelope } from './envelope.ts'
import type { KeptSlot, Piece } from './log-store.ts'
import type { Capabilities } from './loglet.ts'
import type { Epoch, Slot } from './slot.ts'

export type Outcome<O> =
  /** Durable at a quorum, and applied in order here. */
  | { readonly fate: 'answered'; readonly slot: Slot; readonly output: O }
  /** Not executed and never will be: said only when this process sent the command nowhere. */
  | { readonly fate: 'never'; readonly why: 'busy' | 'notServing' | 'tooLarge' }
  /** It may have been executed, now or later. Propose it again with the same identity to learn more. */
  | { readonly fate: 'unknown'; readonly why: 'timeout' | 'closed' | 'sessionExpired' }

export interface LogStatus {
  readonly epoch: Epoch
  readonly protocol: string
  readonly mode: string
  readonly role: string
  readonly leader?: NodeId
  /** The highest slot known to be decided. */
  readonly decided: Slot
  readonly applied: Slot
  /** Of the chain up to `applied`, hexadecimal. Equal on every node at the same slot. */
  readonly hash: string
  readonly state: 'serving' | 'catchingUp' | 'unavailable' | 'wiped' | 'foreign' | 'stopped'
  /** For people: why the state is not `serving`. */
  readonly why?: string
}

/** Part of the entry at a slot. */
export interface SlotSlice {
  readonly slot: Slot
  readonly offset: number
  readonly length: number
}

/** The space of this node's own copy of the log. */
export interface LogSpace {
  /** No start of this node reads a slot up to here again: the log's state is saved there, and what the machine flushed is durable. */
  unneededThrough(): Slot
  /** As the LogStore's: ranges of slots whose space can be given back, up to `through`. */
  pieces(through: Slot): readonly Piece[]
  /** As the LogStore's. Rejects with a RangeError above `unneededThrough`. */
  reclaim(piece: Piece, keep: AsyncIterable<readonly KeptSlot[]>): Promise<void>
}

export interface OrderedLog<O> {
  readonly capabilities: Capabilities
  /** Resolves always; with `unknown` when the signal aborts. */
  propose(command: Envelope, options?: { readonly signal?: AbortSignal }): Promise<Outcome<O>>
  /** Opens a session: the answer's slot is its id. Resolves always. */
  openSession(options?: { readonly signal?: AbortSignal }): Promise<Outcome<undefined>>
  /** A linearization point, applied here when it resolves. Rejects with a LogError `unavailable`, `busy` or `aborted`. */
  read(options?: { readonly signal?: AbortSignal }): Promise<Slot>
  /** Applied entries, ascending, without a gap, each once, up to what is applied when the reader gets there; then it ends. Rejects with StoreError `reclaimed` for one whose space was given back. */
  entries(from: Slot, to?: Slot): AsyncIterable<{ readonly slot: Slot; readonly entry: Entry; readonly bytes: Bytes }>
  /** Parts of applied entries, in the order asked for; undefined for one whose space was given back. */
  slices(requests: readonly SlotSlice[]): Promise<(Bytes | undefined)[]>
  readonly space: LogSpace
  status(): LogStatus
  onStatus(listener: () => void): void
  counters(): Readonly<Record<string, number>>
  /** Hands leadership over if it has it. */
  stepDown(): Promise<void>
  close(): Promise<void>
}

export class LogError extends Error {
  readonly code: 'unavailable' | 'busy' | 'aborted' | 'closed' | 'unknown_version' | 'invalid_configuration'
  constructor(code: LogError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'LogError'
    this.code = code
  }
}
