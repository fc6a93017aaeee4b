import type { Bytes } from '@synod/codec'
import type { Slot } from '@synod/log'
import type { StreamState } from './stream-state.ts'

/** The events of one applied slot in memory; the arrays are by event, so that no event is an object. */
export interface SlotRecord {
  readonly slot: Slot
  readonly firstPosition: number
  readonly entry: Bytes
  readonly streams: readonly StreamState[]
  readonly revisions: Float64Array
  readonly offsets: Uint32Array
  readonly lengths: Uint32Array
}
