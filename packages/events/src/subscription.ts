/**
 * A subscription is a cursor and a wait for the head to advance: one path for replay and live, with no hand-over between
 * them to lose events at. Pages are read at the cursor, from the tail when it has them. A reader that does not ask for the
 * next message costs the page it holds, and that is let go when all pages together are too much (PageBudget).
 *
 * Its life is a round: look where the end is; read pages up to there and deliver them; tell what is to be told (`caughtUp`,
 * `checkpoint`); wait. The ticket of the look stays until something for this subscription is applied (advance.ts). As long as it
 * has not fired, everything that was applied meanwhile is considered, without being looked at: a filtered subscription of
 * which nothing is heard for long costs nothing, moves its checkpoint, and goes on at the very event that fires its ticket.
 *
 * Nothing is told below where the reader resumes: at a node that has not reached that point yet it waits, without a word.
 *
 * The end that `caughtUp` speaks of is where the end was when the subscription began, or when it fell behind: a chase of
 * the moving end might never be over. From then on the reader is caught up while no more than `fellBehindEvents` wait for it.
 */
import type { Interest, Watch } from './advance.ts'
import type { CheckpointClock, Checkpointed } from './checkpoint-clock.ts'
import type { EventIndex } from './event-machine.ts'
import type { EventLimits } from './event-limits.ts'
import type { EventReader, Scanned } from './event-reader.ts'
import type { EventFilter, RecordedEvent, SubscriptionMessage } from './event-store.ts'
import type { HeldPage, PageBudget, PageSource } from './page-budget.ts'
import type { StreamState } from './stream-state.ts'

export interface SubscriptionRange {
  /** Undefined: all streams. */
  readonly stream?: string | undefined
  /** Of all streams only, as `checkFilter` gives it. Undefined: all events. */
  readonly filter?: EventFilter | undefined
  /** The first revision, or position, to deliver. */
  readonly from: number
  /** Events up to this position are not delivered, whatever `from` says: at a node that lags, a stream's revision after it is not known yet. */
  readonly afterPosition: number
}

/** What the subscriptions of a node share. */
export interface SubscriptionParts {
  readonly index: EventIndex
  readonly reader: EventReader
  readonly budget: PageBudget
  readonly clock: CheckpointClock
  readonly limits: EventLimits
}

interface End {
  /** Where the subscription's events end; -1 when there are none. */
  readonly last: number
  /** Of all events; `last` covers everything up to there. */
  readonly head: number
}

/** A page in delivery. */
interface Delivery {
  readonly held: HeldPage
  readonly events: readonly RecordedEvent[]
  /** Where to go on when all of it was delivered. */
  readonly next: number
}

const nothing: readonly RecordedEvent[] = []
const all: Interest = {}

export class Subscription implements Checkpointed {
  readonly #parts: SubscriptionParts
  readonly #range: SubscriptionRange
  readonly #room: () => number | Promise<number>
  readonly #signal: AbortSignal
  readonly #leaveClock: () => void
  readonly #resume = (): void => this.#wake?.()
  readonly #onFired = (): void => {
    this.#hasFired = true
    this.#resume()
  }
  #phase: 'look' | 'page' | 'tell' | 'wait' = 'look'
  #wake: (() => void) | undefined
  #ticket: Watch | undefined
  #hasFired = false
  /** As of the last look. */
  #end: End = { last: -1, head: 0 }
  #delivery: Delivery | undefined
  /** For room, and not answered yet. */
  #asked: Promise<number> | undefined
  readonly #said: SubscriptionMessage[] = []
  /** The first that was not delivered or passed over. */
  #next: number
  /** The last position considered. */
  #considered: number
  #checkpointed: number
  #hasTold = false
  #isCheckpointDue = false
  /** Everything up to the last look was delivered and told: what comes is told by the ticket. */
  #isIdle = false
  /** Behind until the cursor passes it. Undefined: caught up. */
  #target: number | undefined

  constructor(parts: SubscriptionParts, range: SubscriptionRange, room: () => number | Promise<number>, signal: AbortSignal) {
    this.#parts = parts
    this.#range = range
    this.#room = room
    this.#signal = signal
    this.#next = range.from
    this.#considered = range.afterPosition
    this.#checkpointed = range.afterPosition
    this.#leaveClock = parts.clock.enter(this)
    signal.addEventListener('abort', this.#resume)
  }

  get checkpointed(): number {
    return this.#checkpointed
  }

  checkpointDue(): void {
    this.#isCheckpointDue = true
    if (this.#isIdle) this.#resume()
  }

  /** The next message when it is there already: a page costs no promise for each of its events. */
  ready(): SubscriptionMessage | undefined {
    if (this.#signal.aborted) return undefined
    if (this.#said.length > 0) return this.#said.shift()
    const { held } = this.#delivery ?? {}
    while (held?.isStanding === true && this.#asked === undefined) {
      const room = this.#room()
      if (typeof room === 'number') {
        const events = this.#taken(held.take(room))
        if (events.length > 0) return { kind: 'events', events }
      } else this.#asked = room
    }
    return undefined
  }

  /** One call at a time, when `ready` has nothing. Undefined: it was aborted. */
  async next(): Promise<SubscriptionMessage | undefined> {
    while (!this.#signal.aborted) {
      const message = this.ready()
      if (message !== undefined) return message
      switch (this.#phase) {
        case 'look':
          await this.#look()
          break
        case 'page': {
          const delivery = this.#delivery
          const events =
            delivery === undefined
              ? await this.#deliver()
              : this.#asked === undefined
                ? this.#finish(delivery)
                : await this.#more(delivery, this.#asked)
          if (events.length > 0 && !this.#signal.aborted) return { kind: 'events', events }
          break
        }
        case 'tell':
          this.#tell()
          break
        case 'wait':
          await this.#wait()
      }
    }
    return undefined
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#resume)
    this.#leaveClock()
    this.#ticket?.cancel()
    this.#delivery?.held.release()
    this.#delivery = undefined
  }

  async #look(): Promise<void> {
    const isFirst = this.#ticket === undefined
    // The ticket is taken before the look: what is appended between the look and the wait fires it.
    this.#takeTicket()
    const { stream } = this.#range
    // Before the look: what comes meanwhile may be in the stream and was not looked at.
    const { head } = this.#parts.index.tail
    const state = stream === undefined ? undefined : (this.#known(stream) ?? (await this.#parts.index.streams.find(stream)))
    const last = stream === undefined ? head : (state?.revision ?? -1)
    if (state !== undefined && !this.#parts.index.visibility.hidesNothing) await this.#passHidden(state, last)
    this.#end = { last, head }
    const waiting = last - this.#next + 1
    if (isFirst) this.#target = last
    else if (this.#target === undefined && waiting > this.#parts.limits.fellBehindEvents) {
      this.#target = last
      this.#said.push({ kind: 'fellBehind', position: this.#considered, lag: waiting })
    }
    this.#phase = waiting > 0 ? 'page' : 'tell'
  }

  /** Another one where the last one has fired. What that one vouches for is passed over. */
  #takeTicket(): void {
    const { advance, tail } = this.#parts.index
    const { stream, afterPosition } = this.#range
    const ticket = this.#ticket
    if (this.#isIdle && stream === undefined) this.#next = Math.max(this.#next, ticket?.position ?? tail.head + 1)
    this.#isIdle = false
    if (ticket !== undefined && ticket.position === undefined) return
    ticket?.cancel()
    this.#hasFired = false
    this.#ticket = advance.watch(tail.head < afterPosition ? all : this.#range, this.#onFired)
  }

  /** Whoever is woken finds its stream in memory, without a promise. */
  #known(stream: string): StreamState | undefined {
    const state = this.#parts.index.streams.get(stream)
    return state === undefined || state.revision < 0 ? undefined : state
  }

  /** What is hidden up to the last revision is passed over. */
  async #passHidden(state: StreamState, last: number): Promise<void> {
    this.#next = Math.max(this.#next, Math.min(last + 1, await this.#parts.reader.firstVisible(state)))
  }

  /** The first events of the next page. */
  async #deliver(): Promise<readonly RecordedEvent[]> {
    const { index, budget } = this.#parts
    const { stream } = this.#range
    // Before the page: of a reader that takes nothing none is held.
    const room = this.#room()
    const bytesMax = typeof room === 'number' ? room : await room
    if (this.#signal.aborted) return nothing
    const state = stream === undefined ? undefined : (this.#known(stream) ?? (await index.streams.find(stream)))
    const held = await budget.take(this.#source(state), this.#signal)
    if (held === undefined) return nothing
    this.#delivery = { held, events: nothing, next: this.#next }
    const { events, next } = await this.#page(state)
    this.#delivery = { held, events, next }
    return this.#taken(held.fill(events, bytesMax))
  }

  /** The next events of the page, when its reader has room for them. */
  async #more({ held }: Delivery, room: Promise<number>): Promise<readonly RecordedEvent[]> {
    held.putDown()
    const bytesMax = await room
    this.#asked = undefined
    return this.#signal.aborted ? nothing : this.#taken(held.take(bytesMax))
  }

  /** The page is over. */
  #finish({ held, events, next }: Delivery): readonly RecordedEvent[] {
    held.release()
    this.#delivery = undefined
    this.#phase = 'tell'
    const last = events.at(-1)
    // Of a page that was let go the rest is read again.
    if (last === undefined || this.#placeOf(last) < this.#next) this.#next = Math.max(this.#next, next)
    if (this.#range.stream === undefined) this.#considered = Math.max(this.#considered, this.#next - 1)
    return nothing
  }

  #taken(events: readonly RecordedEvent[]): readonly RecordedEvent[] {
    const last = events.at(-1)
    if (last === undefined) return nothing
    this.#next = this.#placeOf(last) + 1
    const wanted = this.#afterStart(events)
    if (wanted.length > 0) this.#considered = last.position
    return wanted
  }

  #afterStart(events: readonly RecordedEvent[]): readonly RecordedEvent[] {
    const { afterPosition } = this.#range
    const [first] = events
    return first !== undefined && first.position > afterPosition ? events : events.filter(({ position }) => position > afterPosition)
  }

  /** What there is to say at the end of a look. */
  #tell(): void {
    const { from, afterPosition } = this.#range
    const { last, head } = this.#end
    const hasReached = this.#next > last
    this.#phase = hasReached ? 'wait' : 'look'
    // Short of where the reader resumes there is nothing to tell: a position below would move its cursor back.
    if (head < afterPosition || last < from - 1) return
    if (hasReached) this.#considered = Math.max(this.#considered, head)
    if (this.#target !== undefined && this.#next > this.#target) {
      this.#target = undefined
      this.#said.push({ kind: 'caughtUp', position: this.#considered })
      this.#isCheckpointDue = true
    }
    this.#tellCheckpoint()
    this.#isIdle = hasReached
  }

  #tellCheckpoint(): void {
    const isDue = this.#isCheckpointDue || this.#considered - this.#checkpointed >= this.#parts.limits.checkpointEventsMax
    this.#isCheckpointDue = false
    if (!isDue || (this.#considered <= this.#checkpointed && this.#hasTold)) return
    this.#hasTold = true
    this.#checkpointed = this.#considered
    this.#said.push({ kind: 'checkpoint', position: this.#considered })
  }

  /** Until something was applied that is for it, or the time for a checkpoint has come. */
  async #wait(): Promise<void> {
    if (!this.#hasFired && !(this.#isIdle && this.#isCheckpointDue)) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      await promise
      this.#wake = undefined
    }
    if (this.#isIdle && this.#isCheckpointDue) {
      // What was applied before its ticket fired is not for it.
      const passed = this.#ticket?.position === undefined ? this.#parts.index.tail.head : this.#ticket.position - 1
      this.#considered = Math.max(this.#considered, passed)
      this.#tellCheckpoint()
    }
    if (this.#hasFired) this.#phase = 'look'
  }

  /** Where its page comes from. */
  #source(state: StreamState | undefined): PageSource {
    const { tail, postings } = this.#parts.index
    const first = state?.firstRecentRevision ?? (this.#range.filter === undefined ? tail.first : Math.max(tail.first, postings.cut + 1))
    return this.#next >= first ? 'memory' : 'store'
  }

  /** Of a stream, of all, or of those that pass; up to the end of the last look. */
  #page(state: StreamState | undefined): Scanned | Promise<Scanned> {
    const { limits, budget, reader } = this.#parts
    const { subscriptionPageEventsMax: limit, subscriptionPageBytesMax, scanEventsMax: scanMax } = limits
    const { filter, stream } = this.#range
    const { last } = this.#end
    const bytesMax = Math.min(subscriptionPageBytesMax, budget.share)
    const from = this.#next
    if (filter !== undefined) return reader.filtered(filter, { from, to: last, backward: false, bytesMax, limit, scanMax })
    const to = Math.min(last, from + limit - 1)
    if (stream === undefined) return reader.all({ from, to, backward: false, bytesMax, limit, scanMax: limit })
    if (state === undefined) return { events: nothing, next: last + 1 }
    return reader.stream(state, { from, to, backward: false, bytesMax })
  }

  #placeOf({ revision, position }: RecordedEvent): number {
    return this.#range.stream === undefined ? position : revision
  }
}
