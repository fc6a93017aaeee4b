/**
 * A read, taken event by event. The next page is asked for when half of the one in hand is taken, so that at most two are held and a
 * reader that leaves early asked for little. Pages follow each other by revision or position, those of a filtered read by how far the
 * node looked; and one that goes back is an error.
 */
import type { EventFilter, StoredRecord } from '@synod/client-protocol'
import { ProtocolViolationError } from './client-error.ts'
import type { EventCodec } from './event-codec.ts'
import type { RecordedEvent } from './event-types.ts'
import type { Page, PageQuery, PageRequest } from './page-request.ts'

/** Events of one page at most. */
export const pageEventsMax = 1024
/** Of the first page: a reader that wants a few events should not wait for many. */
const firstPageEvents = 256

export interface ReadRange {
  readonly stream: string | undefined
  readonly filter: EventFilter | undefined
  readonly from: number | undefined
  readonly direction: 'forward' | 'backward'
  readonly consistency: 'linearizable' | 'local'
  readonly atLeast: number | undefined
  /** Events in all; Infinity: to the end. */
  readonly limit: number
  readonly signal: AbortSignal | undefined
}

export class EventReading implements AsyncIterator<RecordedEvent, undefined, undefined> {
  readonly #range: ReadRange
  readonly #codec: EventCodec
  readonly #ask: (query: PageQuery) => PageRequest
  /** The event's place in the order that is read. */
  readonly #place: (stored: StoredRecord) => number
  #page: readonly StoredRecord[] = []
  #at = 0
  #last: StoredRecord | undefined
  /** How far the pages in hand went; undefined before the first. */
  #reached: number | undefined
  #considered: number | undefined
  /** The node said that there is no more. */
  #isAtEnd = false
  /** Asked for and not in hand yet. */
  #asked: PageRequest | undefined
  #left: number
  #isOver = false

  constructor(range: ReadRange, codec: EventCodec, ask: (query: PageQuery) => PageRequest) {
    this.#range = range
    this.#codec = codec
    this.#ask = ask
    this.#left = range.limit
    this.#place = range.stream === undefined ? ({ position }) => position : ({ revision }) => revision
  }

  /** Of the last event received, whether its type is left out or not. */
  get lastRevision(): number | undefined {
    return this.#last?.revision
  }

  /** Of a filtered read: how far every event was considered, by what was received. */
  get considered(): number | undefined {
    return this.#considered
  }

  /** A filtered read received everything that there was. */
  get isAtEnd(): boolean {
    return this.#isAtEnd
  }

  async next(): Promise<IteratorResult<RecordedEvent, undefined>> {
    try {
      for (;;) {
        if (this.#isOver) return { done: true, value: undefined }
        this.#range.signal?.throwIfAborted()
        const stored = this.#page[this.#at]
        if (stored === undefined) {
          await this.#turnPage()
          continue
        }
        this.#at++
        if (this.#at * 2 >= this.#page.length) this.#askNext()
        const event = this.#codec.decode(stored)
        const value = event instanceof Promise ? await event : event
        if (value !== undefined) return { done: false, value }
      }
    } catch (error) {
      this.#end()
      throw error
    }
  }

  return(): Promise<IteratorResult<RecordedEvent, undefined>> {
    this.#end()
    return Promise.resolve({ done: true, value: undefined })
  }

  #askNext(): void {
    if (this.#asked !== undefined || this.#left <= 0 || this.#isOver || this.#isAtEnd) return
    const { stream, filter, direction, consistency, atLeast } = this.#range
    const reached = this.#reached
    const from = reached === undefined ? this.#range.from : direction === 'forward' ? reached + 1 : reached - 1
    // Nothing stands before the first event.
    if (from !== undefined && from < (stream === undefined ? 1 : 0) && reached !== undefined) return
    const limit = Math.min(this.#left, reached === undefined ? firstPageEvents : pageEventsMax)
    this.#asked = this.#ask({ stream, filter, from, direction, limit, consistency, atLeast })
    // Whoever turns the page hears of it; a reader that left does not want to.
    this.#asked.promise.catch(() => undefined)
  }

  async #turnPage(): Promise<void> {
    this.#askNext()
    const asked = this.#asked
    if (asked === undefined) return this.#end()
    const page = await asked.promise
    // Another call of next() was here first.
    if (this.#asked !== asked) return
    this.#asked = undefined
    const { events } = page
    if (events.length > this.#left) throw new ProtocolViolationError(`a node answered a read of ${this.#left} events with ${events.length}`)
    for (const stored of events) this.#follow(stored)
    this.#reach(page)
    this.#page = events
    this.#at = 0
    this.#left -= events.length
    if (events.length === 0 && this.#isAtEnd) this.#end()
  }

  /** The next event of a page. */
  #follow(stored: StoredRecord): void {
    const { stream, direction } = this.#range
    const place = this.#place(stored)
    const before = this.#reached
    const isBehind = before === undefined || (direction === 'forward' ? place > before : place < before)
    if (!isBehind || (stream !== undefined && stored.stream !== stream)) {
      throw new ProtocolViolationError(
        `a node answered a ${direction} read with revision ${stored.revision} of stream ${JSON.stringify(stored.stream)}, position ${stored.position}, where that cannot follow`,
      )
    }
    this.#last = stored
    this.#reached = place
  }

  /** The end of a page: where the next one begins. */
  #reach({ events, considered, isEnd }: Page): void {
    this.#isAtEnd = isEnd
    if (considered === undefined) return
    const { direction } = this.#range
    const before = this.#reached
    const goesBack = before !== undefined && (direction === 'forward' ? considered < before : considered > before)
    // Not a step further, and not the end: it would be asked for ever.
    const stands = before === considered && events.length === 0 && !isEnd
    if (goesBack || stands) {
      throw new ProtocolViolationError(
        `a node answered a ${direction} query with everything considered to ${considered}, where ${before} was before`,
      )
    }
    this.#considered = this.#reached = considered
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#page = []
    this.#asked?.fail(new Error('nobody waits for this page any more'))
    this.#asked = undefined
  }
}
