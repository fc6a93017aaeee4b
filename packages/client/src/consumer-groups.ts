/**
 * Several consumers share one subscription. Who consumes what, how far each partition is and what is parked is replicated, so a node
 * that dies neither rewinds nor skips. Events with the same key (their stream, or a tag) come in order, one generation at a time.
 */
import type { EventFilter } from './event-query.ts'
import type { EventType, RecordedEvent } from './event-types.ts'

export interface GroupDefinition {
  /** Default: all events. */
  readonly filter?: EventFilter
  /** Inclusive, a position; `end`: what comes after the group was made. Default: the beginning. */
  readonly from?: bigint | 'end'
  /** `stream` (default), or the first of an event's tags that begins with `tagPrefix` (its stream when none does): what has the same key comes in order. */
  readonly partitionBy?: 'stream' | { readonly tagPrefix: string }
  /** Keys are spread over so many partitions; a consumer has whole ones. Fixed for the group's life. Default 64. */
  readonly partitions?: number
  /** An event that is neither acknowledged nor rejected for so long is delivered again. Default 30,000. */
  readonly ackDeadlineMs?: number
  /** Deliveries of one event; after the last it is parked. Default 10. */
  readonly attemptsMax?: number
  /** At it the partitions with something to park stop, and the status says why. Default 1,000. */
  readonly parkedMax?: number
}

export interface PartitionStatus {
  readonly partition: number
  /** Everything of the partition at or below is settled: acknowledged, parked or skipped. */
  readonly settled: bigint
  readonly consumer?: string
  /** Events told to a consumer and not settled, where the node that answered knows. */
  readonly inFlight: number
  readonly parked: number
  readonly oldest?: { readonly position: bigint; readonly attempts: number }
  /** Why it does not move, for people; absent when it does, or has nothing to do. */
  readonly why?: string
}

/** Of a group, in a list of all. */
export interface GroupSummary {
  readonly group: string
  readonly definition: Required<GroupDefinition>
  /** Goes up with each assignment of partitions to consumers. */
  readonly generation: number
  readonly consumers: readonly { readonly consumer: string; readonly node: string; readonly partitions: number }[]
  /** Everything at or below is settled, in every partition. */
  readonly settled: bigint
  /** The head less `settled`: positions, matching or not. */
  readonly lag: bigint
  readonly parked: number
  readonly why?: string
}

export interface GroupStatus extends GroupSummary {
  readonly partitions: readonly PartitionStatus[]
}

export interface ParkedEvent<E extends EventType = EventType> {
  readonly event: RecordedEvent<E>
  readonly partition: number
  readonly attempts: number
  /** `follows`: an event of its key was parked before it. */
  readonly reason: string
}

export interface ParkedOptions {
  /** Only those behind this position. */
  readonly after?: bigint
  /** Events at most. Default: all. */
  readonly limit?: number
  readonly signal?: AbortSignal
}

/** `retry`: deliver again (after the last attempt: park). `park`: set aside, and with it the later events of its key. `skip`: done with it. */
export type Rejection = 'retry' | 'park' | 'skip'

/** An event for this consumer. */
export interface GroupDelivery<E extends EventType = EventType> {
  readonly event: RecordedEvent<E>
  readonly partition: number
  /** 1 at the first delivery. */
  readonly attempt: number
  readonly generation: number
  /** False from the moment that the partitions are assigned anew, or the connection goes: then the event comes again, here or elsewhere. */
  readonly isCurrent: boolean
  /**
   * Done with it. Resolves when it is known what came of that, and never rejects: true: replicated, it does not come again; false: it
   * had no effect, or nobody knows, and it may come again. It need not be awaited.
   */
  ack(): Promise<boolean>
  /** Not done with it. `reason` is kept with an event that is parked. */
  nack(rejection: Rejection, reason?: string): void
}

export interface ConsumeOptions {
  /** Names this consumer in the group's status. Default: drawn. */
  readonly consumer?: string
  readonly signal?: AbortSignal
}

/** A membership, taken event by event. */
export interface GroupConsumption<E extends EventType = EventType> extends AsyncIterable<GroupDelivery<E>> {
  [Symbol.asyncIterator](): AsyncIterator<GroupDelivery<E>, undefined, undefined>
}

export interface HandleOptions<E extends EventType = EventType> extends ConsumeOptions {
  /** Events handled at a time, of different partitions: those of one come one after the other. Default 1, at most 1,024. */
  readonly concurrencyMax?: number
  /** What becomes of an event whose handler throws; it is told here, and may be logged. Default: `retry`, with the error's message as the reason. */
  readonly onFailure?: (error: unknown, delivery: GroupDelivery<E>) => Rejection
}

/** All errors are ClientErrors, but for an aborted signal's own reason. */
export interface ConsumerGroups<E extends EventType = EventType> {
  /** Makes it, or sets what may change, as a whole: deadline, attempts, parkedMax. @throws GroupExistsError when the rest differs */
  put(group: string, definition?: GroupDefinition, options?: { readonly signal?: AbortSignal }): Promise<GroupStatus>
  /** @throws GroupNotFoundError, as all below */
  get(group: string, options?: { readonly signal?: AbortSignal }): Promise<GroupStatus>
  list(options?: { readonly signal?: AbortSignal }): Promise<readonly GroupSummary[]>
  /** @throws UnavailableError when it is not known whether it was done: look, and delete again */
  delete(group: string, options?: { readonly signal?: AbortSignal }): Promise<void>
  /** By position. Begins when it is iterated; pages are fetched as they are taken. */
  parked(group: string, options?: ParkedOptions): AsyncIterable<ParkedEvent<E>>
  /** Parked events are delivered again, first of their keys, in order. Default: all. @throws UnavailableError as `delete` */
  replay(
    group: string,
    options?: { readonly positions?: readonly bigint[]; readonly signal?: AbortSignal },
  ): Promise<{ readonly replayed: number }>
  /**
   * Joins the group when it is iterated, and leaves it with the loop. When its node goes away it joins again at another one: what was
   * not settled comes again.
   * @throws GroupNotFoundError, also when the group is deleted meanwhile; SchemaError, ProtocolViolationError, ClientClosedError;
   * UnavailableError if no node could be reached at first
   */
  consume(group: string, options?: ConsumeOptions): GroupConsumption<E>
  /**
   * Consumes with a handler: what it returns from is acknowledged, what it throws at is rejected, and it may return a rejection. Ends
   * when the signal aborts: with its reason, after the handlers that run.
   */
  handle(
    group: string,
    handler: (event: RecordedEvent<E>, delivery: GroupDelivery<E>) => Promise<Rejection | void> | Rejection | void,
    options?: HandleOptions<E>,
  ): Promise<void>
}
