/**
 * A subscription, taken message by message. When its connection goes it begins again on another after the last position that it received,
 * which may be ahead of what its reader has taken: what was received stays in hand. So nothing is missing and nothing comes twice,
 * and a node that says something below that is an error.
 *
 * The node sends as many bytes of events as it has credit for; credit is given back as the reader takes them, so that a slow
 * reader costs what the credit allows and holds up nobody else on the connection.
 */
import { frameBytesMax, type ClientMessage, type EventFilter, type Start, type StoredRecord } from '@synod/client-protocol'
import type { SubscriptionMessage } from './client.ts'
import type { EventCodec } from './event-codec.ts'
import { LongRequest, type LongRequestHome } from './long-request.ts'
import { MessageBuffer, type Note } from './message-buffer.ts'
import type { AnswerMessage } from './node-connection.ts'

export interface SubscriptionRange {
  readonly stream: string | undefined
  /** Of all streams only. */
  readonly filter: EventFilter | undefined
  readonly start: Start
  readonly bytesMax: number
  /** Milliseconds until a node has taken it for the first time. */
  readonly timeout: number
  readonly signal: AbortSignal | undefined
}

export class EventSubscription extends LongRequest<StoredRecord | Note, SubscriptionMessage> {
  readonly #range: SubscriptionRange
  readonly #codec: EventCodec
  readonly #buffer = new MessageBuffer()
  /** Everything at or below this position was received, or is not wanted; undefined before the first word. */
  #received: number | undefined
  #lastRevision = -1

  constructor(range: SubscriptionRange, codec: EventCodec, home: LongRequestHome) {
    super({ what: 'a subscription', asked: { stream: range.stream }, ...range }, home)
    this.#range = range
    this.#codec = codec
    if (range.start.kind === 'afterPosition') this.#received = range.start.position
  }

  protected message(request: number, creditBytes: number): ClientMessage {
    const { stream, filter, start: first } = this.#range
    const start: Start = this.#received === undefined ? first : { kind: 'afterPosition', position: this.#received }
    if (filter !== undefined) return { kind: 'subscribeFiltered', request, filter, start, creditBytes }
    return { kind: 'subscribe', request, ...(stream !== undefined && { stream }), start, creditBytes }
  }

  protected onMessage(answer: AnswerMessage): void {
    switch (answer.kind) {
      case 'events':
        return this.#onEvents(answer.events)
      case 'caughtUp':
      case 'checkpoint':
        return this.#onNote({ kind: answer.kind, position: BigInt(answer.position) }, answer.position)
      case 'fellBehind':
        return this.#onNote({ kind: answer.kind, position: BigInt(answer.position), lag: BigInt(answer.lag) }, answer.position)
      default:
        this.violate(`it answered a subscription with ${answer.kind}`)
    }
  }

  protected take(): StoredRecord | Note | undefined {
    return this.#buffer.take()
  }

  protected open(item: StoredRecord | Note): SubscriptionMessage | undefined | Promise<SubscriptionMessage | undefined> {
    if ('kind' in item) return item
    this.giveCredit(item.record.length)
    const event = this.#codec.decode(item)
    if (event instanceof Promise) return event.then((decoded) => decoded && { kind: 'event', event: decoded })
    return event && { kind: 'event', event }
  }

  protected bytesInHand(): number {
    return this.#buffer.bytes
  }

  protected letGo(): void {
    this.#buffer.clear()
  }

  #onEvents(events: readonly StoredRecord[]): void {
    const { stream, bytesMax } = this.#range
    for (const stored of events) {
      const { position, revision } = stored
      const isOfStream = stream === undefined || (stored.stream === stream && revision > this.#lastRevision)
      if (position <= (this.#received ?? 0) || !isOfStream) {
        return this.violate(
          `it sent position ${position}, revision ${revision} of stream ${JSON.stringify(stored.stream)}, after position ${this.#received}`,
        )
      }
      this.#received = position
      if (stream !== undefined) this.#lastRevision = revision
      this.#buffer.addEvent(stored)
    }
    if (this.#buffer.bytes > bytesMax + frameBytesMax) return this.violate('it sent more than it had credit for')
    this.home.onEvents(events.length)
    this.awake()
  }

  #onNote(note: Note, position: number): void {
    if (position < (this.#received ?? 0)) return this.violate(`it is at position ${position} and was at ${this.#received}`)
    if (note.kind !== 'fellBehind') this.#received = position
    this.#buffer.addNote(note)
    this.awake()
  }
}
