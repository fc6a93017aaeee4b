/**
 * Reads: a stream, all events, what passes a filter; each with the consistency that its caller asks for. What retention hides
 * is not there for any of them.
 */
import { StoreError, type OrderedLog } from '@synod/log'
import { checkStreamName, invalid } from './append-request.ts'
import { checkFilter } from './event-filter.ts'
import type { EventLimits } from './event-limits.ts'
import type { EventMachine } from './event-machine.ts'
import type { EventReader, ScanPage } from './event-reader.ts'
import type { QueryOptions, QueryPage, ReadOptions, RecordedEvent, StreamInfo, StreamInfoOptions } from './event-store.ts'
import { EventStoreError, tombstoned } from './event-store-error.ts'
import { linearize } from './linearize.ts'
import { ReadSideError } from './read-side.ts'
import type { StoreProposing } from './store-proposing.ts'
import type { StreamState } from './stream-state.ts'

export class StoreReads {
  readonly #log: Pick<OrderedLog<unknown>, 'read'>
  readonly #machine: EventMachine
  readonly #limits: EventLimits
  readonly #reader: EventReader
  readonly #proposing: Pick<StoreProposing, 'checkOpen'>
  /** Those that wait for a position, to be ended by `close`. */
  readonly #waiting = new Set<() => void>()
  #isClosed = false

  constructor(
    log: Pick<OrderedLog<unknown>, 'read'>,
    machine: EventMachine,
    limits: EventLimits,
    reader: EventReader,
    proposing: Pick<StoreProposing, 'checkOpen'>,
  ) {
    this.#log = log
    this.#machine = machine
    this.#limits = limits
    this.#reader = reader
    this.#proposing = proposing
  }

  /** Reads that wait for `atLeast` end. */
  close(): void {
    this.#isClosed = true
    for (const wake of this.#waiting) wake()
  }

  counters(): Readonly<Record<string, number>> {
    return { waitingReads: this.#waiting.size, waitingReadsMax: this.#limits.waitingReadsMax }
  }

  async readStream(stream: string, options: ReadOptions): Promise<readonly RecordedEvent[]> {
    checkStreamName(stream, this.#limits)
    const isBackward = this.#checkRead(options)
    await this.#reach(options)
    return this.#reading(async () => this.#streamPage(await this.#stream(stream), isBackward, options))
  }

  async readAll(options: ReadOptions): Promise<readonly RecordedEvent[]> {
    const backward = this.#checkRead(options)
    await this.#reach(options)
    let range = allRange(this.#machine.position(), backward, options)
    return this.#reading(async () => {
      while (range.from <= range.to) {
        const { events, next } = await this.#reader.all({ ...range, ...this.#page(backward, options), scanMax: Infinity })
        // Empty, and not the end: what was found was reclaimed before it was fetched.
        if (events.length > 0) return events
        range = backward ? { ...range, to: next } : { ...range, from: next }
      }
      return []
    })
  }

  async query(options: QueryOptions): Promise<QueryPage> {
    const backward = this.#checkRead(options)
    const filter = checkFilter(options.filter, this.#limits)
    await this.#reach(options)
    const head = this.#machine.position()
    const range = allRange(head, backward, options)
    if (range.from > range.to) return { events: [], considered: backward ? Math.min(1, head) : head, isEnd: true }
    const scanMax = this.#limits.scanEventsMax
    const { events, next } = await this.#reading(() =>
      this.#reader.filtered(filter, { ...range, ...this.#page(backward, options), scanMax }),
    )
    return { events, considered: backward ? next + 1 : next - 1, isEnd: next < range.from || next > range.to }
  }

  async streamInfo(stream: string, options: StreamInfoOptions): Promise<StreamInfo> {
    checkStreamName(stream, this.#limits)
    this.#checkRead({ ...options, limit: 1 })
    await this.#reach(options)
    return this.#reading(async () => {
      const state = await this.#stream(stream)
      const lastRevision = state.revision
      const [lastEvent] = await this.#streamPage(state, true, { ...options, from: lastRevision, limit: 1 })
      const firstRevision = await this.#reader.firstVisible(state)
      // What came, or was hidden, since: the answer is as of the event that it tells.
      const length = lastEvent === undefined ? 0 : lastRevision - Math.min(firstRevision, lastRevision) + 1
      return { stream, firstRevision: lastRevision - length + 1, lastRevision, length, ...(lastEvent !== undefined && { lastEvent }) }
    })
  }

  async #stream(stream: string): Promise<StreamState> {
    const { streams, visibility } = this.#machine.index
    const state = await streams.find(stream)
    if (state !== undefined && visibility.isTombstoned(state)) throw tombstoned(stream)
    if (state === undefined || visibility.lastRevision(state) < 0)
      throw new EventStoreError('stream_not_found', `there is no stream ${JSON.stringify(stream)}`)
    return state
  }

  async #streamPage(state: StreamState, backward: boolean, options: ReadOptions): Promise<readonly RecordedEvent[]> {
    const { bytesMax } = this.#page(backward, options)
    for (let before = -1; ;) {
      const first = await this.#reader.firstVisible(state)
      const range = pageRange(first, state.revision, backward, options)
      if (range === undefined || first === before) return []
      const { events } = await this.#reader.stream(state, { ...range, backward, bytesMax })
      // Empty: all of it was hidden on the way, and what comes after it may be there.
      if (events.length > 0) return events
      before = first
    }
  }

  #page(backward: boolean, { limit, signal }: Pick<ReadOptions, 'limit' | 'signal'>): Omit<ScanPage, 'from' | 'to' | 'scanMax'> {
    return { backward, limit, bytesMax: this.#limits.pageBytesMax, ...(signal !== undefined && { signal }) }
  }

  /** Returns whether it goes backward. */
  #checkRead({ from, direction = 'forward', limit, consistency, atLeast, signal }: ReadOptions): boolean {
    this.#proposing.checkOpen()
    const { readEventsMax } = this.#limits
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > readEventsMax)
      throw invalid(`limit must be an integer from 1 to ${readEventsMax}, not ${String(limit)}`)
    if (from !== undefined) checkInteger('from', from)
    if (atLeast !== undefined) checkInteger('atLeast', atLeast)
    if (direction !== 'forward' && direction !== 'backward')
      throw invalid(`direction must be forward or backward, not ${String(direction)}`)
    if (consistency !== 'linearizable' && consistency !== 'local')
      throw invalid(`consistency must be linearizable or local, not ${String(consistency)}`)
    if (signal?.aborted === true) throw new EventStoreError('aborted', 'the read was aborted before it began')
    return direction === 'backward'
  }

  /** Until everything that the read has to see is applied here. */
  async #reach({ consistency, atLeast = 0, signal }: StreamInfoOptions): Promise<void> {
    await linearize(this.#log, { consistency, ...(signal !== undefined && { signal }) })
    while (this.#machine.position() < atLeast) await this.#advance(atLeast, signal)
  }

  /** Until something more is applied. */
  async #advance(atLeast: number, signal: AbortSignal | undefined): Promise<void> {
    const { waitingReadsMax } = this.#limits
    if (this.#waiting.size >= waitingReadsMax)
      throw new EventStoreError('busy', `${waitingReadsMax} reads wait on this node, which is its limit: try again in a moment`)
    const ticket = this.#machine.index.advance.ticket()
    const wake = (): void => ticket.wake()
    this.#waiting.add(wake)
    signal?.addEventListener('abort', wake)
    if (!this.#isClosed && signal?.aborted !== true) await ticket.fired
    this.#waiting.delete(wake)
    signal?.removeEventListener('abort', wake)
    ticket.cancel()
    if (signal?.aborted === true)
      throw new EventStoreError(
        'aborted',
        `the read was aborted while this node was at position ${this.#machine.position()}, short of ${atLeast}: read again, at another node, or ask for less`,
      )
    if (this.#isClosed) this.#proposing.checkOpen()
  }

  async #reading<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read()
    } catch (error) {
      throw readFailure(error)
    }
  }
}

export function checkInteger(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw invalid(`${name} must be an integer from 0 to 2^53 - 1, not ${String(value)}`)
}

/** Of positions: from where the read begins to the end in its direction; `from` is above `to` when nothing is left. */
function allRange(head: number, backward: boolean, { from }: ReadOptions): { readonly from: number; readonly to: number } {
  return backward ? { from: 1, to: Math.min(head, from ?? head) } : { from: Math.max(1, from ?? 1), to: head }
}

/** Clipped to what there is; undefined when nothing is left. */
function pageRange(
  first: number,
  last: number,
  backward: boolean,
  { from, limit }: ReadOptions,
): { readonly from: number; readonly to: number } | undefined {
  const start = backward ? Math.min(last, from ?? last) : Math.max(first, from ?? first)
  const range = backward ? { from: Math.max(first, start - limit + 1), to: start } : { from: start, to: Math.min(last, start + limit - 1) }
  return range.from > range.to || start < first ? undefined : range
}

/** In the words of the API. */
export function readFailure(error: unknown): unknown {
  if (error instanceof EventStoreError) return error
  if (error instanceof ReadSideError || error instanceof StoreError)
    return new EventStoreError('unavailable', `this node cannot read: ${error.message}`, { cause: error })
  return error
}
