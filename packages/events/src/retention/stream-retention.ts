/** What a stream keeps, as the API tells it. Each change is a command of the log, with one outcome on every node. */
import type { Consistency, Expected } from '../event-store.ts'

/** What is absent asks for nothing. */
export interface StreamMetadata {
  /** The newest events that are kept; older ones are hidden at once. */
  readonly maxCount?: number
  /** Seconds against retention time, which only decided ticks move: no clock of one node hides anything. */
  readonly maxAgeSeconds?: number
  /** Events below this revision are hidden: those that there are for ever, those to come as long as this stands. */
  readonly truncateBefore?: number
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

export interface ChangeOptions {
  readonly signal?: AbortSignal
  readonly principal?: string
}

/** Every method rejects with an EventStoreError. */
export interface StreamRetention {
  /** Replaces what was set, whole; the stream need not exist yet. What is hidden stays hidden. `stream_tombstoned` when it is. */
  setMetadata(stream: string, metadata: StreamMetadata, options?: ChangeOptions): Promise<StreamMetadataState>
  metadata(stream: string, options: { readonly consistency: Consistency; readonly signal?: AbortSignal }): Promise<StreamMetadataState>
  /** Soft; with `isHard` a tombstone. Again: the same answer. `stream_not_found` when there is none, `wrong_expected_revision` as an append. */
  delete(stream: string, options: ChangeOptions & { readonly isHard?: boolean; readonly expected?: Expected }): Promise<StreamMetadataState>
}
