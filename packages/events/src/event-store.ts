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

export interface RecordedEvent {
  readonly stream: string
  readonly revision: number
  readonly position: number
  readonly id: string
  readonly type: string
  readonly data: Bytes
  readonly metadata?: Bytes
  readonly tags: readonly string[]
  /** Milliseconds since 1970 by the proposing node's clock. It informs; nothing is decided by it. */
  readonly recordedAt: number
}

export interface AppendRequest {
  readonly stream: string
  /** At least one. */
  readonly events: readonly ProposedEvent[]
  readonly expected: Expected
  readonly idempotencyKey?: string
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
  | { readonly kind: 'event'; readonly event: RecordedEvent }
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
  readonly signal?: AbortSignal
}

/** Every method rejects with an EventStoreError. */
export interface EventStore {
  append(request: AppendRequest, options?: { readonly signal?: AbortSignal }): Promise<Appended>
  readStream(stream: string, options: ReadOptions): Promise<readonly RecordedEvent[]>
  readAll(options: ReadOptions): Promise<readonly RecordedEvent[]>
  /** Replays, then follows, on one path without a seam. Ends when the signal aborts or the store closes. A slow reader costs bounded memory. */
  subscribe(options: SubscribeOptions): AsyncIterable<SubscriptionMessage>
  /** The last position applied here. */
  position(): number
  close(): Promise<void>
}
