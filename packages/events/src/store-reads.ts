/** Reads: a stream, all events, what passes a filter; each with the consistency that its caller asks for. */
import { LogError, StoreError, type OrderedLog } from '@synod/log'
import { checkStreamName, invalid } from './append-request.ts'
import type { EventLimits } from './event-limits.ts'
import type { EventMachine } from './event-machine.ts'
import type { EventReader } from './event-reader.ts'
import type { QueryOptions, QueryPage, ReadOptions, RecordedEvent, StreamInfo, StreamInfoOptions } from './event-store.ts'
import { EventStoreError } from './event-store-error.ts'
import { ReadSideError } from './read-side.ts'
import type { StoreProposing } from './store-proposing.ts'
import type { StreamState } from './stream-state.ts'

export class StoreReads {
  readonly #log: Pick<OrderedLog<unknown>, 'read'>
  readonly #machine: EventMachine
  readonly #limits: EventLimits
  readonly #reader: EventReader
  readonly #proposing: Pick<StoreProposing, 'checkOpen'>

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

  async readStream(stream: string, options: ReadOptions): Promise<readonly RecordedEvent[]> {
    checkStreamName(stream, this.#limits)
    const backward = this.#checkRead(options)
    await this.#reach(options)
    return this.#reading(async () => {
      const state = await this.#machine.index.streams.find(stream)
      if (state === undefined) throw new EventStoreError('stream_not_found', `there is no stream ${JSON.stringify(stream)}`)
      return this.#streamPage(state, backward, options)
    })
  }

  async readAll(options: ReadOptions): Promise<readonly RecordedEvent[]> {
    const backward = this.#checkRead(options)
    await this.#reach(options)
    return this.#reading(async () => {
      const range = pageRange(1, this.#machine.position(), backward, options)
      return range === undefined ? [] : this.#reader.all({ ...range, backward, bytesMax: this.#limits.pageBytesMax })
    })
  }

  query(_options: QueryOptions): Promise<QueryPage> {
    return Promise.reject(new EventStoreError('unavailable', 'being built'))
  }

  streamInfo(_stream: string, _options: StreamInfoOptions): Promise<StreamInfo> {
    return Promise.reject(new EventStoreError('unavailable', 'being built'))
  }

  #streamPage(state: StreamState, backward: boolean, options: ReadOptions): Promise<RecordedEvent[]> | RecordedEvent[] {
    const range = pageRange(0, state.revision, backward, options)
    return range === undefined ? [] : this.#reader.stream(state, { ...range, backward, bytesMax: this.#limits.pageBytesMax })
  }

  /** Returns whether it goes backward. */
  #checkRead({ from, direction = 'forward', limit, consistency, signal }: ReadOptions): boolean {
    this.#proposing.checkOpen()
    const { readEventsMax } = this.#limits
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > readEventsMax)
      throw invalid(`limit must be an integer from 1 to ${readEventsMax}, not ${String(limit)}`)
    if (from !== undefined) checkInteger('from', from)
    if (direction !== 'forward' && direction !== 'backward')
      throw invalid(`direction must be forward or backward, not ${String(direction)}`)
    if (consistency !== 'linearizable' && consistency !== 'local')
      throw invalid(`consistency must be linearizable or local, not ${String(consistency)}`)
    if (signal?.aborted === true) throw new EventStoreError('aborted', 'the read was aborted before it began')
    return direction === 'backward'
  }

  /** Until everything that the read has to see is applied here. */
  async #reach({ consistency, signal }: ReadOptions): Promise<void> {
    if (consistency === 'local') return
    try {
      await this.#log.read(signal === undefined ? {} : { signal })
    } catch (error) {
      if (!(error instanceof LogError)) throw error
      if (error.code === 'aborted') throw new EventStoreError('aborted', 'the read was aborted', { cause: error })
      throw new EventStoreError(
        error.code === 'busy' ? 'busy' : 'unavailable',
        `a linearizable read is not possible now: ${error.message}. Try again, or read with consistency local`,
        { cause: error },
      )
    }
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
