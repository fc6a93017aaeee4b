/**
 * Several consumers share one subscription. Its state is replicated: who consumes what, how far each partition is, what is
 * parked. Events are partitioned by stream, or by a tag; inside a partition they come in order, one generation at a time.
 */
import type { Consistency, EventFilter, RecordedEvent } from '../event-store.ts'

export interface GroupDefinition {
  /** Absent: all events. */
  readonly filter?: EventFilter
  /** Inclusive, a position; `end`: what comes after the group was made. Absent: the beginning. */
  readonly from?: number | 'end'
  /** `stream`, or the first of an event's tags that begins with `tagPrefix` (its stream when none does): events with the same key come in order. Absent: stream. */
  readonly partitionBy?: 'stream' | { readonly tagPrefix: string }
  /** Keys are spread over so many partitions; a consumer has whole ones. Fixed for the group's life. Absent: 64. At most `groupPartitionsMax`. */
  readonly partitions?: number
  /** An event that is neither acknowledged nor rejected for so long is delivered again. Absent: 30,000. */
  readonly ackDeadlineMs?: number
  /** Deliveries of one event; after the last it is parked. Absent: 10. */
  readonly attemptsMax?: number
  /** At it the partitions with something to park stop, and the status says why. Absent: 1,000. */
  readonly parkedMax?: number
}

export interface PartitionStatus {
  readonly partition: number
  /** Everything of the partition at or below is settled: acknowledged, parked or skipped. */
  readonly settled: number
  readonly consumer?: string
  /** Events told to a consumer and not settled, where this node knows. */
  readonly inFlight: number
  readonly parked: number
  /** The oldest event that is not settled, where this node knows of one. */
  readonly oldest?: { readonly position: number; readonly attempts: number }
  /** Why it does not move, for people; absent when it does, or has nothing to do. */
  readonly why?: string
}

export interface GroupStatus {
  readonly group: string
  readonly definition: Required<GroupDefinition>
  readonly generation: number
  readonly consumers: readonly { readonly consumer: string; readonly node: string; readonly partitions: number }[]
  /** Everything at or below is settled, in every partition. */
  readonly settled: number
  /** The head less `settled`: positions, matching or not. */
  readonly lag: number
  readonly parked: number
  readonly why?: string
  readonly partitions: readonly PartitionStatus[]
}

export interface ParkedEvent {
  readonly event: RecordedEvent
  readonly partition: number
  readonly attempts: number
  /** `follows`: an event of its key was parked before it. */
  readonly reason: string
}

export interface GroupEvent extends RecordedEvent {
  readonly partition: number
  /** 1 at the first delivery. */
  readonly attempt: number
}

export type GroupMessage =
  /** From here on these partitions are this consumer's; what was delivered in an earlier generation and not acknowledged comes again, here or elsewhere. */
  | { readonly kind: 'assigned'; readonly generation: number; readonly partitions: readonly number[] }
  | { readonly kind: 'events'; readonly generation: number; readonly events: readonly GroupEvent[] }
  /** Replicated: these will not come again. */
  | { readonly kind: 'settled'; readonly generation: number; readonly positions: readonly number[] }
  /** Of an earlier generation, or not this consumer's: they had no effect. */
  | { readonly kind: 'stale'; readonly generation: number; readonly positions: readonly number[] }

/** `retry`: deliver again (after the last attempt: park). `park`: set aside, and with it the later events of its key. `skip`: done with it. */
export type Rejection = 'retry' | 'park' | 'skip'

export interface ConsumeOptions {
  /** Names it in the status. Absent: drawn. */
  readonly consumer?: string
  /** As of a subscription. */
  readonly room?: () => number | Promise<number>
  readonly signal?: AbortSignal
}

export interface GroupConsumer {
  /** Once. Ends when the signal aborts, the store closes (`unavailable`), or the group is deleted (`group_not_found`). */
  messages(): AsyncIterable<GroupMessage>
  /** What came of it is told by `settled` and `stale`. In any order inside a generation. */
  acknowledge(generation: number, positions: readonly number[]): void
  reject(generation: number, position: number, rejection: Rejection, reason?: string): void
}

/** Every method rejects with an EventStoreError. */
export interface ConsumerGroups {
  /** Makes it, or changes what may change: deadline, attempts, parkedMax. `group_exists` when the rest differs. */
  put(group: string, definition: GroupDefinition): Promise<GroupStatus>
  /** `group_not_found` when there is none, as of all below. */
  delete(group: string): Promise<void>
  get(group: string): Promise<GroupStatus>
  /** `local` (absent: linearizable) is what this node has, and asks nobody. */
  list(options?: { readonly consistency?: Consistency }): Promise<readonly GroupStatus[]>
  parked(group: string, options: { readonly after?: number; readonly limit: number }): Promise<readonly ParkedEvent[]>
  /** Parked events are delivered again, first of their keys, in order. Absent positions: all. */
  replay(group: string, options: { readonly positions?: readonly number[] }): Promise<{ readonly replayed: number }>
  consume(group: string, options: ConsumeOptions): GroupConsumer
}
