/**
 * Where the events of a stream lie, a run of neighbours in one row: what one flush brought to one stream, `runEventsMax` at
 * most. The events of a busy stream share the price of a row and of its place in the index; a stream that got one event pays
 * for a row, as it must.
 *
 *   places = version u8 (1) · [position varint · slot varint, each less the one before · offset varint · length varint]…
 */
import type { EventRow, Flush, ReadSideError } from '@synod/events'
import type { CopyBuffer } from './copy-buffer.ts'
import { damaged } from './row.ts'
import { VarintReader, varintBytesMax, writeVarint } from './varints.ts'

const version = 1
/** So that the row stays in its page, and whoever wants one event reads little: about 8 bytes an event. */
export const runEventsMax = 512
/** Of one event. */
const placeBytesMax = 4 * varintBytesMax
const rowBytes = 34

/** The runs of a flush, by stream and revision: the index is written in its order. */
export function runRows(flush: Flush, buffer: CopyBuffer): void {
  const { events, next, firstOf } = byStream(flush)
  const places = new Uint8Array(1 + runEventsMax * placeBytesMax)
  places[0] = version
  for (const stream of Uint32Array.from(firstOf.keys()).sort()) {
    for (let event = firstOf.get(stream) ?? -1; event >= 0;) {
      const revision = events.revisions[event]!
      let [at, count, position, slot] = [1, 0, 0, 0]
      for (; event >= 0 && count < runEventsMax; event = next[event]!, count++) {
        const here = flush.from.position + 1 + event
        at = writeVarint(places, at, here - position)
        at = writeVarint(places, at, events.slots[event]! - slot)
        at = writeVarint(places, at, events.offsets[event]!)
        at = writeVarint(places, at, events.lengths[event]!)
        position = here
        slot = events.slots[event]!
      }
      buffer.row(4)
      buffer.integer(stream)
      buffer.integer(count)
      buffer.bigint(revision)
      buffer.bytes(places.subarray(0, at))
    }
  }
}

/** About what they take, in bytes. */
export function runBytes({ from, to, slots }: Flush): number {
  const events = to.position - from.position
  return events * 12 + Math.min(events, 64 * slots.length) * rowBytes
}

/** Throws a ReadSideError `damaged`. */
export function eventsOfRun(stream: number, revision: number, count: number, places: Uint8Array): EventRow[] {
  if (places[0] !== version) throw doesNotDecode(stream, revision)
  const events: EventRow[] = []
  const reader = new VarintReader(places, 1)
  for (let [position, slot] = [0, 0]; events.length < count;) {
    position += reader.next()
    slot += reader.next()
    const [offset, length] = [reader.next(), reader.next()]
    if (Number.isNaN(length)) throw doesNotDecode(stream, revision)
    events.push({ revision: revision + events.length, position, slot, offset, length })
  }
  if (reader.at !== places.length) throw doesNotDecode(stream, revision)
  return events
}

interface Columns {
  readonly revisions: Float64Array
  readonly slots: Float64Array
  readonly offsets: Uint32Array
  readonly lengths: Uint32Array
}

/** The flush's events in columns, and for each the next of its stream: -1 after the last. */
function byStream({ slots, from, to }: Flush): { events: Columns; next: Int32Array; firstOf: ReadonlyMap<number, number> } {
  const count = to.position - from.position
  const events = {
    revisions: new Float64Array(count),
    slots: new Float64Array(count),
    offsets: new Uint32Array(count),
    lengths: new Uint32Array(count),
  }
  const next = new Int32Array(count).fill(-1)
  const firstOf = new Map<number, number>()
  const lastOf = new Map<number, number>()
  let at = 0
  for (const { slot, count: inSlot, streamNumbers, revisions, offsets, lengths } of slots) {
    events.revisions.set(revisions, at)
    events.slots.fill(slot, at, at + inSlot)
    events.offsets.set(offsets, at)
    events.lengths.set(lengths, at)
    for (const stream of streamNumbers) {
      const last = lastOf.get(stream)
      if (last === undefined) firstOf.set(stream, at)
      else next[last] = at
      lastOf.set(stream, at++)
    }
  }
  return { events, next, firstOf }
}

function doesNotDecode(stream: number, revision: number): ReadSideError {
  return damaged(`the row of stream ${stream} from revision ${revision} does not decode`)
}
