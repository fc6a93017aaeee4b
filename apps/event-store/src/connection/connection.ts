/**
 * One client's WebSocket. Frames come in whole: each is decoded before anything of it is used, and one that does not decode, or
 * breaks the rules, ends the connection. What its requests answer leaves by the outbox, one frame a turn.
 *
 * It ends when the client goes, when the client breaks the protocol, when nothing is heard of it or it takes nothing for too
 * long, and when the node stops: then what is open is answered first.
 */
import { MalformedError, type Bytes } from '@synod/codec'
import { readClientFrame, type ClientMessage, type RequestNumber } from '@synod/client-protocol'
import type { WebSocket } from 'ws'
import { unavailable } from '../http/http-error.ts'
import { Appends } from './appends.ts'
import type { ConnectionParts, SharedParts } from './connection-parts.ts'
import { FrameIntake } from './frame-intake.ts'
import { OpenRequests } from './open-requests.ts'
import { Outbox } from './outbox.ts'
import { Reads } from './reads.ts'
import { refusalOf } from './refusal.ts'
import type { SendBudget } from './send-budget.ts'
import { Subscriptions } from './subscriptions.ts'
import type { Topology } from './topology.ts'

/** Why a node ends a connection, in a word. */
export type EndKind = 'malformed' | 'violation' | 'silent' | 'stalled' | 'overloaded' | 'slowFrame'

export interface ConnectionOptions {
  readonly shared: SharedParts
  readonly budget: SendBudget
  readonly onEnd: (kind: EndKind, why: string) => void
  readonly onRefused: (code: string) => void
  readonly onUnforeseen: (error: unknown) => void
}

const closeMillisecondsMax = 1_000
/** An answer may be a little later than it should. */
const answerGraceMilliseconds = 250

export class Connection {
  readonly #webSocket: WebSocket
  readonly #options: ConnectionOptions
  readonly #outbox: Outbox
  readonly #requests = new OpenRequests()
  readonly #appends: Appends
  readonly #reads: Reads
  readonly #subscriptions: Subscriptions
  readonly #intake: FrameIntake
  #isStopping = false
  #isPaused = false
  #isEnded = false
  #heardAt: number
  #pingedAt: number
  #framesIn = 0

  constructor(webSocket: WebSocket, options: ConnectionOptions) {
    this.#webSocket = webSocket
    this.#options = options
    const { shared, budget } = options
    this.#heardAt = this.#pingedAt = shared.clock.now
    this.#outbox = new Outbox(webSocket, {
      bytesMax: shared.limits.connectionSendBytesMax,
      budget,
      clock: shared.clock,
      onClogged: (isClogged) => this.#pause(isClogged),
      onLost: () => this.#onLost(),
    })
    const refuse = (request: RequestNumber, error: unknown): void => this.#refuse(request, error)
    const parts: ConnectionParts = { ...shared, outbox: this.#outbox, requests: this.#requests, refuse }
    this.#appends = new Appends(parts)
    this.#reads = new Reads(parts)
    this.#subscriptions = new Subscriptions(parts)
    this.#intake = new FrameIntake(shared.bytes, shared.clock)
    webSocket.on('message', (data, isBinary) => this.#onFrame(plainBytes(data as Buffer), isBinary))
    webSocket.on('error', (error: Error & { code?: string }) => this.#onError(error))
    webSocket.on('close', () => this.#onClose())
  }

  get counters(): Readonly<Record<'requests' | 'subscriptions' | 'framesIn' | 'framesOut', number>> {
    const { size: requests } = this.#requests
    return { requests, subscriptions: this.#subscriptions.size, framesIn: this.#framesIn, framesOut: this.#outbox.frames }
  }

  get stalledSince(): number | undefined {
    return this.#outbox.stalledSince
  }

  /** A chunk came from the socket, and what it completed was told already. */
  onChunk(length: number): void {
    this.#heardAt = this.#options.shared.clock.now
    if (!this.#intake.onChunk(length)) this.#end('overloaded', 1013, 'too many bytes of requests are under way at this node: try again')
  }

  tell(topology: Topology): void {
    this.#outbox.add(topology)
  }

  /** To be called every now and then: is the client still there, and does it take what it is sent? */
  look(): void {
    if (this.#isEnded) return
    const { clock, limits } = this.#options.shared
    const { connectionSilenceMillisecondsMax, subscriberStallMillisecondsMax, requestMillisecondsMax } = limits
    const { now } = clock
    const { stalledSince } = this.#outbox
    if (stalledSince !== undefined && now - stalledSince > subscriberStallMillisecondsMax) return this.drop('stalled')
    if (this.#intake.since !== undefined && now - this.#intake.since > requestMillisecondsMax)
      return this.#end('slowFrame', 1008, 'a frame did not arrive in time: send smaller ones')
    // Nothing can be heard of a client that is not read from; what it takes shows whether it is there.
    if (this.#isPaused) return
    const silence = now - this.#heardAt
    if (silence > connectionSilenceMillisecondsMax) return this.drop('silent')
    if (silence > connectionSilenceMillisecondsMax / 3 && now - this.#pingedAt > connectionSilenceMillisecondsMax / 3) {
      this.#pingedAt = now
      this.#webSocket.ping()
    }
  }

  /** Without a word: there is nobody to hear it. */
  drop(kind: 'stalled' | 'silent'): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#options.onEnd(kind, kind === 'stalled' ? 'it takes nothing of what it is sent' : 'nothing is heard of it')
    this.#outbox.close()
    this.#release()
    this.#webSocket.terminate()
  }

  /** The node stops: subscriptions end, what else is open is answered, then the connection is closed. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#subscriptions.endAll()
    await this.#answered()
    if (this.#webSocket.readyState === this.#webSocket.CLOSED) return
    const closed = new Promise<void>((resolve) => this.#webSocket.once('close', () => resolve()))
    this.#isEnded = true
    this.#close(1001, 'this node is stopping')
    await closed
  }

  /** What is open, or as much of it as there is time for: a page may wait for a client that takes nothing. */
  async #answered(): Promise<void> {
    let cut: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      cut = setTimeout(resolve, this.#options.shared.limits.answerMillisecondsMax + answerGraceMilliseconds)
    })
    await Promise.race([this.#requests.empty(), late])
    clearTimeout(cut)
  }

  #onFrame(frame: Bytes, isBinary: boolean): void {
    this.#intake.onFrame(frame.length)
    if (this.#isEnded) return
    this.#framesIn++
    if (!isBinary) return this.#end('malformed', 1003, 'frames are binary messages')
    let messages: ClientMessage[]
    try {
      messages = readClientFrame(frame)
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
      return this.#end('malformed', 1007, error.message)
    }
    const taken = this.#numberTaken(messages)
    if (taken !== undefined) return this.#end('violation', 1002, `request ${taken} is open already`)
    this.#take(messages, frame.length)
  }

  /** The first number of a new request that is none. */
  #numberTaken(messages: readonly ClientMessage[]): RequestNumber | undefined {
    const begun = new Set<RequestNumber>()
    for (const message of messages) {
      if (!begins(message)) continue
      if (begun.has(message.request) || this.#requests.has(message.request)) return message.request
      begun.add(message.request)
    }
    return undefined
  }

  #take(messages: readonly ClientMessage[], frameBytes: number): void {
    const appends = this.#appends.frame(frameBytes)
    let isPinged = false
    for (const message of messages) {
      if (message.kind === 'ping') isPinged = true
      else if (message.kind === 'credit') this.#subscriptions.credit(message)
      else if (message.kind === 'acknowledge' || message.kind === 'reject') this.#subscriptions.settle(message)
      else if (message.kind === 'cancel') this.#requests.cancel(message.request)
      else if (this.#isStopping) this.#refuse(message.request, unavailable('this node is stopping: ask another node'))
      else if (message.kind === 'append' || message.kind === 'appendAtomically') appends.propose(message)
      else if (message.kind === 'read' || message.kind === 'query' || message.kind === 'call') this.#reads.begin(message)
      else this.#subscriptions.begin(message)
    }
    appends.end()
    // One for all pings of a frame.
    if (isPinged) this.#outbox.add({ kind: 'pong' })
  }

  #refuse(request: RequestNumber, error: unknown): void {
    const { message, isUnforeseen } = refusalOf(request, error)
    if (isUnforeseen) this.#options.onUnforeseen(error)
    this.#options.onRefused(message.code)
    this.#outbox.add(message)
  }

  #pause(isPaused: boolean): void {
    this.#isPaused = isPaused
    if (isPaused) this.#webSocket.pause()
    else {
      this.#heardAt = this.#options.shared.clock.now
      this.#webSocket.resume()
    }
  }

  #end(kind: EndKind, code: number, why: string): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#options.onEnd(kind, why)
    this.#close(code, why)
    this.#release()
  }

  /** What was said before leaves before. A client that does not answer is cut off. */
  #close(code: number, why: string): void {
    this.#outbox.flush()
    // A reason has 123 bytes at most.
    this.#webSocket.close(code, why.replace(/[^\x20-\x7e]/g, '?').slice(0, 120))
    const cut = setTimeout(() => this.#webSocket.terminate(), closeMillisecondsMax)
    this.#webSocket.once('close', () => clearTimeout(cut))
  }

  /** What is below the frames: a length, a bit, an opcode that cannot be. The WebSocket closes itself with the code that says so. */
  #onError(error: Error & { code?: string }): void {
    if (this.#isEnded || error.code?.startsWith('WS_ERR_') !== true) return
    this.#isEnded = true
    this.#options.onEnd('malformed', error.message)
    this.#release()
  }

  /** The system says so when it is told to send: the WebSocket says it later, when more would have been read for nobody. */
  #onLost(): void {
    this.#isEnded = true
    this.#release()
    this.#webSocket.terminate()
  }

  #onClose(): void {
    this.#isEnded = true
    this.#outbox.close()
    this.#release()
  }

  /** Whatever is open ends without an answer. */
  #release(): void {
    this.#requests.cancelAll()
    this.#appends.close()
    this.#intake.close()
  }
}

/** Whether it opens a request: the others are of one that is open, or of none. */
function begins(message: ClientMessage): message is Extract<ClientMessage, { request: RequestNumber }> {
  switch (message.kind) {
    case 'ping':
    case 'credit':
    case 'cancel':
    case 'acknowledge':
    case 'reject':
      return false
    default:
      return true
  }
}

/** No Buffer: `slice` of one means something else than that of the bytes it is taken for, and its views cost more. */
function plainBytes({ buffer, byteOffset, length }: Buffer): Bytes {
  return new Uint8Array(buffer, byteOffset, length)
}
