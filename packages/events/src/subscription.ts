/**
 * A subscription is a cursor and a wait for the head to advance: one path for replay and live, with no hand-over between
 * them to lose events at. Pages are read at the cursor, from the tail when it has them. A reader that does not ask for the
 * next message costs the page it holds.
 *
 * The end that `caughtUp` speaks of is where the end was when the subscription began, or when it fell behind: a chase of
 * the moving end might never be over. From then on the reader is caught up while no more than `fellBehindEvents` wait for it.
 */
import type { EventIndex } from './event-machine.ts'
import type { EventLimits } from './event-limits.ts'
import type { EventReader } from './event-reader.ts'
import type { RecordedEvent, SubscriptionMessage } from './event-store.ts'
import type { Ticket } from './advance.ts'

export interface SubscriptionRange {
  /** Undefined: all streams. */
  readonly stream: string | undefined
  /** The first revision, or position, to deliver. */
  readonly from: number
}

/** Where the subscription's events end now, and the head of all: taken in one turn. -1 when there are none. */
interface End {
  readonly last: number
  readonly head: number
}

export class Subscription {
  readonly #index: EventIndex
  readonly #reader: EventReader
  readonly #limits: EventLimits
  readonly #range: SubscriptionRange
  readonly #signal: AbortSignal
  #ticket: Ticket | undefined
  #next: number
  /** The last position considered. */
  #considered = 0
  #checkpointed = -1
  #checkpointDue = false
  /** Behind until the cursor passes it. */
  #target: number | undefined

  constructor(index: EventIndex, reader: EventReader, limits: EventLimits, range: SubscriptionRange, signal: AbortSignal) {
    this.#index = index
    this.#reader = reader
    this.#limits = limits
    this.#range = range
    this.#signal = signal
    this.#next = range.from
  }

  async *messages(): AsyncGenerator<SubscriptionMessage, void, undefined> {
    const wake = (): void => this.#ticket?.wake()
    const cancelTimer = this.#armTimer(wake)
    this.#signal.addEventListener('abort', wake)
    try {
      const { last } = await this.#end()
      this.#target = last
      while (!this.#signal.aborted) yield* this.#turn()
    } finally {
      this.#signal.removeEventListener('abort', wake)
      cancelTimer()
      this.#ticket?.cancel()
    }
  }

  async *#turn(): AsyncGenerator<SubscriptionMessage, void, undefined> {
    // The ticket is taken before the look: what is appended between the look and the wait fires it.
    const ticket = this.#index.advance.ticket(this.#range.stream)
    this.#ticket = ticket
    try {
      const end = await this.#end()
      const waiting = end.last - this.#next + 1
      if (this.#target === undefined && waiting > this.#limits.fellBehindEvents) {
        this.#target = end.last
        yield { kind: 'fellBehind', position: this.#considered, lag: waiting }
      }
      if (waiting > 0) {
        for (const event of await this.#page(end.last)) {
          if (this.#signal.aborted) return
          this.#next++
          this.#considered = event.position
          yield { kind: 'event', event }
        }
      }
      const reached = this.#next > end.last
      if (reached) this.#considered = Math.max(this.#considered, end.head)
      if (this.#target !== undefined && this.#next > this.#target) {
        this.#target = undefined
        yield { kind: 'caughtUp', position: this.#considered }
        this.#checkpointDue = true
      }
      if (this.#checkpointDue && this.#considered > this.#checkpointed) {
        this.#checkpointed = this.#considered
        yield { kind: 'checkpoint', position: this.#considered }
      }
      this.#checkpointDue = false
      if (reached && !this.#signal.aborted) await ticket.fired
    } finally {
      ticket.cancel()
    }
  }

  async #end(): Promise<End> {
    const { stream } = this.#range
    const { streams, tail } = this.#index
    if (stream === undefined) return { last: tail.head, head: tail.head }
    const state = await streams.find(stream)
    return { last: state?.revision ?? -1, head: tail.head }
  }

  async #page(last: number): Promise<RecordedEvent[]> {
    const { subscriptionPageEventsMax, subscriptionPageBytesMax } = this.#limits
    const { stream } = this.#range
    const page = {
      from: this.#next,
      to: Math.min(last, this.#next + subscriptionPageEventsMax - 1),
      backward: false,
      bytesMax: subscriptionPageBytesMax,
    }
    if (stream === undefined) return this.#reader.all(page)
    const state = await this.#index.streams.find(stream)
    return state === undefined ? [] : this.#reader.stream(state, page)
  }

  /** One timer for the subscription's life, so that thousands of waiting ones cost little. */
  #armTimer(wake: () => void): () => void {
    const { scheduler } = this.#index
    let cancel = (): void => {}
    const arm = (): void => {
      cancel = scheduler.at(scheduler.now() + this.#limits.checkpointIntervalMs, () => {
        this.#checkpointDue = true
        wake()
        arm()
      })
    }
    arm()
    return () => cancel()
  }
}
