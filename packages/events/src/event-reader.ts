/**
 * Pages of events across the seam. What is wanted is a range of revisions or positions, both dense; the part of it that
 * is in the tail is taken from memory, at once, and the part below is flushed by then (whatever leaves the tail is), so
 * that a flush on the way makes neither a hole nor a double. Then the payloads of the lower part are read from the log.
 */
import type { Bytes } from '@synod/codec'
import { isRecord } from '@synod/event-record'
import type { OrderedLog, Slot, SlotSlice } from '@synod/log'
import type { RecordedEvent } from './event-store.ts'
import type { EventIndex } from './event-machine.ts'
import { withoutPins } from './page-copies.ts'
import { ReadSideError } from './read-side.ts'
import { decodeSlotIndex } from './slot-index.ts'
import type { StreamState } from './stream-state.ts'

export interface Page {
  /** Inclusive, and not empty. */
  readonly from: number
  readonly to: number
  readonly backward: boolean
  /** The page ends before it has more, but holds one event at least. */
  readonly bytesMax: number
}

/** An event without its payload, or with it when it came from the tail. */
interface Found {
  readonly stream: string
  readonly revision: number
  readonly position: number
  readonly slot: Slot
  readonly offset: number
  readonly length: number
  readonly record?: Bytes
}

export class EventReader {
  readonly #index: EventIndex
  readonly #log: Pick<OrderedLog<unknown>, 'slices'>

  constructor(index: EventIndex, log: Pick<OrderedLog<unknown>, 'slices'>) {
    this.#index = index
    this.#log = log
  }

  /** The range must lie within the stream. */
  async stream(state: StreamState, page: Page): Promise<RecordedEvent[]> {
    const { from, to } = page
    const first = state.firstRecentRevision
    const upper = this.#fromTail(page, Math.max(from, first), (revision) => state.recentPosition(revision))
    if (from >= first) return this.#read(upper, page)
    if (page.backward && fills(upper, page)) return this.#read(upper, page)
    const rows = await this.#index.readSide.streamEvents(state.number, from, Math.min(to, first - 1))
    const lower = rows.map((row) => ({ ...row, stream: state.name }))
    return this.#read(lower.concat(upper), page)
  }

  /** The range must lie within 1 and the head. */
  async all(page: Page): Promise<RecordedEvent[]> {
    const { from, to } = page
    const { first } = this.#index.tail
    const upper = this.#fromTail(page, Math.max(from, first), (position) => position)
    if (from >= first) return this.#read(upper, page)
    if (page.backward && fills(upper, page)) return this.#read(upper, page)
    const lower = await this.#positions(from, Math.min(to, first - 1))
    return this.#read(lower.concat(upper), page)
  }

  /** Ascending; of a forward page no more than it can hold. */
  #fromTail({ to, backward, bytesMax }: Page, from: number, positionOf: (at: number) => number): Found[] {
    const found: Found[] = []
    let bytes = 0
    const step = backward ? -1 : 1
    for (let at = backward ? to : from; at >= from && at <= to && bytes <= bytesMax; at += step) {
      const event = this.#inTail(positionOf(at))
      bytes += event.length
      found.push(event)
    }
    return backward ? found.reverse() : found
  }

  #inTail(position: number): Found {
    const { slot, firstPosition, entry, streams, revisions, offsets, lengths } = this.#index.tail.holding(position)
    const event = position - firstPosition
    const [offset = 0, length = 0] = [offsets[event], lengths[event]]
    const record = entry.subarray(offset, offset + length)
    return { stream: streams[event]?.name ?? '', revision: revisions[event] ?? 0, position, slot, offset, length, record }
  }

  async #positions(from: number, to: number): Promise<Found[]> {
    const rows = await this.#index.readSide.slotsHolding(from, to)
    const found: (Omit<Found, 'stream'> & { readonly number: number })[] = []
    const numbers = new Set<number>()
    for (const row of rows) {
      const { streamNumbers, revisions, offsets, lengths } = decodeSlotIndex(row)
      const last = Math.min(row.count - 1, to - row.firstPosition)
      for (let event = Math.max(0, from - row.firstPosition); event <= last; event++) {
        const number = streamNumbers[event] ?? 0
        numbers.add(number)
        found.push({
          number,
          revision: revisions[event] ?? 0,
          position: row.firstPosition + event,
          slot: row.slot,
          offset: offsets[event] ?? 0,
          length: lengths[event] ?? 0,
        })
      }
    }
    const names = await this.#index.streams.namesOf(numbers)
    return found.map(({ number, ...event }) => ({ ...event, stream: names.get(number) ?? '' }))
  }

  /** In the order of the page, cut to its bytes, with payloads. */
  async #read(ascending: Found[], { backward, bytesMax }: Page): Promise<RecordedEvent[]> {
    const found = cut(backward ? ascending.reverse() : ascending, bytesMax)
    const below = found.filter(({ record }) => record === undefined)
    const records = below.length === 0 ? [] : await this.#fetch(below)
    let next = 0
    // A page may be held for long, by a reader that is slow: it must not keep whole slots in memory.
    const own = withoutPins(found.map(({ record }) => record ?? records[next++] ?? new Uint8Array(0)))
    return found.map((event, at) => recorded(event, own[at] ?? new Uint8Array(0)))
  }

  /** Neighbours in one slot are one slice: of a page of all events, one a slot. */
  async #fetch(found: readonly Found[]): Promise<Bytes[]> {
    const slices: SlotSlice[] = []
    const places: { slice: number; offset: number; length: number }[] = []
    for (const { slot, offset, length } of found) {
      const last = slices.at(-1)
      const from = Math.min(last?.offset ?? 0, offset)
      const to = Math.max((last?.offset ?? 0) + (last?.length ?? 0), offset + length)
      // Merged only when little lies between: one stream's events may stand far apart in a large slot.
      if (last?.slot === slot && to - from <= last.length + length + 512)
        slices[slices.length - 1] = { slot, offset: from, length: to - from }
      else slices.push({ slot, offset, length })
      places.push({ slice: slices.length - 1, offset, length })
    }
    const parts = await this.#log.slices(slices)
    return places.map(({ slice, offset, length }) => {
      const at = offset - (slices[slice]?.offset ?? 0)
      return (parts[slice] ?? new Uint8Array(0)).subarray(at, at + length)
    })
  }
}

function fills(found: readonly Found[], { bytesMax }: Page): boolean {
  return found.reduce((sum, { length }) => sum + length, 0) > bytesMax
}

function cut(found: Found[], bytesMax: number): Found[] {
  let bytes = 0
  const end = found.findIndex(({ length }) => (bytes += length) > bytesMax)
  return end < 0 ? found : found.slice(0, Math.max(1, end))
}

function recorded({ stream, revision, position, slot, offset, length }: Found, record: Bytes): RecordedEvent {
  if (isRecord(record)) return { stream, revision, position, record }
  throw new ReadSideError(
    'damaged',
    `event ${position} does not stand at ${offset} of slot ${slot} with ${length} bytes: drop this node's read side, it is built again from the log`,
  )
}
