/**
 * What is asked of a node once and answered for as long as somebody takes: a subscription, a membership in a consumer group. It lives on
 * one connection at a time, and begins again on another when that goes, or when its node cannot serve for a while. Subclasses say
 * what to ask for, what answers mean, and what is in hand; this is where it lives, and how it begins, waits and ends.
 */
import type { ClientMessage } from '@synod/client-protocol'
import { ProtocolViolationError, UnavailableError } from './client-error.ts'
import type { AnswerMessage, ConnectionRequest, NodeConnection } from './node-connection.ts'
import { isRetryable, toClientError, type Asked, type RefusedMessage } from './refusals.ts'
import { tickMilliseconds } from './ticker.ts'

/** What a long request needs of its client. */
export interface LongRequestHome {
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
  enter(request: LivingRequest): Error | undefined
  leave(request: LivingRequest): void
}

/** What the client does with it. */
export interface LivingRequest {
  place(): void
  /** It need not rest on after a refusal. */
  wake(): void
  tick(): void
  fail(error: unknown): void
}

export interface LongRequestOptions {
  /** For messages: `a subscription`. */
  readonly what: string
  readonly asked: Asked
  /** Of events received and not taken. */
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

export abstract class LongRequest<Item, T> implements AsyncIterator<T, undefined, undefined>, ConnectionRequest, LivingRequest {
  protected readonly home: LongRequestHome
  readonly #options: LongRequestOptions
  #connection: NodeConnection | undefined
  #number = 0
  /** Taken since the node last got credit. */
  #bytesTaken = 0
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

  constructor(options: LongRequestOptions, home: LongRequestHome) {
    this.#options = options
    this.home = home
  }

  /** What to ask a node for, with so much credit. */
  protected abstract message(request: number, creditBytes: number): ClientMessage
  /** An answer that is no refusal. Calls `violate` for what is none at all. */
  protected abstract onMessage(answer: Exclude<AnswerMessage, RefusedMessage>): void
  /** The next of what was received; undefined: nothing is in hand. */
  protected abstract take(): Item | undefined
  /** Of an item; undefined: it is left out. */
  protected abstract open(item: Item): T | undefined | Promise<T | undefined>
  /** Of events in hand. */
  protected abstract bytesInHand(): number
  /** What was received and not taken is not wanted any more. */
  protected abstract letGo(): void
  /** It is on no connection now. */
  protected onUnplaced(): void {}
  /** The reader leaves; what is to be said before. */
  protected onReturn(): Promise<void> | undefined {
    return undefined
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    this.#start()
    for (;;) {
      const item = this.take()
      if (item === undefined) {
        const failure = this.#failure
        this.#failure = undefined
        if (failure !== undefined) throw failure.error
        if (this.#isOver) return { done: true, value: undefined }
        this.#woken ??= new Promise((resolve) => (this.#wake = resolve))
        await this.#woken
        continue
      }
      try {
        const opened = this.open(item)
        const value = opened instanceof Promise ? await opened : opened
        if (value !== undefined) return { done: false, value }
      } catch (error) {
        this.letGo()
        this.finish(undefined)
        throw error
      }
    }
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.#hasStarted = true
    this.letGo()
    const said = this.#isOver ? undefined : this.onReturn()
    if (said !== undefined) await said
    this.finish(undefined)
    return { done: true, value: undefined }
  }

  /** Ends it with an error; what was received and not taken is let go. */
  fail(error: unknown): void {
    if (this.#isOver) return
    this.letGo()
    this.finish({ error })
  }

  wake(): void {
    this.#restsUntil = 0
    this.place()
  }

  /** Asks a node, if there is one and room for what it would send. */
  place(): void {
    const { bytesMax } = this.#options
    if (!this.#hasStarted || this.#isOver || this.#connection !== undefined || this.home.now() < this.#restsUntil) return
    if (this.bytesInHand() * 2 >= bytesMax) return
    const connection = this.home.target()
    if (connection === undefined) return
    this.#connection = connection
    this.#number = connection.open(this)
    this.#bytesTaken = 0
    this.#placedAt = this.home.now()
    if (this.#wasPlaced) this.home.onResumed()
    this.#wasPlaced = true
    connection.send(this.message(this.#number, bytesMax - this.bytesInHand()))
  }

  tick(): void {
    const connection = this.#connection
    if (connection === undefined) {
      const isLate = !this.#wasTaken && this.home.now() >= this.#dueTick
      return isLate ? this.fail(this.#late()) : this.place()
    }
    if (this.home.now() - this.#placedAt >= refusalTicks) this.#wasTaken = true
    if (connection.notServingTicks <= notServingTicksMax) return
    const better = this.home.serving()
    if (better === undefined || better === connection) return
    this.#leave()
    this.place()
  }

  onAnswer(answer: AnswerMessage): void {
    if (answer.kind === 'refused') return this.#onRefused(answer)
    this.#wasTaken = true
    this.#rests = 0
    this.onMessage(answer)
  }

  onLost(): void {
    this.#connection = undefined
    this.onUnplaced()
  }

  handleEvent(): void {
    this.fail(this.#options.signal?.reason)
  }

  protected get isPlaced(): boolean {
    return this.#connection !== undefined
  }

  /** To the node that has it; nothing without one. */
  protected send(message: (request: number) => ClientMessage): void {
    this.#connection?.send(message(this.#number))
  }

  /** Events of so many bytes were taken, or are not wanted. */
  protected giveCredit(bytes: number): void {
    this.#bytesTaken += bytes
    if (this.#connection === undefined) return this.place()
    if (this.#bytesTaken * 2 < this.#options.bytesMax) return
    this.#connection.send({ kind: 'credit', request: this.#number, bytes: this.#bytesTaken })
    this.#bytesTaken = 0
  }

  /** The connection is not trusted with this any more; its reader is told, after what was in order. */
  protected violate(what: string): void {
    this.finish({ error: new ProtocolViolationError(`${this.#connection?.url}: ${what}; begin again after the last event you have`) })
  }

  /** What is in hand may still be taken, then comes the failure. */
  protected finish(failure: { readonly error: unknown } | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#failure = failure
    this.#leave()
    this.#options.signal?.removeEventListener('abort', this)
    this.home.leave(this)
    this.awake()
  }

  /** Something is in hand, or it is over. */
  protected awake(): void {
    this.#wake?.()
    this.#wake = this.#woken = undefined
  }

  #start(): void {
    if (this.#hasStarted) return
    this.#hasStarted = true
    const { signal, timeout } = this.#options
    if (signal?.aborted) return this.fail(signal.reason)
    const refused = this.home.enter(this)
    if (refused !== undefined) return this.fail(refused)
    signal?.addEventListener('abort', this)
    this.#dueTick = this.home.now() + 1 + Math.ceil(timeout / tickMilliseconds)
    this.place()
  }

  #late(): UnavailableError {
    const { what, timeout } = this.#options
    const problem = this.home.lastProblem()
    const why = problem === undefined ? '' : ` (last problem: ${problem})`
    return new UnavailableError(`no node took ${what} for ${timeout} ms${why}: begin it again`)
  }

  #onRefused(refused: RefusedMessage): void {
    const connection = this.#connection
    if (!isRetryable(refused.code)) return this.fail(toClientError(refused, this.#options.asked))
    connection?.release(this.#number)
    this.#connection = undefined
    this.onUnplaced()
    // The first time at once, elsewhere; then after longer and longer rests.
    if (this.#rests > 0)
      this.#restsUntil = this.home.now() + Math.ceil(Math.min(2 ** this.#rests, restTicksMax) * (0.5 + Math.random() / 2))
    this.#rests++
    if (connection !== undefined) this.home.suspect(connection, `${refused.code}: ${refused.message}`)
    this.place()
  }

  #leave(): void {
    if (this.#connection === undefined) return
    this.#connection.release(this.#number)
    this.#connection.send({ kind: 'cancel', request: this.#number })
    this.#connection = undefined
    this.onUnplaced()
  }
}
