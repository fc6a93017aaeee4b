/**
 * What the subscriptions of a node hold, together. A page is a copy of what the log has, so it can be let go and read again:
 * beyond `subscriptionBytesMax` the page goes whose reader has taken nothing for the longest time. What cannot go is the event
 * that a reader has in hand. When those alone are more than the budget, a subscription waits its turn to read a page until
 * one of them moves on or ends. The more pages there are, the smaller each is read, so that letting go stays rare.
 *
 * Pages that are being read are not counted yet. Of those that need the database no more than `storeReadsMax` are, further
 * ones wait their turn; those from memory are there at once and wait for nobody.
 */
import type { RecordedEvent } from './event-store.ts'

/** More would only wait for a connection of the read side, with their rows in hand. */
const storeReadsMax = 16
/** Of an event beside the bytes of its record, about. */
const eventBytes = 256

export type PageSource = 'memory' | 'store'

export class PageBudget {
  readonly #bytesMax: number
  readonly #pages = new Set<HeldPage>()
  /** Those that can be let go; the one whose reader took nothing for the longest time comes first. */
  readonly #standing = new Set<HeldPage>()
  readonly #waiting = { memory: new Set<() => void>(), store: new Set<() => void>() }
  #bytes = 0
  #storeReads = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Resolves when it is this reader's turn, with a page to fill and to release in any case; undefined when aborted. */
  async take(source: PageSource, signal: AbortSignal): Promise<HeldPage | undefined> {
    if (signal.aborted) return undefined
    if (this.#admits(source)) return this.#begin(source)
    const { promise, resolve } = Promise.withResolvers<HeldPage | undefined>()
    const admit = (): void => resolve(this.#begin(source))
    const leave = (): void => {
      if (this.#waiting[source].delete(admit)) resolve(undefined)
    }
    this.#waiting[source].add(admit)
    signal.addEventListener('abort', leave)
    try {
      return await promise
    } finally {
      signal.removeEventListener('abort', leave)
    }
  }

  /** Bytes that one page may have now. */
  get share(): number {
    return Math.max(1, Math.floor(this.#bytesMax / Math.max(1, this.#pages.size)))
  }

  #admits(source: PageSource): boolean {
    return this.#bytes <= this.#bytesMax && (source === 'memory' || this.#storeReads < storeReadsMax)
  }

  #begin(source: PageSource): HeldPage {
    let isReading = source === 'store'
    if (isReading) this.#storeReads++
    const page: HeldPage = new HeldPage((bytes) => {
      if (isReading) this.#storeReads--
      isReading = false
      this.#changed(page, bytes)
    })
    this.#pages.add(page)
    return page
  }

  #changed(page: HeldPage, bytes: number): void {
    this.#bytes += bytes
    this.#standing.delete(page)
    if (page.isReleased) this.#pages.delete(page)
    else if (page.isStanding) this.#standing.add(page)
    for (const oldest of this.#standing) {
      if (this.#bytes <= this.#bytesMax) break
      this.#standing.delete(oldest)
      this.#bytes -= oldest.letGo()
    }
    for (const source of ['memory', 'store'] as const) {
      for (const admit of this.#waiting[source]) {
        if (!this.#admits(source)) break
        this.#waiting[source].delete(admit)
        admit()
      }
    }
  }
}

/** A page in the hands of one reader. */
export class HeldPage {
  /** Called with the change in bytes when it is filled, at every event that is taken, and when it is released. */
  readonly #onChange: (bytes: number) => void
  #events: readonly RecordedEvent[] = []
  #taken = 0
  #inHand: RecordedEvent | undefined
  #bytes = 0
  #isReleased = false

  constructor(onChange: (bytes: number) => void) {
    this.#onChange = onChange
  }

  get isReleased(): boolean {
    return this.#isReleased
  }

  /** More than the event in hand is there. */
  get isStanding(): boolean {
    return this.#taken < this.#events.length
  }

  /** With what was read. Returns the first event, which is in hand then. */
  fill(events: readonly RecordedEvent[]): RecordedEvent | undefined {
    this.#events = events
    this.#inHand = events[0]
    this.#taken = 1
    this.#bytes = bytesOf(events)
    this.#onChange(this.#bytes)
    return this.#inHand
  }

  /** The next event, or undefined at the end of what is left of the page. */
  take(): RecordedEvent | undefined {
    const event = this.#events[this.#taken]
    if (event === undefined) return undefined
    this.#inHand = event
    this.#taken++
    this.#onChange(0)
    return event
  }

  /** All but the event in hand goes. Returns the bytes that went. */
  letGo(): number {
    const kept = this.#inHand === undefined ? 0 : bytesOf([this.#inHand])
    const gone = this.#bytes - kept
    this.#events = []
    this.#bytes = kept
    return gone
  }

  release(): void {
    this.#isReleased = true
    this.#events = []
    this.#inHand = undefined
    this.#onChange(-this.#bytes)
    this.#bytes = 0
  }
}

/** The memory that they keep alive. */
function bytesOf(events: readonly RecordedEvent[]): number {
  const buffers = new Set<ArrayBufferLike>()
  let bytes = events.length * eventBytes
  for (const { data } of events) {
    if (buffers.has(data.buffer)) continue
    buffers.add(data.buffer)
    bytes += data.buffer.byteLength
  }
  return bytes
}
