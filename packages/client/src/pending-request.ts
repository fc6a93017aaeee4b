/**
 * One question to the cluster: sent, lost, sent again as often as it takes, and answered to its caller exactly once. Subclasses
 * say what to ask and what an answer means; a RequestLane says when and where.
 */
import type { ClientMessage } from '@synod/client-protocol'
import type { AnswerMessage, ConnectionRequest, NodeConnection } from './node-connection.ts'
import type { RequestQueue } from './request-queue.ts'

/** A node could not take the request: it goes again after a rest. */
export interface Refusal {
  readonly problem: string
  /** Rather at another node. */
  readonly isNodeAtFault: boolean
}

/** What a request needs of its lane. */
export interface Lane {
  onSettled(request: PendingRequest<unknown>): void
  onLost(request: PendingRequest<unknown>): void
  onRefused(request: PendingRequest<unknown>, refusal: Refusal): void
}

export abstract class PendingRequest<T> implements ConnectionRequest {
  readonly promise: Promise<T>
  /** What it weighs against the lane's bounds. */
  readonly bytes: number

  // The lane's own:
  lane: Lane | undefined
  dueTick = 0
  /** Where it is in flight, and under which number. */
  connection: NodeConnection | undefined
  number = 0
  isAnswered = false
  queue: RequestQueue | undefined
  previous: PendingRequest<unknown> | undefined
  next: PendingRequest<unknown> | undefined

  readonly #signal: AbortSignal | undefined
  /** Takes a T; said so, a request of one kind would not be a request. */
  #resolve!: (value: never) => void
  #reject!: (error: unknown) => void
  #isSettled = false

  constructor(bytes: number, signal: AbortSignal | undefined) {
    this.bytes = bytes
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#signal = signal
    signal?.addEventListener('abort', this)
  }

  abstract message(number: number): ClientMessage
  /** Calls `settle` or `fail`, or says why it has to go again. */
  protected abstract judge(answer: AnswerMessage): Refusal | undefined
  /** What was sent may have been carried out or not: its connection went before the answer came. It may end the request. */
  protected abstract onDoubt(): void
  /** What to tell the caller when its time is up. */
  abstract late(problem: string | undefined): Error

  onAnswer(answer: AnswerMessage): void {
    this.isAnswered = true
    const refusal = this.judge(answer)
    if (refusal !== undefined) this.lane?.onRefused(this, refusal)
  }

  /** The signal aborted. */
  handleEvent(): void {
    this.fail(this.#signal?.reason)
  }

  onLost(): void {
    this.onDoubt()
    if (!this.#isSettled) this.lane?.onLost(this)
  }

  settle(value: T): void {
    if (this.#end()) this.#resolve(value as never)
  }

  /** Returns whether it was not settled before. */
  fail(error: unknown): boolean {
    const isFirst = this.#end()
    if (isFirst) this.#reject(error)
    return isFirst
  }

  #end(): boolean {
    if (this.#isSettled) return false
    this.#isSettled = true
    this.#signal?.removeEventListener('abort', this)
    this.lane?.onSettled(this)
    return true
  }
}
