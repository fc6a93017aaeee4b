/**
 * A consumer's membership in a group, taken event by event. It lives on one connection; when that goes, what is in hand is let go (it comes
 * again, here or elsewhere) and the group is joined anew at another node. The same within a connection when partitions are assigned anew: a
 * generation ends, and with it what was delivered in it. So nothing of an older generation is handed out after the first event of a newer one.
 *
 * Acknowledgements of one turn leave in one message. Each has a promise for what came of it, which the node tells by position; one
 * whose connection went is answered as "may come again", which is always true of it.
 */
import { frameBytesMax, type ClientMessage, type GroupRecord } from '@synod/client-protocol'
import type { GroupDelivery, Rejection } from './consumer-groups.ts'
import { InvalidArgumentError } from './client-error.ts'
import type { EventCodec } from './event-codec.ts'
import type { RecordedEvent } from './event-types.ts'
import { LongRequest, type LongRequestHome } from './long-request.ts'
import type { AnswerMessage } from './node-connection.ts'
import { tickMilliseconds } from './ticker.ts'

export interface MembershipOptions {
  readonly group: string
  readonly consumer: string | undefined
  readonly bytesMax: number
  /** Milliseconds until a node has taken it for the first time. */
  readonly timeout: number
  readonly signal: AbortSignal | undefined
}

/** One generation on one connection: what was delivered in it counts as long as it is the newest. */
interface Term {
  readonly generation: number
}

interface Delivered {
  readonly term: Term
  readonly stored: GroupRecord
}

/** A consumer that leaves waits so long for what became of its acknowledgements. */
const farewellTicksMax = 2000 / tickMilliseconds
/** In one message; more of one turn leave in several. */
const acknowledgedAtOnceMax = 4096
/** Of those taken, before the list is cut. */
const takenItemsMax = 1024

export class GroupMembership extends LongRequest<Delivered, GroupDelivery> {
  readonly #options: MembershipOptions
  readonly #codec: EventCodec
  #term: Term | undefined
  #items: Delivered[] = []
  #at = 0
  #bytes = 0
  /** Acknowledged in this turn, of the newest term. */
  #acknowledged: number[] = []
  /** Whom to tell what came of an acknowledgement, by generation and position; as many as the node has in flight here. */
  readonly #waiting = new Map<string, ((isSettled: boolean) => void)[]>()
  #farewell: { readonly dueTick: number; readonly said: () => void } | undefined

  constructor(options: MembershipOptions, codec: EventCodec, home: LongRequestHome) {
    super({ what: `the consumer of group ${JSON.stringify(options.group)}`, asked: { group: options.group }, ...options }, home)
    this.#options = options
    this.#codec = codec
  }

  override tick(): void {
    if (this.#farewell !== undefined && this.home.now() >= this.#farewell.dueTick) this.#farewell.said()
    super.tick()
  }

  protected message(request: number, creditBytes: number): ClientMessage {
    const { group, consumer } = this.#options
    return { kind: 'consume', request, group, ...(consumer !== undefined && { consumer }), creditBytes }
  }

  protected onMessage(answer: AnswerMessage): void {
    switch (answer.kind) {
      case 'assigned':
        if (answer.generation < (this.#term?.generation ?? 0)) {
          return this.violate(`it assigned generation ${answer.generation} after ${this.#term?.generation}`)
        }
        this.#beginTerm({ generation: answer.generation })
        return
      case 'groupEvents':
        return this.#onEvents(answer.generation, answer.events)
      case 'settled':
      case 'stale':
        for (const position of answer.positions) this.#tell(answer.generation, position, answer.kind === 'settled')
        return
      default:
        this.violate(`it answered a consumer with ${answer.kind}`)
    }
  }

  protected take(): Delivered | undefined {
    const item = this.#items[this.#at]
    if (item === undefined) return undefined
    this.#at++
    this.#bytes -= item.stored.record.length
    if (this.#at === this.#items.length || (this.#at >= takenItemsMax && this.#at * 2 >= this.#items.length)) {
      this.#items = this.#items.slice(this.#at)
      this.#at = 0
    }
    return item
  }

  protected open(item: Delivered): GroupDelivery | undefined | Promise<GroupDelivery | undefined> {
    this.giveCredit(item.stored.record.length)
    const event = this.#codec.decode(item.stored)
    return event instanceof Promise ? event.then((decoded) => this.#toDelivery(item, decoded)) : this.#toDelivery(item, event)
  }

  protected bytesInHand(): number {
    return this.#bytes
  }

  protected letGo(): void {
    this.#items = []
    this.#at = this.#bytes = 0
  }

  protected override onUnplaced(): void {
    this.#term = undefined
    this.#acknowledged = []
    this.letGo()
    const waiting = [...this.#waiting.values()].flat()
    this.#waiting.clear()
    for (const tell of waiting) tell(false)
    this.#farewell?.said()
  }

  /** What was acknowledged is said, and heard of, before it leaves. */
  protected override onReturn(): Promise<void> | undefined {
    if (this.#waiting.size === 0 || !this.isPlaced) return undefined
    return new Promise((said) => (this.#farewell = { dueTick: this.home.now() + farewellTicksMax, said }))
  }

  /** Whoever is asked for the next one hands out nothing of an older term. */
  #beginTerm(term: Term): void {
    this.#sayAcknowledged()
    this.#term = term
    const bytes = this.#bytes
    this.letGo()
    if (bytes > 0) this.giveCredit(bytes)
  }

  #onEvents(generation: number, events: readonly GroupRecord[]): void {
    const term = this.#term
    if (term?.generation !== generation)
      return this.violate(`it delivered in generation ${generation} and had assigned ${term?.generation}`)
    // The reader has left, and only waits for what became of its acknowledgements.
    if (this.#farewell !== undefined) return
    for (const stored of events) {
      this.#items.push({ term, stored })
      this.#bytes += stored.record.length
    }
    if (this.#bytes > this.#options.bytesMax + frameBytesMax) return this.violate('it sent more than it had credit for')
    this.home.onEvents(events.length)
    this.awake()
  }

  #toDelivery({ term, stored }: Delivered, event: RecordedEvent | undefined): GroupDelivery | undefined {
    const isCurrent = (): boolean => this.#term === term
    if (!isCurrent()) return undefined // assigned anew while its schema was asked
    if (event === undefined) {
      // Left out on purpose (`undeclared: 'skip'`): done with.
      void this.#acknowledge(term, stored.position)
      return undefined
    }
    const { position, partition, attempt } = stored
    return {
      event,
      partition,
      attempt,
      generation: term.generation,
      get isCurrent() {
        return isCurrent()
      },
      ack: () => this.#acknowledge(term, position),
      nack: (rejection, reason = '') => this.#reject(term, position, rejection, reason),
    }
  }

  #acknowledge(term: Term, position: number): Promise<boolean> {
    if (this.#term !== term) return Promise.resolve(false)
    if (this.#acknowledged.push(position) === 1) queueMicrotask(() => this.#sayAcknowledged())
    else if (this.#acknowledged.length >= acknowledgedAtOnceMax) this.#sayAcknowledged()
    return new Promise((tell) => {
      const key = `${term.generation} ${position}`
      const others = this.#waiting.get(key)
      if (others === undefined) this.#waiting.set(key, [tell])
      else others.push(tell)
    })
  }

  #sayAcknowledged(): void {
    const term = this.#term
    const positions = this.#acknowledged
    if (term === undefined || positions.length === 0) return
    this.#acknowledged = []
    this.send((request) => ({ kind: 'acknowledge', request, generation: term.generation, positions }))
  }

  #reject(term: Term, position: number, rejection: Rejection, reason: string): void {
    if (!['retry', 'park', 'skip'].includes(rejection)) {
      throw new InvalidArgumentError(`an event is rejected with retry, park or skip, not ${JSON.stringify(rejection)}`)
    }
    if (this.#term !== term) return
    this.send((request) => ({ kind: 'reject', request, generation: term.generation, position, rejection, reason: reason.toWellFormed() }))
  }

  #tell(generation: number, position: number, isSettled: boolean): void {
    const key = `${generation} ${position}`
    const waiting = this.#waiting.get(key)
    if (waiting === undefined) return
    this.#waiting.delete(key)
    for (const tell of waiting) tell(isSettled)
    if (this.#waiting.size === 0) this.#farewell?.said()
  }
}
