/**
 * A read, taken event by event. The next page is asked for when half of the one in hand is taken, so that at most two are held and a
 * reader that leaves early asked for little. Pages follow each other by revision or position, and one that goes back is an error.
 */
import type { StoredRecord } from '@synod/client-protocol'
import { ProtocolViolationError } from './client-error.ts'
import type { EventCodec } from './event-codec.ts'
import type { RecordedEvent } from './event-types.ts'
import type { PageQuery, PageRequest } from './page-request.ts'

/** Events of one page at most. */
export const pageEventsMax = 1024
/** Of the first page: a reader that wants a few events should not wait for many. */
const firstPageEvents = 256

export interface ReadRange {
  readonly stream: string | undefined
  readonly from: number | undefined
  readonly direction: 'forward' | 'backward'
  readonly consistency: 'linearizable' | 'local'
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
    if (this.#asked !== undefined || this.#left <= 0 || this.#isOver) return
    const { stream, direction, consistency } = this.#range
    const last = this.#last === undefined ? undefined : this.#place(this.#last)
    const from = last === undefined ? this.#range.from : direction === 'forward' ? last + 1 : last - 1
    // Nothing stands before the first event.
    if (from !== undefined && from < (stream === undefined ? 1 : 0) && last !== undefined) return
    const limit = Math.min(this.#left, last === undefined ? firstPageEvents : pageEventsMax)
    this.#asked = this.#ask({ stream, from, direction, limit, consistency })
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
    if (page.length === 0) return this.#end()
    if (page.length > this.#left) throw new ProtocolViolationError(`a node answered a read of ${this.#left} events with ${page.length}`)
    for (const stored of page) this.#check(stored)
    this.#page = page
    this.#at = 0
    this.#left -= page.length
  }

  #check(stored: StoredRecord): void {
    const { stream, direction } = this.#range
    const last = this.#last
    const isBehind =
      last === undefined || (direction === 'forward' ? this.#place(stored) > this.#place(last) : this.#place(stored) < this.#place(last))
    if (!isBehind || (stream !== undefined && stored.stream !== stream)) {
      throw new ProtocolViolationError(
        `a node answered a ${direction} read with revision ${stored.revision} of stream ${JSON.stringify(stored.stream)}, position ${stored.position}, where that cannot follow`,
      )
    }
    this.#last = stored
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#page = []
    this.#asked?.fail(new Error('nobody waits for this page any more'))
    this.#asked = undefined
  }
}
