/**
 * What a node's API offers: append, read, subscribe. Names and semantics follow docs/ and the field: a stream's events are
 * numbered by revision from 0, all events by position from 1, densely.
 */
import type { Bytes } from '@synod/codec'

export type Expected = 'any' | 'noStream' | 'streamExists' | number
export type Direction = 'forward' | 'backward'
/** `linearizable` sees everything acknowledged anywhere before the read began; `local` is what this node has. */
export type Consistency = 'linearizable' | 'local'

export interface ProposedEvent {
  /** A UUID; drawn when absent. The same ids make the same append. */
  readonly id?: string
  readonly type: string
  /** JSON text as UTF-8. */
  readonly data: Bytes
  readonly metadata?: Bytes
  readonly tags?: readonly string[]
}

/** An event where it stands. What it says is in its record, which passes here as it is: `decodeRecord` of @synod/event-record reads it. */
export interface RecordedEvent {
  readonly stream: string
  readonly revision: number
  readonly position: number
  readonly record: Bytes
}

export interface AppendRequest {
  readonly stream: string
  /** At least one. */
  readonly events: readonly ProposedEvent[]
  readonly expected: Expected
  readonly idempotencyKey?: string
  readonly principal?: string
}

/** Events that somebody else encoded. */
export interface AppendRecordsRequest {
  readonly stream: string
  /**
   * At least one, as @synod/event-record encodes them. The time is written into them in place; their ids are the identity of
   * a retry. They are kept until the append has ended: whoever gave them must not change them meanwhile.
   */
  readonly records: readonly Bytes[]
  readonly expected: Expected
  readonly principal?: string
}

/** Of the last event of the request. */
export interface Appended {
  readonly revision: number
  readonly position: number
}

export interface ReadOptions {
  /** Inclusive. Absent: the beginning, or the end when backward. */
  readonly from?: number
  readonly direction?: Direction
  /** Events at most. The page may hold fewer (`pageBytesMax`); only an empty page is the end. */
  readonly limit: number
  readonly consistency: Consistency
  readonly signal?: AbortSignal
}

export type SubscriptionMessage =
  /** The next ones, at least one. */
  | { readonly kind: 'events'; readonly events: readonly RecordedEvent[] }
  /** The end was reached: everything up to the position was delivered. */
  | { readonly kind: 'caughtUp'; readonly position: number }
  /** The end ran ahead again, by so many positions. */
  | { readonly kind: 'fellBehind'; readonly position: number; readonly lag: number }
  /** Every event at or below was considered; a filtered subscription resumes from here. */
  | { readonly kind: 'checkpoint'; readonly position: number }

export interface SubscribeOptions {
  /** Absent: all streams. */
  readonly stream?: string
  /** Inclusive: a revision when a stream is named, else a position. Absent: the beginning. */
  readonly from?: number
  /** Instead of `from`: resume after this *position*, in a stream too. Nothing comes, no `caughtUp` either, until this node has reached it. */
  readonly afterPosition?: number
  /**
   * How many bytes of records the reader takes in its next message; asked before each, and waited for. The message ends with
   * the event that reaches it, or where the page does: nothing waits for company. Absent: one event a message.
   */
  readonly room?: () => number | Promise<number>
  readonly signal?: AbortSignal
}

/** Every method rejects with an EventStoreError. */
export interface EventStore {
  append(request: AppendRequest, options?: { readonly signal?: AbortSignal }): Promise<Appended>
  /** The same rules and limits, for events that are encoded already: they are neither decoded into a command nor encoded again. */
  appendRecords(request: AppendRecordsRequest, options?: { readonly signal?: AbortSignal }): Promise<Appended>
  readStream(stream: string, options: ReadOptions): Promise<readonly RecordedEvent[]>
  readAll(options: ReadOptions): Promise<readonly RecordedEvent[]>
  /** Replays, then follows, on one path without a seam. Ends when the signal aborts or the store closes. A slow reader costs bounded memory. */
  subscribe(options: SubscribeOptions): AsyncIterable<SubscriptionMessage>
  /** The last position applied here. */
  position(): number
  close(): Promise<void>
}
