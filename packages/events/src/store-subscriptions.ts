/** Subscriptions: those that are open, and where each begins. */
import { checkStreamName, invalid } from './append-request.ts'
import type { EventLimits } from './event-limits.ts'
import type { EventIndex } from './event-machine.ts'
import type { EventReader } from './event-reader.ts'
import type { SubscribeOptions, SubscriptionMessage } from './event-store.ts'
import { EventStoreError } from './event-store-error.ts'
import { PageBudget } from './page-budget.ts'
import type { StoreProposing } from './store-proposing.ts'
import { checkInteger, readFailure } from './store-reads.ts'
import type { StreamState } from './stream-state.ts'
import { Subscription, type SubscriptionRange } from './subscription.ts'

/** A reader that does not say how much it takes, takes one event at a time. */
const oneEvent = (): number => 1

export class StoreSubscriptions {
  readonly #index: EventIndex
  readonly #limits: EventLimits
  readonly #reader: EventReader
  readonly #proposing: Pick<StoreProposing, 'checkOpen'>
  readonly #budget: PageBudget
  /** Those open, to be ended by `close`. */
  readonly #subscriptions = new Set<AbortController>()

  constructor(index: EventIndex, limits: EventLimits, reader: EventReader, proposing: Pick<StoreProposing, 'checkOpen'>) {
    this.#index = index
    this.#limits = limits
    this.#reader = reader
    this.#proposing = proposing
    this.#budget = new PageBudget(limits.subscriptionBytesMax)
  }

  subscribe(options: SubscribeOptions): AsyncIterable<SubscriptionMessage> {
    this.#proposing.checkOpen()
    const { stream, from, afterPosition } = options
    if (stream !== undefined) checkStreamName(stream, this.#limits)
    if (from !== undefined) checkInteger('from', from)
    if (afterPosition !== undefined) checkInteger('afterPosition', afterPosition)
    if (from !== undefined && afterPosition !== undefined) throw invalid('give from or afterPosition, not both')
    return this.#messages(options)
  }

  counters(): Readonly<Record<string, number>> {
    const { subscriptionsMax } = this.#limits
    return { subscriptions: this.#subscriptions.size, subscriptionsMax, ...this.#budget.counters() }
  }

  close(): void {
    for (const subscription of this.#subscriptions) subscription.abort()
  }

  async *#messages({
    stream,
    from,
    afterPosition,
    room = oneEvent,
    signal,
  }: SubscribeOptions): AsyncGenerator<SubscriptionMessage, void, undefined> {
    this.#proposing.checkOpen()
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
      yield* new Subscription(this.#index, this.#reader, this.#budget, this.#limits, range, room, ending.signal).messages()
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
    const state = await this.#index.streams.find(stream)
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
}
