/**
 * Where the events of a stream lie, a run of neighbours in one row: what one flush brought to one stream, `runEventsMax` at
 * most. The events of a busy stream share the price of a row and of its place in the index; a stream that got one event pays
 * for a row, as it must.
 *
 *   places = version u8 (1) · [position varint · slot varint, each less the one before · offset varint · length varint]…
 */
import { ReadSideError, type EventRow, type Flush } from '@synod/events'
import type { CopyBuffer } from './copy-buffer.ts'

const version = 1
/** So that the row stays in its page, and whoever wants one event reads little: about 8 bytes an event. */
export const runEventsMax = 512
/** Of one event: four varints of eight bytes. */
const placeBytesMax = 32
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
        at = varint(places, at, here - position)
        at = varint(places, at, events.slots[event]! - slot)
        at = varint(places, at, events.offsets[event]!)
        at = varint(places, at, events.lengths[event]!)
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
  if (places[0] !== version) throw damaged(stream, revision)
  const events: EventRow[] = []
  let [at, position, slot] = [1, 0, 0]
  const read = (): number => {
    let [value, scale] = [0, 1]
    for (;;) {
      const byte = places[at++]
      if (byte === undefined) throw damaged(stream, revision)
      value += (byte & 127) * scale
      if (byte < 128) return value
      scale *= 128
    }
  }
  while (events.length < count) {
    position += read()
    slot += read()
    events.push({ revision: revision + events.length, position, slot, offset: read(), length: read() })
  }
  if (at !== places.length) throw damaged(stream, revision)
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

function varint(bytes: Uint8Array, from: number, value: number): number {
  let [at, rest] = [from, value]
  for (; rest > 0x7fff_ffff; rest = Math.floor(rest / 128)) bytes[at++] = (rest % 128) | 128
  for (; rest >= 128; rest >>>= 7) bytes[at++] = (rest & 127) | 128
  bytes[at++] = rest
  return at
}

function damaged(stream: number, revision: number): ReadSideError {
  return new ReadSideError(
    'damaged',
    `the read side is damaged (the row of stream ${stream} from revision ${revision} does not decode): drop its schema, it is built again from the log`,
  )
}
