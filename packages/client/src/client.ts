/** What a client offers. `connect` makes one. */
import type { ClientStatus } from './client-status.ts'
import type { ConsumerGroups } from './consumer-groups.ts'
import type { Decided, DecideOptions, QueryDecider, StreamDecider } from './decision.ts'
import type { AppendCondition, EventFilter, EventQuery } from './event-query.ts'
import type { EventType, NewEvent, RecordedEvent } from './event-types.ts'
import type {
  DeleteStreamOptions,
  MetadataOptions,
  StreamInfo,
  StreamInfoOptions,
  StreamMetadata,
  StreamMetadataState,
} from './stream-facts.ts'

/** What an append assumes of its stream: a bigint is the stream's last revision. */
export type Expected = 'any' | 'noStream' | 'streamExists' | bigint

export interface AppendOptions {
  /** Default `any`. */
  readonly expected?: Expected
  /** Aborted, the promise rejects with the signal's reason; what was sent already may still happen. */
  readonly signal?: AbortSignal
}

/** Of the append's last event. */
export interface Appended {
  readonly revision: bigint
  readonly position: bigint
}

/** One write of an atomic append. */
export interface StreamWrite<E extends EventType = EventType> {
  readonly stream: string
  /** One or several. */
  readonly events: NewEvent<E> | readonly NewEvent<E>[]
  /** Default `any`. */
  readonly expected?: Expected
}

/** A stream that is not written, and has to be as expected all the same. */
export interface StreamCheck {
  readonly stream: string
  readonly expected: Expected
}

/** Each stream once, in writes and checks together. */
export interface AtomicWrites<E extends EventType = EventType> {
  /** At least one. */
  readonly writes: readonly StreamWrite<E>[]
  readonly checks?: readonly StreamCheck[]
  readonly condition?: AppendCondition
}

export interface AtomicallyAppended {
  /** Of the last event. */
  readonly position: bigint
  /** In the order of the writes, each with the revision of its last event. */
  readonly streams: readonly { readonly stream: string; readonly revision: bigint }[]
}

export interface ReadOptions {
  /** Inclusive: a revision in a stream, a position among all events. Default: the beginning, or the end when backward. */
  readonly from?: bigint
  /** Default `forward`. */
  readonly direction?: 'forward' | 'backward'
  /** Events at most. Default: to the end. */
  readonly limit?: number
  /** `linearizable` (default) sees everything acknowledged anywhere before each page was asked for; `local` is what one node has. */
  readonly consistency?: 'linearizable' | 'local'
  /** A node answers when it has applied this position: a local read sees your own append then, at any node. */
  readonly atLeast?: bigint
  readonly signal?: AbortSignal
}

export interface ReadAllOptions extends ReadOptions {
  /** Default: all events. `limit` counts those that pass. */
  readonly filter?: EventFilter
}

export interface QueryOptions {
  /** A position, inclusive. Default: the beginning. */
  readonly from?: bigint
  /** Events at most, up to 65,536. Default 4,096. */
  readonly limit?: number
  readonly consistency?: 'linearizable' | 'local'
  readonly atLeast?: bigint
  readonly signal?: AbortSignal
}

export interface QueryResult<E extends EventType = EventType> {
  readonly events: readonly RecordedEvent<E>[]
  /** Every event at or below was considered: the `after` of a condition that holds as long as nothing new matches. */
  readonly position: bigint
  /** False: the limit was reached. Query on from `position + 1n`. */
  readonly isEnd: boolean
}

export interface SubscribeOptions {
  /** Default: all streams. */
  readonly stream?: string
  /** Of all streams only. Default: all events. */
  readonly filter?: EventFilter
  /** Inclusive: a revision when a stream is named, else a position. Default: the beginning. */
  readonly from?: bigint
  /** Instead of `from`: resume after this *position*, in a stream too. */
  readonly after?: bigint
  readonly signal?: AbortSignal
}

export type SubscriptionMessage<E extends EventType = EventType> =
  | { readonly kind: 'event'; readonly event: RecordedEvent<E> }
  /** The end was reached: everything up to the position was delivered. Again after each resumption. */
  | { readonly kind: 'caughtUp'; readonly position: bigint }
  /** The end ran ahead again, by so many positions. */
  | { readonly kind: 'fellBehind'; readonly position: bigint; readonly lag: bigint }
  /** Everything up to the position was considered: a good place to resume after. */
  | { readonly kind: 'checkpoint'; readonly position: bigint }

/**
 * Appends, reads and follows. `In` is what may be appended, `Out` what is read. All errors are ClientErrors, but for an aborted
 * signal's own reason.
 */
export interface Client<In extends EventType = EventType, Out extends EventType = In> extends AsyncDisposable {
  /**
   * One event or several, all or nothing; answers when they are durable on a quorum of the nodes. Tried again, at other nodes too, with
   * the same ids until `appendTimeout`. Appends that are not awaited have no order among them.
   * @throws WrongExpectedRevisionError, EventIdConflictError, InvalidArgumentError, TooLargeError, SchemaError: nothing was written
   * @throws UnavailableError says whether the outcome is unknown; BusyError and ClientClosedError: nothing was written
   */
  append(stream: string, events: NewEvent<In> | readonly NewEvent<In>[], options?: AppendOptions): Promise<Appended>
  /**
   * Several streams, all or nothing, with checks on others and a condition; every violated check is told at once. Answered and tried
   * again as `append`.
   * @throws WrongExpectedRevisionError, ConditionFailedError, ConditionTooBroadError, StreamTombstonedError, and what `append` throws
   */
  appendAtomically(writes: AtomicWrites<In>, options?: { readonly signal?: AbortSignal }): Promise<AtomicallyAppended>
  /**
   * Reads a stream, folds it, decides, and appends what was decided if nobody appended meanwhile; else again (decision.ts).
   * @throws what `decide` throws, TooManyConflictsError, and what reads and appends throw
   */
  decide<S>(stream: string, decider: StreamDecider<S, In, Out>, options?: DecideOptions): Promise<Decided<S>>
  /** The same over the events that match a query, and with it as the condition: a boundary across streams. */
  decide<S>(query: EventQuery, decider: QueryDecider<S, In, Out>, options?: DecideOptions): Promise<Decided<S>>
  /**
   * Begins when it is iterated, and again each time; pages are fetched as they are taken.
   * @throws StreamNotFoundError, InvalidArgumentError, SchemaError, UnavailableError, BusyError, ProtocolViolationError, ClientClosedError
   */
  readStream(stream: string, options?: ReadOptions): AsyncIterable<RecordedEvent<Out>>
  /** The same over all events, in their one order. An empty store is an empty read. */
  readAll(options?: ReadAllOptions): AsyncIterable<RecordedEvent<Out>>
  /** What passes the filter, in one answer, and how far that was looked at. */
  query(filter: EventFilter, options?: QueryOptions): Promise<QueryResult<Out>>
  /** Cheap: does it exist, how long is it, what is its last event. @throws StreamNotFoundError and what reads throw */
  streamInfo(stream: string, options?: StreamInfoOptions): Promise<StreamInfo<Out>>
  /** What the stream keeps. Never a StreamNotFoundError: its state is `absent`. */
  streamMetadata(stream: string, options?: MetadataOptions): Promise<StreamMetadataState>
  /** Replaces what was set, whole; the stream need not exist yet. What is hidden stays hidden. @throws StreamTombstonedError; UnavailableError as `deleteStream` */
  setStreamMetadata(stream: string, metadata: StreamMetadata, options?: { readonly signal?: AbortSignal }): Promise<StreamMetadataState>
  /**
   * Hides all events. The name can be used again, and revisions go on; with `isHard` never again.
   * @throws StreamNotFoundError, WrongExpectedRevisionError, StreamTombstonedError; UnavailableError: once it was sent, it is not sent again,
   * because somebody may have used the stream meanwhile: look, and delete again
   */
  deleteStream(stream: string, options?: DeleteStreamOptions): Promise<StreamMetadataState>
  /** Several consumers share a subscription. */
  readonly groups: ConsumerGroups<Out>
  /**
   * What is there, then what comes, without a seam; it ends when the loop is left or the signal aborts. When its node goes away it
   * resumes on another one after the last event it received: no gap, nothing twice.
   * @throws InvalidArgumentError, SchemaError, ProtocolViolationError, ClientClosedError; UnavailableError if no node could be reached at first
   */
  subscribe(options?: SubscribeOptions): AsyncIterable<SubscriptionMessage<Out>>
  /** What the client knows and did; costs nothing. */
  status(): ClientStatus
  /** Takes nothing new, ends reads and subscriptions, waits for the appends under way (each until its `appendTimeout` at most), disconnects. */
  close(): Promise<void>
}
