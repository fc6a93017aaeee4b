/**
 * A subscription, taken message by message. It lives on one connection at a time. When that goes, or its node cannot serve for a
 * while, it begins again on another after the last position that it received, which may be ahead of what its reader has taken: what was
 * received stays in hand. So nothing is missing and nothing comes twice, and a node that says something below that is an error.
 *
 * The node sends as many bytes of events as it has credit for; credit is given back as the reader takes them, so that a slow
 * reader costs what the credit allows and holds up nobody else on the connection.
 */
import { frameBytesMax, type ClientMessage, type Start, type StoredRecord } from '@synod/client-protocol'
import type { SubscriptionMessage } from './client.ts'
import { ProtocolViolationError, UnavailableError } from './client-error.ts'
import type { EventCodec } from './event-codec.ts'
import { MessageBuffer, type Note } from './message-buffer.ts'
import type { AnswerMessage, ConnectionRequest, NodeConnection } from './node-connection.ts'
import { isRetryable, toClientError } from './refusals.ts'
import { tickMilliseconds } from './ticker.ts'

/** What a subscription needs of its client. */
export interface SubscriptionHome {
  /** Ticks so far. */
  now(): number
  /** Any node; undefined: none yet, and `place` is called when that changes. */
  target(): NodeConnection | undefined
  serving(): NodeConnection | undefined
  suspect(connection: NodeConnection, problem: string): void
  lastProblem(): string | undefined
  onResumed(): void
  onEvents(count: number): void
  /** From the first message asked for to the end; an error when the client takes no more of them. */
  enter(subscription: EventSubscription): Error | undefined
  leave(subscription: EventSubscription): void
}

export interface SubscriptionRange {
  readonly stream: string | undefined
  readonly start: Start
  readonly bytesMax: number
  /** Milliseconds until a node has taken it for the first time. */
  readonly timeout: number
  readonly signal: AbortSignal | undefined
}

/** A node without a quorum delivers nothing new; while all elect a leader there is no better one. */
const notServingTicksMax = 3000 / tickMilliseconds
/** A node that has nothing to tell may be silent for long; one that refuses says so soon. */
const refusalTicks = 1000 / tickMilliseconds
const restTicksMax = 2000 / tickMilliseconds

export class EventSubscription implements AsyncIterator<SubscriptionMessage, undefined, undefined>, ConnectionRequest {
  readonly #range: SubscriptionRange
  readonly #codec: EventCodec
  readonly #home: SubscriptionHome
  #connection: NodeConnection | undefined
  #number = 0
  readonly #buffer = new MessageBuffer()
  /** Taken since the node last got credit. */
  #bytesTaken = 0
  /** Everything at or below this position was received, or is not wanted; undefined before the first word. */
  #received: number | undefined
  #lastRevision = -1
  #hasStarted = false
  #wasPlaced = false
  #placedAt = 0
  /** A node has it: from then on it goes on for as long as it takes. */
  #wasTaken = false
  #dueTick = 0
  #restsUntil = 0
  #rests = 0
  #isOver = false
  #failure: { readonly error: unknown } | undefined
  #wake: (() => void) | undefined
  #woken: Promise<void> | undefined

  constructor(range: SubscriptionRange, codec: EventCodec, home: SubscriptionHome) {
    this.#range = range
    this.#codec = codec
    this.#home = home
    if (range.start.kind === 'afterPosition') this.#received = range.start.position
  }

  async next(): Promise<IteratorResult<SubscriptionMessage, undefined>> {
    this.#start()
    for (;;) {
      const item = this.#buffer.take()
      if (item === undefined) {
        const failure = this.#failure
        this.#failure = undefined
        if (failure !== undefined) throw failure.error
        if (this.#isOver) return { done: true, value: undefined }
        this.#woken ??= new Promise((resolve) => (this.#wake = resolve))
        await this.#woken
        continue
      }
      if ('kind' in item) return { done: false, value: item }
      this.#giveCredit(item.record.length)
      const decoded = this.#decode(item)
      const event = decoded instanceof Promise ? await decoded : decoded
      if (event !== undefined) return { done: false, value: { kind: 'event', event } }
    }
  }

  return(): Promise<IteratorResult<SubscriptionMessage, undefined>> {
    this.#hasStarted = true
    this.#buffer.clear()
    this.#finish(undefined)
    return Promise.resolve({ done: true, value: undefined })
  }

  /** Ends it with an error; what was received and not taken is let go. */
  fail(error: unknown): void {
    if (this.#isOver) return
    this.#buffer.clear()
    this.#finish({ error })
  }

  /** It need not rest on after a refusal. */
  wake(): void {
    this.#restsUntil = 0
    this.place()
  }

  /** Asks a node, if there is one and room for what it would send. */
  place(): void {
    if (this.#isOver || this.#connection !== undefined || this.#home.now() < this.#restsUntil || !this.#hasRoom) return
    const connection = this.#home.target()
    if (connection === undefined) return
    this.#connection = connection
    this.#number = connection.open(this)
    this.#bytesTaken = 0
    this.#placedAt = this.#home.now()
    if (this.#wasPlaced) this.#home.onResumed()
    this.#wasPlaced = true
    connection.send(this.#subscribe())
  }

  tick(): void {
    const connection = this.#connection
    if (connection === undefined) {
      const isLate = !this.#wasTaken && this.#home.now() >= this.#dueTick
      return isLate ? this.fail(this.#late()) : this.place()
    }
    if (this.#home.now() - this.#placedAt >= refusalTicks) this.#wasTaken = true
    if (connection.notServingTicks <= notServingTicksMax) return
    const better = this.#home.serving()
    if (better === undefined || better === connection) return
    this.#leave()
    this.place()
  }

  onAnswer(answer: AnswerMessage): void {
    switch (answer.kind) {
      case 'events':
        return this.#onEvents(answer.events)
      case 'caughtUp':
      case 'checkpoint':
        return this.#onNote({ kind: answer.kind, position: BigInt(answer.position) }, answer.position)
      case 'fellBehind':
        return this.#onNote({ kind: answer.kind, position: BigInt(answer.position), lag: BigInt(answer.lag) }, answer.position)
      case 'refused':
        return this.#onRefused(answer)
      default:
        this.#violate(`it answered a subscription with ${answer.kind}`)
    }
  }

  onLost(): void {
    this.#connection = undefined
  }

  handleEvent(): void {
    this.fail(this.#range.signal?.reason)
  }

  get #hasRoom(): boolean {
    return this.#buffer.bytes * 2 < this.#range.bytesMax
  }

  #start(): void {
    if (this.#hasStarted) return
    this.#hasStarted = true
    const { signal, timeout } = this.#range
    if (signal?.aborted) return this.fail(signal.reason)
    const refused = this.#home.enter(this)
    if (refused !== undefined) return this.fail(refused)
    signal?.addEventListener('abort', this)
    this.#dueTick = this.#home.now() + 1 + Math.ceil(timeout / tickMilliseconds)
    this.place()
  }

  #subscribe(): ClientMessage {
    const { stream, bytesMax, start } = this.#range
    return {
      kind: 'subscribe',
      request: this.#number,
      ...(stream !== undefined && { stream }),
      start: this.#received === undefined ? start : { kind: 'afterPosition', position: this.#received },
      creditBytes: bytesMax - this.#buffer.bytes,
    }
  }

  #late(): UnavailableError {
    const problem = this.#home.lastProblem()
    const why = problem === undefined ? '' : ` (last problem: ${problem})`
    return new UnavailableError(`no node took a subscription for ${this.#range.timeout} ms${why}: subscribe again`)
  }

  #onEvents(events: readonly StoredRecord[]): void {
    this.#wasTaken = true
    this.#rests = 0
    const { stream, bytesMax } = this.#range
    for (const stored of events) {
      const { position, revision } = stored
      const isOfStream = stream === undefined || (stored.stream === stream && revision > this.#lastRevision)
      if (position <= (this.#received ?? 0) || !isOfStream) {
        return this.#violate(
          `it sent position ${position}, revision ${revision} of stream ${JSON.stringify(stored.stream)}, after position ${this.#received}`,
        )
      }
      this.#received = position
      if (stream !== undefined) this.#lastRevision = revision
      this.#buffer.addEvent(stored)
    }
    if (this.#buffer.bytes > bytesMax + frameBytesMax) return this.#violate('it sent more than it had credit for')
    this.#home.onEvents(events.length)
    this.#awake()
  }

  #onNote(note: Note, position: number): void {
    this.#wasTaken = true
    this.#rests = 0
    if (position < (this.#received ?? 0)) return this.#violate(`it is at position ${position} and was at ${this.#received}`)
    if (note.kind !== 'fellBehind') this.#received = position
    this.#buffer.addNote(note)
    this.#awake()
  }

  #onRefused(refused: Extract<AnswerMessage, { readonly kind: 'refused' }>): void {
    const connection = this.#connection
    if (!isRetryable(refused.code)) {
      return this.fail(toClientError(refused, this.#range.stream))
    }
    connection?.release(this.#number)
    this.#connection = undefined
    // The first time at once, elsewhere; then after longer and longer rests.
    if (this.#rests > 0)
      this.#restsUntil = this.#home.now() + Math.ceil(Math.min(2 ** this.#rests, restTicksMax) * (0.5 + Math.random() / 2))
    this.#rests++
    if (connection !== undefined) this.#home.suspect(connection, `${refused.code}: ${refused.message}`)
    this.place()
  }

  /** The connection is not trusted with this subscription any more; its reader is told, after what was in order. */
  #violate(what: string): void {
    this.#finish({ error: new ProtocolViolationError(`${this.#connection?.url}: ${what}; begin again after the last event you have`) })
  }

  #giveCredit(bytes: number): void {
    this.#bytesTaken += bytes
    if (this.#connection === undefined) return this.place()
    if (this.#bytesTaken * 2 < this.#range.bytesMax) return
    this.#connection.send({ kind: 'credit', request: this.#number, bytes: this.#bytesTaken })
    this.#bytesTaken = 0
  }

  #decode(stored: StoredRecord): ReturnType<EventCodec['decode']> {
    const failed = (error: unknown): never => {
      this.#buffer.clear()
      this.#finish(undefined)
      throw error
    }
    try {
      const event = this.#codec.decode(stored)
      return event instanceof Promise ? event.catch(failed) : event
    } catch (error) {
      return failed(error)
    }
  }

  #leave(): void {
    this.#connection?.release(this.#number)
    this.#connection?.send({ kind: 'cancel', request: this.#number })
    this.#connection = undefined
  }

  /** What is in hand may still be taken, then comes the failure. */
  #finish(failure: { readonly error: unknown } | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#failure = failure
    this.#leave()
    this.#range.signal?.removeEventListener('abort', this)
    this.#home.leave(this)
    this.#awake()
  }

  #awake(): void {
    this.#wake?.()
    this.#wake = this.#woken = undefined
  }
}
