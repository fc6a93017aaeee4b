/**
 * A subscription is a cursor and a wait for the head to advance: one path for replay and live, with no hand-over between
 * them to lose events at. Pages are read at the cursor, from the tail when it has them. A reader that does not ask for the
 * next message costs the page it holds, and that is let go when all pages together are too much (PageBudget).
 *
 * Nothing is told below where the reader resumes: at a node that has not reached that point yet it waits, without a word.
 *
 * The end that `caughtUp` speaks of is where the end was when the subscription began, or when it fell behind: a chase of
 * the moving end might never be over. From then on the reader is caught up while no more than `fellBehindEvents` wait for it.
 */
import type { EventIndex } from './event-machine.ts'
import type { EventLimits } from './event-limits.ts'
import type { EventReader } from './event-reader.ts'
import type { RecordedEvent, SubscriptionMessage } from './event-store.ts'
import type { PageBudget } from './page-budget.ts'
import type { StreamState } from './stream-state.ts'
import type { Ticket } from './advance.ts'

export interface SubscriptionRange {
  /** Undefined: all streams. */
  readonly stream: string | undefined
  /** The first revision, or position, to deliver. */
  readonly from: number
  /** Events up to this position are not delivered, whatever `from` says: at a node that lags, a stream's revision after it is not known yet. */
  readonly afterPosition: number
}

interface End {
  /** Where the subscription's events end; -1 when there are none. */
  readonly last: number
  /** Of all events; `last` covers everything up to there. */
  readonly head: number
}

export class Subscription {
  readonly #index: EventIndex
  readonly #reader: EventReader
  readonly #budget: PageBudget
  readonly #limits: EventLimits
  readonly #range: SubscriptionRange
  readonly #room: () => number | Promise<number>
  readonly #signal: AbortSignal
  #ticket: Ticket | undefined
  #next: number
  /** The last position considered. */
  #considered: number
  #checkpointed = -1
  #checkpointDue = false
  /** Behind until the cursor passes it. */
  #target: number | undefined

  constructor(
    index: EventIndex,
    reader: EventReader,
    budget: PageBudget,
    limits: EventLimits,
    range: SubscriptionRange,
    room: () => number | Promise<number>,
    signal: AbortSignal,
  ) {
    this.#index = index
    this.#reader = reader
    this.#budget = budget
    this.#limits = limits
    this.#range = range
    this.#room = room
    this.#signal = signal
    this.#next = range.from
    this.#considered = range.afterPosition
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
    const { stream, from, afterPosition } = this.#range
    const ticket = this.#index.advance.ticket(this.#index.tail.head < afterPosition ? undefined : stream)
    this.#ticket = ticket
    try {
      const end = await this.#end()
      const waiting = end.last - this.#next + 1
      if (this.#target === undefined && waiting > this.#limits.fellBehindEvents) {
        this.#target = end.last
        yield { kind: 'fellBehind', position: this.#considered, lag: waiting }
      }
      if (waiting > 0) yield* this.#deliver(end.last)
      if (this.#signal.aborted) return
      const reached = this.#next > end.last
      // Short of where the reader resumes there is nothing to tell: a position below would move its cursor back.
      if (end.head < afterPosition || end.last < from - 1) {
        if (reached) await ticket.fired
        return
      }
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

  async *#deliver(last: number): AsyncGenerator<SubscriptionMessage, void, undefined> {
    const { stream } = this.#range
    const state = stream === undefined ? undefined : await this.#index.streams.find(stream)
    if (stream !== undefined && state === undefined) return
    // Before the page: of a reader that takes nothing none is held.
    const room = this.#room()
    const bytesMax = typeof room === 'number' ? room : await room
    if (this.#signal.aborted) return
    const first = state?.firstRecentRevision ?? this.#index.tail.first
    const held = await this.#budget.take(this.#next >= first ? 'memory' : 'store', this.#signal)
    if (held === undefined) return
    try {
      for (let taken = held.fill(await this.#page(state, last), bytesMax); !this.#signal.aborted;) {
        this.#next += taken.length
        const events = this.#afterStart(taken)
        const position = events.at(-1)?.position
        if (position !== undefined) {
          this.#considered = position
          yield { kind: 'events', events }
        }
        if (!held.isStanding) return
        let next = this.#room()
        if (typeof next !== 'number') {
          held.putDown()
          next = await next
        }
        taken = held.take(next)
      }
    } finally {
      held.release()
    }
  }

  #afterStart(events: readonly RecordedEvent[]): readonly RecordedEvent[] {
    const { afterPosition } = this.#range
    const [first] = events
    return first !== undefined && first.position > afterPosition ? events : events.filter(({ position }) => position > afterPosition)
  }

  async #end(): Promise<End> {
    const { stream } = this.#range
    const { streams, tail } = this.#index
    // Before the look: what comes meanwhile may be in the stream and was not looked at.
    const { head } = tail
    if (stream === undefined) return { last: head, head }
    const state = await streams.find(stream)
    return { last: state?.revision ?? -1, head }
  }

  /** Of a stream, or of all. */
  #page(state: StreamState | undefined, last: number): Promise<RecordedEvent[]> {
    const { subscriptionPageEventsMax, subscriptionPageBytesMax } = this.#limits
    const page = {
      from: this.#next,
      to: Math.min(last, this.#next + subscriptionPageEventsMax - 1),
      backward: false,
      bytesMax: Math.min(subscriptionPageBytesMax, this.#budget.share),
    }
    return state === undefined ? this.#reader.all(page) : this.#reader.stream(state, page)
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
