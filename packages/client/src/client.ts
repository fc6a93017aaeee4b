/** What a client offers. `connect` makes one. */
import type { EventType, NewEvent, RecordedEvent } from './event-types.ts'
import type { ClientStatus } from './client-status.ts'

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

export interface ReadOptions {
  /** Inclusive: a revision in a stream, a position among all events. Default: the beginning, or the end when backward. */
  readonly from?: bigint
  /** Default `forward`. */
  readonly direction?: 'forward' | 'backward'
  /** Events at most. Default: to the end. */
  readonly limit?: number
  /** `linearizable` (default) sees everything acknowledged anywhere before each page was asked for; `local` is what one node has. */
  readonly consistency?: 'linearizable' | 'local'
  readonly signal?: AbortSignal
}

export interface SubscribeOptions {
  /** Default: all streams. */
  readonly stream?: string
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
   * Begins when it is iterated, and again each time; pages are fetched as they are taken.
   * @throws StreamNotFoundError, InvalidArgumentError, SchemaError, UnavailableError, BusyError, ProtocolViolationError, ClientClosedError
   */
  readStream(stream: string, options?: ReadOptions): AsyncIterable<RecordedEvent<Out>>
  /** The same over all events, in their one order. An empty store is an empty read. */
  readAll(options?: ReadOptions): AsyncIterable<RecordedEvent<Out>>
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
