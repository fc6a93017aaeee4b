/** What is known of a stream beside its events, and what it keeps. */
import type { Expected } from './client.ts'
import type { EventType, RecordedEvent } from './event-types.ts'

export interface StreamInfo<E extends EventType = EventType> {
  readonly stream: string
  /** The first and the last revision that a read gives. The first is one more than the last when all events are hidden. */
  readonly firstRevision: bigint
  readonly lastRevision: bigint
  /** Visible events. */
  readonly length: number
  /** Undefined when no event is visible, or when its type is left out (`undeclared: 'skip'`). */
  readonly lastEvent: RecordedEvent<E> | undefined
}

export interface MetadataOptions {
  /** Default `linearizable`. */
  readonly consistency?: 'linearizable' | 'local'
  readonly signal?: AbortSignal
}

export interface StreamInfoOptions extends MetadataOptions {
  /** A node answers when it has applied this position. */
  readonly atLeast?: bigint
}

/** What is absent asks for nothing. */
export interface StreamMetadata {
  /** The newest events that are kept. */
  readonly maxCount?: number
  /** Seconds against retention time, which the cluster decides: no clock of one node hides anything. */
  readonly maxAgeSeconds?: number
  /** Events below this revision are hidden, for ever. */
  readonly truncateBefore?: bigint
  /** The caller's own, a JSON object. */
  readonly custom?: Readonly<Record<string, unknown>>
}

export interface StreamMetadataState {
  readonly stream: string
  readonly metadata: StreamMetadata
  /** Of the last change, counted from 1; 0 when nothing was ever set. */
  readonly version: number
  /** `deleted`: the name can be used again, revisions go on. `tombstoned`: never again. */
  readonly state: 'absent' | 'open' | 'deleted' | 'tombstoned'
}

export interface DeleteStreamOptions {
  /** A tombstone: nothing is ever appended to the stream again. */
  readonly isHard?: boolean
  /** Default `any`. */
  readonly expected?: Expected
  readonly signal?: AbortSignal
}
