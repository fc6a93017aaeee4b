/**
 * Requests of one kind on their way: a bounded number in flight, a bounded queue behind them, and those whose node could not take
 * them, which rest together for a moment. One that was in flight when its connection went goes again before those that wait, in the
 * order in which they were sent. There is one timer for all that rest, and none for a request: the ticker counts its time.
 */
import { BusyError } from './client-error.ts'
import type { NodeConnection } from './node-connection.ts'
import type { Lane, PendingRequest, Refusal } from './pending-request.ts'
import { RequestQueue } from './request-queue.ts'
import type { Ticker } from './ticker.ts'

export interface LaneLimits {
  readonly timeoutMilliseconds: number
  readonly inFlightMax: number
  readonly bytesInFlightMax: number
  readonly waitingMax: number
  readonly bytesWaitingMax: number
}

export interface LaneOptions {
  readonly limits: LaneLimits
  readonly ticker: Ticker
  /** Where to send now; undefined: nowhere yet, and `pump` is called when that changes. */
  readonly target: () => NodeConnection | undefined
  /** A node could not take a request. */
  readonly suspect: (connection: NodeConnection, problem: string) => void
  readonly onRetry: () => void
  /** Why requests may be waiting. */
  readonly lastProblem: () => string | undefined
}

const restMillisecondsMin = 25
const restMillisecondsMax = 1000

export class RequestLane implements Lane {
  readonly #options: LaneOptions
  /** All that are not settled, oldest first. All have the same time, so it is the order of their ends too. */
  readonly #open = new Set<PendingRequest<unknown>>()
  readonly #waiting = new RequestQueue()
  readonly #resting = new RequestQueue()
  /** To be sent again now. */
  readonly #returned = new RequestQueue()
  #restTimer: ReturnType<typeof setTimeout> | undefined
  #rests = 0
  #inFlight = 0
  #bytesInFlight = 0
  #onEmpty: (() => void) | undefined

  constructor(options: LaneOptions) {
    this.#options = options
  }

  /** Not settled yet. */
  get open(): number {
    return this.#open.size
  }

  get inFlight(): number {
    return this.#inFlight
  }

  get bytesInFlight(): number {
    return this.#bytesInFlight
  }

  /** Fails the request with a BusyError when too many wait. */
  submit(request: PendingRequest<unknown>): void {
    const { limits, ticker } = this.#options
    const { size, bytes } = this.#waiting
    if (size >= limits.waitingMax || (size > 0 && bytes + request.bytes > limits.bytesWaitingMax)) {
      request.fail(new BusyError(`${size} requests of ${bytes} bytes wait already: await some of them first${this.#why()}`))
      return
    }
    request.lane = this
    request.dueTick = ticker.after(limits.timeoutMilliseconds)
    this.#open.add(request)
    this.#waiting.push(request)
    this.pump()
  }

  /** Sends what may be sent now. */
  pump(): void {
    for (;;) {
      const next = this.#returned.first ?? this.#waiting.first
      if (next === undefined || !this.#hasRoom(next.bytes)) return
      const connection = this.#options.target()
      if (connection === undefined) return
      next.queue?.remove(next)
      this.#send(next, connection)
    }
  }

  /** Those that rest go now. */
  wake(): void {
    clearTimeout(this.#restTimer)
    this.#restTimer = undefined
    this.#resting.moveTo(this.#returned)
    this.pump()
  }

  tick(): void {
    for (const request of this.#open) {
      if (request.dueTick > this.#options.ticker.now) return
      request.fail(request.late(this.#options.lastProblem()))
    }
  }

  failAll(error: () => Error): void {
    for (const request of this.#open) request.fail(error())
  }

  /** Settles when nothing is open. */
  async drain(): Promise<void> {
    if (this.#open.size > 0) await new Promise<void>((resolve) => (this.#onEmpty = resolve))
  }

  onSettled(request: PendingRequest<unknown>): void {
    this.#open.delete(request)
    request.queue?.remove(request)
    const { connection } = request
    if (connection !== undefined) {
      this.#leave(request, connection)
      if (request.isAnswered) this.#rests = 0
      else connection.send({ kind: 'cancel', request: request.number })
    }
    if (this.#open.size > 0) return this.pump()
    clearTimeout(this.#restTimer)
    this.#restTimer = undefined
    this.#rests = 0
    this.#onEmpty?.()
  }

  /** Whoever lost the connection pumps when all of its requests have heard of it. */
  onLost(request: PendingRequest<unknown>): void {
    if (request.connection !== undefined) this.#leave(request, request.connection)
    this.#returned.push(request)
    this.#options.onRetry()
  }

  onRefused(request: PendingRequest<unknown>, { problem, isNodeAtFault }: Refusal): void {
    const { connection } = request
    request.isAnswered = false
    this.#resting.push(request)
    this.#rest()
    this.#options.onRetry()
    if (connection === undefined) return
    this.#leave(request, connection)
    if (isNodeAtFault) this.#options.suspect(connection, problem)
  }

  #hasRoom(bytes: number): boolean {
    const { inFlightMax, bytesInFlightMax } = this.#options.limits
    return this.#inFlight === 0 || (this.#inFlight < inFlightMax && this.#bytesInFlight + bytes <= bytesInFlightMax)
  }

  #send(request: PendingRequest<unknown>, connection: NodeConnection): void {
    this.#inFlight++
    this.#bytesInFlight += request.bytes
    request.connection = connection
    request.number = connection.open(request)
    connection.send(request.message(request.number))
  }

  #leave(request: PendingRequest<unknown>, connection: NodeConnection): void {
    connection.release(request.number)
    request.connection = undefined
    this.#inFlight--
    this.#bytesInFlight -= request.bytes
  }

  /** Longer each time until something is answered, and not the same for all clients. */
  #rest(): void {
    if (this.#restTimer !== undefined) return
    const milliseconds = Math.min(restMillisecondsMin * 2 ** this.#rests++, restMillisecondsMax)
    this.#restTimer = setTimeout(() => this.wake(), milliseconds * (0.5 + Math.random() / 2))
  }

  #why(): string {
    const problem = this.#options.lastProblem()
    return problem === undefined ? '' : ` (last problem: ${problem})`
  }
}
