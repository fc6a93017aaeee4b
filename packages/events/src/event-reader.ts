/**
 * Pages of events across the seam. What is wanted is a range of revisions or positions, both dense, or positions that a filter
 * let pass; the part of it that is in the tail is taken from memory, at once, and the part below is flushed by then (whatever
 * leaves the tail is), so that a flush on the way makes neither a hole nor a double. Then what is hidden is left out, and the
 * payloads of the lower part are read from the log.
 *
 * A page says how far it looked: what it holds may be less, or nothing, where much is hidden or little passes.
 */
import type { OrderedLog } from '@synod/log'
import { streamMatches } from './event-filter.ts'
import type { EventFilter, RecordedEvent } from './event-store.ts'
import type { EventIndex } from './event-machine.ts'
import { EventPayloads, type Found } from './event-payloads.ts'
import { EventStoreError } from './event-store-error.ts'
import { FilteredPositions } from './filtered-positions.ts'
import { ReadSideError, slotsAtMax, type SlotRow } from './read-side.ts'
import { decodeSlotIndex, type SlotIndex } from './slot-index.ts'
import type { StreamState } from './stream-state.ts'
import { isShown } from './visibility.ts'

export interface Page {
  /** Inclusive, and not empty. */
  readonly from: number
  readonly to: number
  readonly backward: boolean
  /** The page ends before it has more, but holds one event at least. */
  readonly bytesMax: number
}

/** Of positions. */
export interface ScanPage extends Page {
  /** Events at most. */
  readonly limit: number
  /** What it may look at: positions, or steps where a filter is asked (filtered-positions.ts). Beyond, the page ends, empty or not. */
  readonly scanMax: number
  /** Ends it between steps. */
  readonly signal?: AbortSignal
}

export interface Scanned {
  readonly events: readonly RecordedEvent[]
  /** The first position that was not looked at, in the direction of the page; just beyond its range when all was. */
  readonly next: number
}

/** Positions whose rows are read at once. */
const chunkEvents = 4096

export class EventReader {
  readonly #index: EventIndex
  readonly #payloads: EventPayloads

  constructor(index: EventIndex, log: Pick<OrderedLog<unknown>, 'slices'>) {
    this.#index = index
    this.#payloads = new EventPayloads(log)
  }

  /** Those of a range of revisions that are visible; `next` is a revision. The range must lie within the stream. */
  async stream(state: StreamState, page: Page): Promise<Scanned> {
    const { from, to, backward } = page
    const first = state.firstRecentRevision
    const upper = this.#fromTail(page, Math.max(from, first), (revision) => state.recentPosition(revision))
    const isEnough = from >= first || (backward && fills(upper, page))
    const ascending = isEnough ? upper : (await this.#streamRows(state, from, Math.min(to, first - 1))).concat(upper)
    const next = backward ? (ascending[0]?.revision ?? from) - 1 : (ascending.at(-1)?.revision ?? to) + 1
    const found = this.#index.visibility.hidesNothing ? ascending : await this.#visible(ascending)
    return this.#cut(backward ? found.toReversed() : found, next, page, ({ revision }) => revision)
  }

  /**
   * The first revision that is visible; one more than the last when none is. Positions ascend in a stream, so what age hides
   * is found by halving.
   */
  async firstVisible(state: StreamState): Promise<number> {
    const { visibility } = this.#index
    if (visibility.hidesNothing) return 0
    const { belowRevision, throughPosition } = visibility.hiddenIn(state)
    return throughPosition === 0 ? belowRevision : this.revisionAfter(state, throughPosition, belowRevision)
  }

  /** The first revision, from `low` on, that stands above the position; one more than the last when none does. */
  async revisionAfter(state: StreamState, position: number, low = 0): Promise<number> {
    let [first, end] = [low, state.revision + 1]
    // What is asked for first is most often the answer.
    for (let middle = first; first < end; middle = Math.floor((first + end) / 2)) {
      if ((await this.#positionOf(state, middle)) > position) end = middle
      else first = middle + 1
    }
    return first
  }

  /** Those of a range that are visible. It must lie within 1 and the head. */
  async all(page: ScanPage): Promise<Scanned> {
    const { from, to, backward, limit, bytesMax, scanMax } = page
    let found: Found[] = []
    for (let [left, next, least] = [scanMax, backward ? to : from, 1]; ; least = 1024) {
      const count = Math.min(left, chunkEvents, Math.max(limit - found.length, least))
      const chunk = backward
        ? { from: Math.max(from, next - count + 1), to: next, backward, bytesMax }
        : { from: next, to: Math.min(to, next + count - 1), backward, bytesMax }
      const range = this.#range(chunk)
      const ascending = Array.isArray(range) ? range : await range
      next = backward ? (ascending[0]?.position ?? chunk.from) - 1 : (ascending.at(-1)?.position ?? chunk.to) + 1
      const visible = this.#index.visibility.hidesNothing ? ascending : await this.#visible(ascending)
      const shown = backward ? visible.toReversed() : visible
      checkAborted(page)
      found = found.length === 0 ? shown : found.concat(shown)
      left -= count
      if (found.length >= limit || (found.length > 0 && fills(found, page)) || left <= 0 || next < from || next > to)
        return this.#cut(found, next, page)
    }
  }

  /** Those of a range that pass a filter and are visible. It must lie within 1 and the head. */
  async filtered(filter: EventFilter, page: ScanPage): Promise<Scanned> {
    const { from, to, backward, limit, scanMax } = page
    const { postings, scheduler, visibility } = this.#index
    const positions = new FilteredPositions({ postings, scheduler, filter, range: { from, to, backward }, stepsMax: scanMax })
    const passes = filter.prefixes === undefined ? undefined : ({ stream }: Found): boolean => streamMatches(filter, stream)
    let found: Found[] = []
    for (let wanted = limit; ;) {
      const places = await this.#places(await positions.take(wanted), backward)
      const shown = await this.#visible(passes === undefined ? places : places.filter(passes))
      checkAborted(page)
      found = found.length === 0 ? shown : found.concat(shown)
      if (found.length >= limit || positions.isOver || fills(found, page)) return this.#cut(found, positions.next, page)
      // Few pass by their streams, or many are hidden: more at a time.
      wanted = Math.min(1024, Math.max(limit - found.length, wanted * 2, passes === undefined && visibility.hidesNothing ? 1 : 64))
    }
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

  async #positionOf(state: StreamState, revision: number): Promise<number> {
    if (revision >= state.firstRecentRevision) return state.recentPosition(revision)
    const [row] = await this.#index.readSide.streamEvents(state.number, revision, revision)
    return row?.position ?? 0
  }

  /** Ascending, the positions of a page; when it comes from memory it may be full before its range is over. */
  #range(page: Page): Found[] | Promise<Found[]> {
    const { from, to, backward } = page
    const { first } = this.#index.tail
    const upper = this.#fromTail(page, Math.max(from, first), (position) => position)
    if (from >= first || (backward && fills(upper, page))) return upper
    return this.#positions(from, Math.min(to, first - 1)).then((lower) => lower.concat(upper))
  }

  /** Where they stand, in the order given, which ascends, or descends when backward. */
  async #places(positions: readonly number[], backward: boolean): Promise<Found[]> {
    const { first: firstRecent } = this.#index.tail
    const upper = positions.filter((position) => position >= firstRecent).map((position) => this.#inTail(position))
    if (upper.length === positions.length) return upper
    const below = positions.filter((position) => position < firstRecent)
    const ascending = backward ? below.toReversed() : below
    const lower: Found[] = []
    for (let at = 0; at < ascending.length; at += slotsAtMax) {
      const wanted = ascending.slice(at, at + slotsAtMax)
      const [first, last] = [wanted[0]!, wanted.at(-1)!]
      const { readSide } = this.#index
      const rows = last - first < 2 * wanted.length ? await readSide.slotsHolding(first, last) : await readSide.slotsAt(wanted)
      lower.push(...(await this.#named(placesAt(rows, wanted))))
    }
    return backward ? upper.concat(lower.reverse()) : lower.concat(upper)
  }

  /** Without what retention hides, as of now. */
  async #visible(found: Found[]): Promise<Found[]> {
    const { visibility } = this.#index
    if (visibility.hidesNothing || found.length === 0) return found
    const hidden = await visibility.hiddenInNamed(new Set(found.map(({ stream }) => stream)))
    if (hidden.size === 0) return found
    return found.filter(({ stream, revision, position }) => isShown(hidden.get(stream), revision, position))
  }

  /** What was found in the order of the page and up to `next`, cut to the page's limit and bytes, with payloads. */
  #cut(found: Found[], next: number, page: Page & { readonly limit?: number }, placeOf = positionOf): Scanned | Promise<Scanned> {
    const { limit = Infinity, bytesMax, backward } = page
    const kept = cut(found.length > limit ? found.slice(0, limit) : found, bytesMax)
    const last = kept.at(-1)
    const isCut = kept.length < found.length && last !== undefined
    const end = isCut ? placeOf(last) + (backward ? -1 : 1) : next
    const events = this.#payloads.of(kept)
    return Array.isArray(events) ? { events, next: end } : this.#fetched(kept, events, end)
  }

  /** What is gone from the log by now must be hidden by now: nobody may see a hole. */
  async #fetched(found: readonly Found[], fetching: Promise<RecordedEvent[]>, next: number): Promise<Scanned> {
    const events = await fetching
    if (events.length === found.length) return { events, next }
    const here = new Set(events.map(({ position }) => position))
    const [gone] = await this.#visible(found.filter(({ position }) => !here.has(position)))
    if (gone === undefined) return { events, next }
    throw new ReadSideError(
      'damaged',
      `event ${gone.position} is gone from this node's log (slot ${gone.slot}), and nothing hides it: replace this node`,
    )
  }

  async #streamRows(state: StreamState, from: number, to: number): Promise<Found[]> {
    const rows = await this.#index.readSide.streamEvents(state.number, from, to)
    return rows.map((row) => ({ ...row, stream: state.name }))
  }

  /** Ascending. */
  async #positions(from: number, to: number): Promise<Found[]> {
    return this.#named(placesBetween(await this.#index.readSide.slotsHolding(from, to), from, to))
  }

  async #named(places: Place[]): Promise<Found[]> {
    const names = await this.#index.streams.namesOf(new Set(places.map(({ number }) => number)))
    for (const place of places) place.stream = names.get(place.number) ?? ''
    return places
  }
}

/** Its stream's name is not known yet. */
type Place = Omit<Found, 'stream'> & { readonly number: number; stream: string }

function placesBetween(rows: readonly SlotRow[], from: number, to: number): Place[] {
  const places: Place[] = []
  for (const row of rows) {
    const index = decodeSlotIndex(row)
    const last = Math.min(row.count - 1, to - row.firstPosition)
    for (let event = Math.max(0, from - row.firstPosition); event <= last; event++) places.push(placeOf(row, index, event))
  }
  return places
}

/** Of positions that the slots hold, both ascending. */
function placesAt(rows: readonly SlotRow[], positions: readonly number[]): Place[] {
  const places: Place[] = []
  let next = 0
  for (const row of rows) {
    const index = decodeSlotIndex(row)
    for (; next < positions.length && positions[next]! < row.firstPosition + row.count; next++)
      places.push(placeOf(row, index, positions[next]! - row.firstPosition))
  }
  return places
}

function placeOf({ slot, firstPosition }: SlotRow, { streamNumbers, revisions, offsets, lengths }: SlotIndex, event: number): Place {
  return {
    stream: '',
    number: streamNumbers[event]!,
    revision: revisions[event]!,
    position: firstPosition + event,
    slot,
    offset: offsets[event]!,
    length: lengths[event]!,
  }
}

const positionOf = ({ position }: Found): number => position

function checkAborted({ signal }: ScanPage): void {
  if (signal?.aborted === true) throw new EventStoreError('aborted', 'the read was aborted')
}

function fills(found: readonly Found[], { bytesMax }: Pick<Page, 'bytesMax'>): boolean {
  return found.reduce((sum, { length }) => sum + length, 0) > bytesMax
}

function cut(found: Found[], bytesMax: number): Found[] {
  let bytes = 0
  const end = found.findIndex(({ length }) => (bytes += length) > bytesMax)
  return end < 0 ? found : found.slice(0, Math.max(1, end))
}
