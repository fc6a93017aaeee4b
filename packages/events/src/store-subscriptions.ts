/** Subscriptions: those that are open, and where each begins. */
import { checkStreamName, invalid } from './append-request.ts'
import { CheckpointClock } from './checkpoint-clock.ts'
import { checkFilter } from './event-filter.ts'
import type { EventLimits } from './event-limits.ts'
import type { EventIndex } from './event-machine.ts'
import type { EventReader } from './event-reader.ts'
import type { EventFilter, SubscribeOptions, SubscriptionMessage } from './event-store.ts'
import { EventStoreError } from './event-store-error.ts'
import { PageBudget } from './page-budget.ts'
import type { StoreProposing } from './store-proposing.ts'
import { checkInteger, readFailure } from './store-reads.ts'
import { Subscription, type SubscriptionParts, type SubscriptionRange } from './subscription.ts'

/** A reader that does not say how much it takes, takes one event at a time. */
const oneEvent = (): number => 1

export class StoreSubscriptions {
  readonly #parts: SubscriptionParts
  readonly #proposing: Pick<StoreProposing, 'checkOpen'>
  /** Those open, to be ended by `close`. */
  readonly #subscriptions = new Set<AbortController>()

  constructor(index: EventIndex, limits: EventLimits, reader: EventReader, proposing: Pick<StoreProposing, 'checkOpen'>) {
    const clock = new CheckpointClock(index.scheduler, () => index.tail.head, limits)
    this.#parts = { index, reader, limits, clock, budget: new PageBudget(limits.subscriptionBytesMax) }
    this.#proposing = proposing
  }

  subscribe(options: SubscribeOptions): AsyncIterable<SubscriptionMessage> {
    this.#proposing.checkOpen()
    const { stream, from, afterPosition, filter } = options
    const { limits } = this.#parts
    if (stream !== undefined) checkStreamName(stream, limits)
    if (stream !== undefined && filter !== undefined) throw invalid('a filter is for all streams: give stream or filter, not both')
    if (from !== undefined) checkInteger('from', from)
    if (afterPosition !== undefined) checkInteger('afterPosition', afterPosition)
    if (from !== undefined && afterPosition !== undefined) throw invalid('give from or afterPosition, not both')
    const checked = filter === undefined ? {} : checkFilter(filter, limits)
    return this.#messages(options, Object.keys(checked).length === 0 ? undefined : checked)
  }

  counters(): Readonly<Record<string, number>> {
    const { subscriptionsMax } = this.#parts.limits
    return { subscriptions: this.#subscriptions.size, subscriptionsMax, ...this.#parts.budget.counters() }
  }

  close(): void {
    for (const subscription of this.#subscriptions) subscription.abort()
  }

  async *#messages(
    { stream, from, afterPosition, room = oneEvent, signal }: SubscribeOptions,
    filter: EventFilter | undefined,
  ): AsyncGenerator<SubscriptionMessage, void, undefined> {
    this.#proposing.checkOpen()
    const { subscriptionsMax } = this.#parts.limits
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
    let subscription: Subscription | undefined
    try {
      const range = { ...(await this.#rangeOf(stream, from, afterPosition)), filter }
      subscription = new Subscription(this.#parts, range, room, ending.signal)
      for (;;) {
        const message = subscription.ready() ?? (await subscription.next())
        if (message === undefined) return
        yield message
      }
    } catch (error) {
      throw readFailure(error)
    } finally {
      subscription?.close()
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
    const { index, reader } = this.#parts
    const state = await index.streams.find(stream)
    return { stream, from: state === undefined ? 0 : await reader.revisionAfter(state, afterPosition), afterPosition }
  }
}
