/** The EventStore on a log and its machine: checks what callers give, proposes, and tells what came of it. */
import type { Bytes } from '@synod/codec'
import { drawUuid, formatUuid } from '@synod/event-record'
import { LogError, SessionProposer, StoreError, type OrderedLog, type Outcome, type SessionCommand } from '@synod/log'
import { appendCommand, checkStreamName, invalid, recordsCommand } from './append-request.ts'
import { checkEventLimits, eventLimits, type EventLimits } from './event-limits.ts'
import type { EventMachine } from './event-machine.ts'
import { EventReader } from './event-reader.ts'
import type {
  Appended,
  AppendRecordsRequest,
  AppendRequest,
  EventStore,
  ReadOptions,
  RecordedEvent,
  SubscribeOptions,
  SubscriptionMessage,
} from './event-store.ts'
import { EventStoreError, WrongExpectedRevisionError } from './event-store-error.ts'
import { PageBudget } from './page-budget.ts'
import { ReadSideError } from './read-side.ts'
import type { StreamState } from './stream-state.ts'
import { Subscription, type SubscriptionRange } from './subscription.ts'
import type { Verdict } from './verdict.ts'

export interface OpenEventStoreOptions {
  readonly log: OrderedLog<Verdict>
  /** The one that the log applies to. */
  readonly machine: EventMachine
  readonly limits?: Partial<EventLimits>
  /** Milliseconds since 1970, for `recordedAt`. */
  readonly now?: () => number
  /** The id of an event that came without one: 16 bytes, never the same twice. Default: a random UUID. */
  readonly drawId?: () => Bytes
}

/** Closing the store ends its subscriptions; the log, and with it the machine, is closed by whoever opened it, afterwards. Throws a RangeError for a limit that makes no sense. */
export function openEventStore(options: OpenEventStoreOptions): OpenedEventStore {
  return new LogEventStore(options)
}

export interface OpenedEventStore extends EventStore {
  /** What is open, held and waited for now, with its bounds; names become metric labels. */
  counters(): Readonly<Record<string, number>>
}

type Asked = Pick<AppendRequest, 'stream' | 'expected' | 'idempotencyKey'>

/** A reader that does not say how much it takes, takes one event at a time. */
const oneEvent = (): number => 1

class LogEventStore implements OpenedEventStore {
  readonly #log: OrderedLog<Verdict>
  readonly #machine: EventMachine
  readonly #limits: EventLimits
  readonly #now: () => number
  readonly #drawId: () => Bytes
  readonly #proposer: SessionProposer<Verdict>
  readonly #reader: EventReader
  readonly #budget: PageBudget
  /** Those open, to be ended by `close`. */
  readonly #subscriptions = new Set<AbortController>()
  #closed = false

  constructor({ log, machine, limits = {}, now = Date.now, drawId = drawUuid }: OpenEventStoreOptions) {
    this.#log = log
    this.#machine = machine
    this.#limits = checkEventLimits({ ...eventLimits, ...limits })
    this.#now = now
    this.#drawId = drawId
    this.#proposer = new SessionProposer(log, machine.index.scheduler)
    this.#reader = new EventReader(machine.index, log)
    this.#budget = new PageBudget(this.#limits.subscriptionBytesMax)
  }

  append(request: AppendRequest, options: { readonly signal?: AbortSignal } = {}): Promise<Appended> {
    const make = (): SessionCommand => appendCommand(request, this.#limits, { recordedAt: this.#recordedAt(), drawId: this.#drawId })
    return this.#propose(make, request, options)
  }

  appendRecords(request: AppendRecordsRequest, options: { readonly signal?: AbortSignal } = {}): Promise<Appended> {
    return this.#propose(() => recordsCommand(request, this.#limits, this.#recordedAt()), request, options)
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

  subscribe(options: SubscribeOptions): AsyncIterable<SubscriptionMessage> {
    this.#checkOpen()
    const { stream, from, afterPosition } = options
    if (stream !== undefined) checkStreamName(stream, this.#limits)
    if (from !== undefined) checkInteger('from', from)
    if (afterPosition !== undefined) checkInteger('afterPosition', afterPosition)
    if (from !== undefined && afterPosition !== undefined) throw invalid('give from or afterPosition, not both')
    return this.#messages(options)
  }

  position(): number {
    return this.#machine.position()
  }

  counters(): Readonly<Record<string, number>> {
    const { subscriptionsMax } = this.#limits
    return { subscriptions: this.#subscriptions.size, subscriptionsMax, ...this.#budget.counters() }
  }

  close(): Promise<void> {
    this.#closed = true
    for (const subscription of this.#subscriptions) subscription.abort()
    return Promise.resolve()
  }

  async *#messages({
    stream,
    from,
    afterPosition,
    room = oneEvent,
    signal,
  }: SubscribeOptions): AsyncGenerator<SubscriptionMessage, void, undefined> {
    this.#checkOpen()
    const { subscriptionsMax } = this.#limits
    if (this.#subscriptions.size >= subscriptionsMax) {
      throw new EventStoreError(
        'busy',
        `this node has ${subscriptionsMax} subscriptions, which is its limit: subscribe at another node, or end some`,
      )
    }
    const ending = new AbortController()
    const abort = (): void => ending.abort()
    signal?.addEventListener('abort', abort)
    if (signal?.aborted === true) abort()
    this.#subscriptions.add(ending)
    try {
      const range = await this.#rangeOf(stream, from, afterPosition)
      yield* new Subscription(this.#machine.index, this.#reader, this.#budget, this.#limits, range, room, ending.signal).messages()
    } catch (error) {
      throw readFailure(error)
    } finally {
      this.#subscriptions.delete(ending)
      signal?.removeEventListener('abort', abort)
    }
  }

  async #rangeOf(stream: string | undefined, from: number | undefined, afterPosition: number | undefined): Promise<SubscriptionRange> {
    if (stream === undefined) {
      const first = afterPosition === undefined ? Math.max(1, from ?? 1) : afterPosition + 1
      return { stream, from: first, afterPosition: first - 1 }
    }
    if (afterPosition === undefined) return { stream, from: from ?? 0, afterPosition: 0 }
    const state = await this.#machine.index.streams.find(stream)
    return { stream, from: state === undefined ? 0 : await this.#revisionAfter(state, afterPosition), afterPosition }
  }

  /** Positions ascend in a stream, so the first revision above one is found by halving. */
  async #revisionAfter(state: StreamState, position: number): Promise<number> {
    let [low, high] = [0, state.revision + 1]
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const [event] = await this.#reader.stream(state, { from: middle, to: middle, backward: false, bytesMax: this.#limits.pageBytesMax })
      if (event !== undefined && event.position > position) high = middle
      else low = middle + 1
    }
    return low
  }

  #streamPage(state: StreamState, backward: boolean, options: ReadOptions): Promise<RecordedEvent[]> | RecordedEvent[] {
    const range = pageRange(0, state.revision, backward, options)
    return range === undefined ? [] : this.#reader.stream(state, { ...range, backward, bytesMax: this.#limits.pageBytesMax })
  }

  async #propose(make: () => SessionCommand, asked: Asked, options: { readonly signal?: AbortSignal }): Promise<Appended> {
    this.#checkOpen()
    const command = make()
    let outcome = await this.#proposer.propose(command, options)
    // The log forgot this node's session. The events keep their ids, so that the same append cannot happen twice.
    if (outcome.fate === 'unknown' && outcome.why === 'sessionExpired') outcome = await this.#proposer.propose(command, options)
    if (outcome.fate !== 'answered') throw noAnswer(outcome)
    return appended(outcome.output, asked)
  }

  #recordedAt(): number {
    return Math.max(0, Math.floor(this.#now()))
  }

  /** Returns whether it goes backward. */
  #checkRead({ from, direction = 'forward', limit, consistency, signal }: ReadOptions): boolean {
    this.#checkOpen()
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

  #checkOpen(): void {
    if (this.#closed) throw new EventStoreError('unavailable', 'this node is shutting down: ask another one')
  }
}

function checkInteger(name: string, value: number): void {
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

function appended(verdict: Verdict, { stream, expected, idempotencyKey }: Asked): Appended {
  switch (verdict.kind) {
    case 'appended':
      return { revision: verdict.revisions[0] ?? 0, position: verdict.position }
    case 'wrongExpectedRevision': {
      const actual = verdict.violations[0]?.actual ?? -1
      throw new WrongExpectedRevisionError(stream, expected, actual < 0 ? 'noStream' : actual)
    }
    case 'eventIdConflict':
      throw new EventStoreError(
        'event_id_conflict',
        `event id ${formatUuid(verdict.id)} is taken, and the request is not a retry of what was appended with it: nothing was written; use new ids`,
      )
    case 'keyReused':
      throw new EventStoreError(
        'idempotency_key_reused',
        `idempotency key ${JSON.stringify(idempotencyKey)} stands for another request: nothing was written; use a new key`,
      )
    case 'malformed':
      throw new EventStoreError('invalid_argument', `nothing was written: ${verdict.why}`)
  }
}

function noAnswer(outcome: Exclude<Outcome<Verdict>, { fate: 'answered' }>): EventStoreError {
  if (outcome.fate === 'unknown') {
    return new EventStoreError(
      'unavailable',
      `the outcome is unknown (${outcome.why}): it may have been appended; try again with the same event ids or the same idempotency key`,
    )
  }
  if (outcome.why === 'busy') return new EventStoreError('busy', 'this node has too much to do: nothing was written; try again in a moment')
  if (outcome.why === 'tooLarge') return tooLargeForLog()
  return new EventStoreError('unavailable', 'this node cannot append now: nothing was written; try again, or at another node')
}

function tooLargeForLog(): EventStoreError {
  return new EventStoreError('too_large', 'the request is larger than what the log takes in one slot: nothing was written; split it')
}

function readFailure(error: unknown): unknown {
  if (error instanceof EventStoreError) return error
  if (error instanceof ReadSideError || error instanceof StoreError)
    return new EventStoreError('unavailable', `this node cannot read: ${error.message}`, { cause: error })
  return error
}
