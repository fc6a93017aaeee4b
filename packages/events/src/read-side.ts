/**
 * The ReadSide port: one node's index of what was applied, built behind the acknowledgement. It holds no payload: an event
 * is found by the slot, the offset and the length of its record in the log. It is rebuilt from the log, so a flush need not
 * be durable when it resolves; what must hold is that flushes take effect whole and in order, with their high-water mark.
 *
 * The simple form of docs (a narrow row an event, a row a slot). A stream's last revision is that of its last event's
 * row: no row is ever updated but the mark.
 */
import type { Bytes } from '@synod/codec'
import type { Slot } from '@synod/log'
import type { Term } from './terms.ts'

/** Everything up to here is flushed. Zeroes: nothing. */
export interface ReadSideMark {
  readonly slot: Slot
  /** The last position. */
  readonly position: number
  /** Streams are numbered from 1 to this, in the order of their first events. */
  readonly streams: number
}

export interface StreamName {
  readonly number: number
  readonly name: string
}

export interface StreamRow extends StreamName {
  /** Of the last flushed event. */
  readonly revision: number
}

/** Where an event of a stream lies. */
export interface EventRow {
  readonly revision: number
  readonly position: number
  readonly slot: Slot
  /** Of the event's record in the slot's entry, in bytes. */
  readonly offset: number
  readonly length: number
}

/** A slot with commands that the machine answered. */
export interface SlotRow {
  readonly slot: Slot
  /** Of its first event, 0 when it has none. */
  readonly firstPosition: number
  /** Events. */
  readonly count: number
  /** Opaque here, with a checksum of its own (slot-index.ts). */
  readonly index: Bytes
}

/** A slot to flush; the arrays are by event. */
export interface SlotToFlush extends SlotRow {
  readonly streamNumbers: Uint32Array
  readonly revisions: Float64Array
  readonly offsets: Uint32Array
  readonly lengths: Uint32Array
}

export interface KeyRow {
  /** From 1, in log order. */
  readonly sequence: number
  readonly principal: string
  readonly key: string
  readonly digest: Bytes
  readonly answer: Bytes
}

/** Where events with a term stand (terms.ts). Of one flush, so about as many postings as it has different terms. */
export interface Postings {
  readonly term: Term
  /** Ascending, at least one. */
  readonly positions: readonly number[]
}

export interface PostingsQuestion {
  readonly term: Term
  /** Inclusive, both. */
  readonly from: number
  readonly to: number
  readonly backward: boolean
  /** Positions wanted: so many, or more, or all that there are. */
  readonly limit: number
}

/** A piece of the machine's state that is neither stream nor event, by its key. The last value counts; null: there is none any more. */
export interface Cell {
  /** Text of at most `cellKeyBytesMax` bytes as UTF-8. */
  readonly key: string
  readonly value: Bytes | null
}

export const cellKeyBytesMax = 2100

/** Positions that one question may ask for. */
export const slotsAtMax = 256

export interface Flush {
  /** Where the mark must be; elsewhere the flush is refused as `fenced`. */
  readonly from: ReadSideMark
  readonly to: ReadSideMark
  /** Those numbered from.streams + 1 to to.streams, ascending. */
  readonly streams: readonly StreamName[]
  /** Ascending; their events are those from.position + 1 to to.position. */
  readonly slots: readonly SlotToFlush[]
  /** Ascending. */
  readonly keys: readonly KeyRow[]
  /** Keys up to this sequence are forgotten; 0 says nothing. */
  readonly keysForgotten: number
  /** Those of from.position + 1 to to.position; each term once. */
  readonly postings: readonly Postings[]
  /** Each key once. */
  readonly cells: readonly Cell[]
}

export interface ReadSide {
  /**
   * Takes it over: another process that has it open fails at its next flush. `settings` are remembered at the first opening
   * and must be the same ever after. Rejects with a ReadSideError.
   */
  open(settings: string): Promise<ReadSideMark>
  /** Atomic. One at a time. When it rejects nothing more may be flushed, and nobody knows whether this flush took effect. */
  flush(batch: Flush): Promise<void>
  /** Makes every flush that was over when it is called durable. Absent: a flush is durable when it resolves. */
  sync?(): Promise<void>
  /** Those that are there, in any order. */
  streamsNamed(names: readonly string[]): Promise<readonly StreamRow[]>
  /** In any order. Rejects with `damaged` when one is missing. */
  streamsNumbered(numbers: readonly number[]): Promise<readonly StreamName[]>
  /** Revisions `from` to `to` inclusive, ascending. Rejects with `damaged` unless each is there. */
  streamEvents(streamNumber: number, from: number, to: number): Promise<readonly EventRow[]>
  /** Slots with events, from the one that holds position `from` to the one that holds `to`, ascending. Rejects with `damaged` unless they cover all between. */
  slotsHolding(from: number, to: number): Promise<readonly SlotRow[]>
  /** The slots that hold these positions (ascending, `slotsAtMax` at most), each slot once, ascending, in one round trip. Rejects with `damaged` unless all are there. */
  slotsAt(positions: readonly number[]): Promise<readonly SlotRow[]>
  /** Slots from `from` to `to` inclusive that have a row, ascending, `limit` at most. */
  slots(from: Slot, to: Slot, limit: number): Promise<readonly SlotRow[]>
  /** Keys above the sequence, ascending, `limit` at most. */
  keys(above: number, limit: number): Promise<readonly KeyRow[]>
  /**
   * Ascending, or descending when backward: the positions of a term in a range, from its end on, `limit` or more unless there are
   * fewer. Up to 1,024 questions in one round trip, the answers in their order; many ask about one position.
   */
  postingsOf(questions: readonly PostingsQuestion[]): Promise<readonly (readonly number[])[]>
  /** Those that are there, in any order. */
  cellsNamed(keys: readonly string[]): Promise<readonly Cell[]>
  /** Those whose key begins with the prefix and comes after `after` in the order of their UTF-8 bytes, ascending, `limit` at most. */
  cells(prefix: string, after: string, limit: number): Promise<readonly Cell[]>
  /** Names become metric labels. */
  counters(): Readonly<Record<string, number>>
  /** Lets a flush finish. Idempotent. */
  close(): Promise<void>
}

/** A read-side package exports one of these under the name `readSide`. */
export interface ReadSideFactory {
  readonly name: string
  /** `options` are what the config file says. Throws a ReadSideError `invalid_options`. Touches nothing: `open` of the read side does. */
  create(options: { readonly options?: unknown }): ReadSide
}

/** For messages about what is damaged: what an operator can do. */
export const rebuildHint =
  "drop this node's read side: it is built again from the log, as long as nothing of that was reclaimed (docs/reclaiming.md)"

export class ReadSideError extends Error {
  readonly code: 'fenced' | 'damaged' | 'unavailable' | 'closed' | 'invalid_options' | 'other_settings' | 'unknown_version'
  constructor(code: ReadSideError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ReadSideError'
    this.code = code
  }
}
