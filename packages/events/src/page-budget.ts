/**
 * What the subscriptions of a node hold, together. A page is a copy of what the log has, so it can be let go and read again:
 * beyond `subscriptionBytesMax` the page goes whose reader has taken nothing for the longest time. What cannot go are the events
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
  #letGo = 0

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

  counters(): Readonly<Record<string, number>> {
    const pagesWaiting = this.#waiting.memory.size + this.#waiting.store.size
    return { pages: this.#pages.size, pagesWaiting, pageBytes: this.#bytes, pageBytesMax: this.#bytesMax, pagesLetGo: this.#letGo }
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
      this.#letGo++
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
  #inHand: readonly RecordedEvent[] = []
  #bytes = 0
  #isReleased = false

  constructor(onChange: (bytes: number) => void) {
    this.#onChange = onChange
  }

  get isReleased(): boolean {
    return this.#isReleased
  }

  /** More than what is in hand is there. */
  get isStanding(): boolean {
    return this.#taken < this.#events.length
  }

  /** With what was read. Returns the first events, as `take` does: they are in hand, so that there is progress however little room there is. */
  fill(events: readonly RecordedEvent[], bytesMax: number): readonly RecordedEvent[] {
    this.#events = events
    this.#taken = 0
    const first = this.#next(bytesMax)
    this.#bytes = bytesOf(events)
    this.#onChange(this.#bytes)
    return first
  }

  /** The next events, up to the one that reaches `bytesMax`: one at least, and none at the end of what is left of the page. */
  take(bytesMax: number): readonly RecordedEvent[] {
    if (!this.isStanding) return []
    const events = this.#next(bytesMax)
    this.#onChange(0)
    return events
  }

  /** The reader is done with what it has in hand, and takes no more for a while. */
  putDown(): void {
    this.#inHand = []
    // Of a page that is there its bytes stay counted: what is in hand is a part of it.
    if (this.#events.length > 0) return
    this.#onChange(-this.#bytes)
    this.#bytes = 0
  }

  /** All but what is in hand goes. Returns the bytes that went. */
  letGo(): number {
    const kept = bytesOf(this.#inHand)
    const gone = this.#bytes - kept
    this.#events = []
    this.#bytes = kept
    return gone
  }

  release(): void {
    this.#isReleased = true
    this.#events = []
    this.#inHand = []
    this.#onChange(-this.#bytes)
    this.#bytes = 0
  }

  #next(bytesMax: number): readonly RecordedEvent[] {
    const from = this.#taken
    let bytes = 0
    do bytes += this.#events[this.#taken++]?.record.length ?? 0
    while (bytes < bytesMax && this.isStanding)
    this.#inHand = this.#events.slice(from, this.#taken)
    return this.#inHand
  }
}

/** The memory that they keep alive. */
function bytesOf(events: readonly RecordedEvent[]): number {
  const buffers = new Set<ArrayBufferLike>()
  let bytes = events.length * eventBytes
  for (const { record } of events) {
    if (buffers.has(record.buffer)) continue
    buffers.add(record.buffer)
    bytes += record.buffer.byteLength
  }
  return bytes
}
