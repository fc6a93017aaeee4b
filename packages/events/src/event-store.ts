/**
 * What a node's API offers: append, read, subscribe. Names and semantics follow docs/ and the field: a stream's events are
 * numbered by revision from 0, all events by position from 1, densely.
 */
import type { Bytes } from '@synod/codec'
import type { ConsumerGroups } from './groups/consumer-groups.ts'
import type { StreamRetention } from './retention/stream-retention.ts'

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

/** One write of an append to several streams. */
export interface StreamEvents {
  readonly stream: string
  /** At least one. */
  readonly events: readonly ProposedEvent[]
  /** Absent: any. */
  readonly expected?: Expected
}

export interface StreamRecords {
  readonly stream: string
  /** As in an AppendRecordsRequest. */
  readonly records: readonly Bytes[]
  readonly expected?: Expected
}

/** A stream that is not written, and must be as expected all the same. */
export interface StreamCheck {
  readonly stream: string
  readonly expected: Expected
}

/** An event matches when its type is one of the types and it has each of the tags. What is absent or empty asks for nothing. */
export interface QueryItem {
  readonly types?: readonly string[]
  readonly tags?: readonly string[]
}

/** An event matches when it matches one of the items. At least one. */
export interface EventQuery {
  readonly items: readonly QueryItem[]
}

/** The dynamic consistency boundary of dcb.events: nothing is appended when an event matches. */
export interface AppendCondition {
  readonly failIfEventsMatch: EventQuery
  /** Events at or below this position do not count. Absent: all count. */
  readonly after?: number
}

/** All or nothing. Each stream once, in writes and checks together. */
export interface AtomicAppendRequest {
  /** At least one. */
  readonly writes: readonly StreamEvents[]
  readonly checks?: readonly StreamCheck[]
  readonly condition?: AppendCondition
  readonly idempotencyKey?: string
  readonly principal?: string
}

export interface AtomicRecordsRequest {
  readonly writes: readonly StreamRecords[]
  readonly checks?: readonly StreamCheck[]
  readonly condition?: AppendCondition
  readonly principal?: string
}

export interface AtomicallyAppended {
  /** Of the last event. */
  readonly position: number
  /** In the order of the writes; the revision is that of the stream's last event of the request. */
  readonly streams: readonly { readonly stream: string; readonly revision: number }[]
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
  /** The read waits until this node has applied this position: what was appended anywhere is read here, with consistency `local` too. */
  readonly atLeast?: number
  readonly signal?: AbortSignal
}

/** What is there passes when every part that is given lets it. Evaluated by the node, on its indexes. */
export interface EventFilter {
  /** Any of the items, as in a condition. */
  readonly items?: readonly QueryItem[]
  /** The stream's name begins with one of these. */
  readonly prefixes?: readonly string[]
  /** The part of the stream's name before the first `-` (all of it when there is none) is one of these. */
  readonly categories?: readonly string[]
}

export interface QueryOptions extends ReadOptions {
  readonly filter: EventFilter
}

export interface QueryPage {
  readonly events: readonly RecordedEvent[]
  /**
   * Forward: every event at or below was considered, so it is the next `from` less 1, and an `after` for a condition. Backward:
   * every event at or above was.
   */
  readonly considered: number
  /** Nothing more in this direction, as of the read. */
  readonly isEnd: boolean
}

/** Cheap answers: does it exist, how long is it, what is its last event. Rejects with `stream_not_found` when there is none. */
export interface StreamInfo {
  readonly stream: string
  /** The first and the last revision that a read gives. The first is one more than the last when all events are hidden. */
  readonly firstRevision: number
  readonly lastRevision: number
  /** Visible events: `lastRevision - firstRevision + 1`. */
  readonly length: number
  /** Absent when no event is visible. */
  readonly lastEvent?: RecordedEvent
}

export interface StreamInfoOptions {
  readonly consistency: Consistency
  readonly atLeast?: number
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
  /** Of all streams only. */
  readonly filter?: EventFilter
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
  /** Several streams, all or nothing, with checks on others and a condition. */
  appendAtomically(request: AtomicAppendRequest, options?: { readonly signal?: AbortSignal }): Promise<AtomicallyAppended>
  /** The same, for events that are encoded already. */
  appendRecordsAtomically(request: AtomicRecordsRequest, options?: { readonly signal?: AbortSignal }): Promise<AtomicallyAppended>
  readStream(stream: string, options: ReadOptions): Promise<readonly RecordedEvent[]>
  readAll(options: ReadOptions): Promise<readonly RecordedEvent[]>
  /** Of all streams, those that pass the filter; `limit` counts them. A page may be empty and not the end: a rare filter is read in bounded steps. */
  query(options: QueryOptions): Promise<QueryPage>
  streamInfo(stream: string, options: StreamInfoOptions): Promise<StreamInfo>
  /** What streams keep. */
  readonly retention: StreamRetention
  readonly groups: ConsumerGroups
  /** Replays, then follows, on one path without a seam. Ends when the signal aborts or the store closes. A slow reader costs bounded memory. */
  subscribe(options: SubscribeOptions): AsyncIterable<SubscriptionMessage>
  /** The last position applied here. */
  position(): number
  close(): Promise<void>
}
