/**
 * One WebSocket to one node, shared by everything that talks to it. What is asked in one turn of the event loop leaves as one
 * frame; answers find their request by its number. A node that says nothing for a second is pinged, and given up after three: that
 * decides only when to try elsewhere, never what happened. A connection that ends tells each open request so, and is never used again.
 */
import { connectionPath, clientFrameWriter, frameBytesMax, readNodeFrame, subprotocol } from '@synod/client-protocol'
import type { ClientMessage, NodeMessage } from '@synod/client-protocol'
import type { ClientCounters } from './client-status.ts'
import { tickMilliseconds } from './ticker.ts'

export type AnswerMessage = Extract<NodeMessage, { readonly request: number }>
export type Topology = Extract<NodeMessage, { readonly kind: 'topology' }>

/** Something that was asked and hears the answers. Neither method throws. */
export interface ConnectionRequest {
  onAnswer(message: AnswerMessage): void
  /** The connection is gone; what was not answered may have happened or not. */
  onLost(): void
}

export interface ConnectionOwner {
  /** `before` is what it said last; undefined when it greets. */
  onTopology(connection: NodeConnection, topology: Topology, before: Topology | undefined): void
  /** Once. The open requests are to be told. */
  onClosed(connection: NodeConnection, problem: string, requests: readonly ConnectionRequest[]): void
}

const pingTicks = 1000 / tickMilliseconds
const silenceTicksMax = 3000 / tickMilliseconds
/** On a slow line a ping stands behind what is being sent: a tick more for each so many bytes that have not left yet. */
const slowLineBytesPerTick = 256 * 1024
const slowLineTicksMax = 10_000 / tickMilliseconds
/** Above it a frame leaves in the middle of a turn. An append alone may be larger. */
const frameBytesEnough = 256 * 1024
/** Turns of the microtask queue in which nothing was added, before a frame leaves: code that awaits what was just answered comes along. */
const quietTurns = 4
const requestNumberMax = 0xffff_ffff
/** Of a message without its variable parts; what is more than this below `frameBytesMax` fits into a frame. */
export const messageBytesMax = frameBytesMax - 64 * 1024

export class NodeConnection {
  /** Of the node's HTTP. */
  readonly url: string
  /** No request goes there before this tick unless there is no other: it could not take the last one. */
  suspectUntil = 0
  /** The number of its newest topology among those of all connections. */
  toldAt = 0
  /** Ticks for which nothing was open here. */
  idleTicks = 0
  /** Ticks for which the node has said that it does not serve. */
  notServingTicks = 0
  readonly #owner: ConnectionOwner
  readonly #counters: ClientCounters
  readonly #socket: WebSocket
  readonly #requests = new Map<number, ConnectionRequest>()
  readonly #writer = clientFrameWriter()
  #topology: Topology | undefined
  #isClosed = false
  #silentTicks = 0
  #lastNumber = 0
  #isFlushing = false
  #flushedAt = 0
  #quietTurns = 0

  /** @throws whatever the platform's WebSocket says of the address */
  constructor(url: string, owner: ConnectionOwner, counters: ClientCounters) {
    this.url = url
    this.#owner = owner
    this.#counters = counters
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}${connectionPath}`, subprotocol)
    socket.binaryType = 'arraybuffer'
    socket.onmessage = ({ data }: { readonly data: unknown }) => this.#onFrame(data)
    socket.onerror = () => this.#end('it cannot be reached')
    socket.onclose = ({ code, reason }) => this.#end(`it closed the connection (${code}${reason === '' ? '' : `: ${reason}`})`)
    this.#socket = socket
  }

  /** Undefined until the node has greeted; nothing is sent before. */
  get topology(): Topology | undefined {
    return this.#topology
  }

  get isOpen(): boolean {
    return this.#topology !== undefined && !this.#isClosed
  }

  get isServing(): boolean {
    return this.isOpen && this.#topology?.isServing === true
  }

  get openRequests(): number {
    return this.#requests.size
  }

  /** A number under which `request` hears its answers, until it is released. */
  open(request: ConnectionRequest): number {
    do this.#lastNumber = this.#lastNumber === requestNumberMax ? 1 : this.#lastNumber + 1
    while (this.#requests.has(this.#lastNumber))
    this.#requests.set(this.#lastNumber, request)
    this.idleTicks = 0
    return this.#lastNumber
  }

  release(number: number): void {
    this.#requests.delete(number)
  }

  /** Goes out with the frame of this turn. */
  send(message: ClientMessage): void {
    if (this.#isClosed) return
    this.#writer.add(message)
    if (this.#writer.length >= frameBytesEnough) this.#flush()
    else if (!this.#isFlushing) {
      this.#isFlushing = true
      this.#quietTurns = 0
      this.#flushedAt = this.#writer.length
      queueMicrotask(this.#flushWhenQuiet)
    }
  }

  tick(): void {
    if (this.#isClosed) return
    this.#silentTicks++
    if (this.#requests.size === 0) this.idleTicks++
    if (this.#topology?.isServing === false) this.notServingTicks++
    const patience = Math.min(Math.floor(this.#socket.bufferedAmount / slowLineBytesPerTick), slowLineTicksMax)
    if (this.#silentTicks > silenceTicksMax + patience) {
      this.#end(`it was silent for ${(this.#silentTicks * tickMilliseconds) / 1000} s`)
    } else if (this.isOpen && this.#silentTicks % pingTicks === 0) this.send({ kind: 'ping' })
  }

  /** Closes it as of no more use. Requests that are still open are told. */
  close(): void {
    this.#flush()
    this.#end('this client closed the connection')
  }

  readonly #flushWhenQuiet = (): void => {
    if (!this.#isFlushing) return
    if (this.#writer.length !== this.#flushedAt) {
      this.#flushedAt = this.#writer.length
      this.#quietTurns = 0
    } else if (++this.#quietTurns >= quietTurns) return this.#flush()
    queueMicrotask(this.#flushWhenQuiet)
  }

  #flush(): void {
    this.#isFlushing = false
    if (this.#isClosed || this.#writer.length === 0) return
    const frame = this.#writer.take()
    this.#counters.framesSent++
    this.#counters.bytesSent += frame.length
    // The writer's buffer is a plain one, which its type does not say.
    this.#socket.send(frame as Uint8Array<ArrayBuffer>)
  }

  #onFrame(data: unknown): void {
    if (this.#isClosed) return
    this.#silentTicks = 0
    if (!(data instanceof ArrayBuffer)) return this.#end('it sent text where frames are binary')
    this.#counters.framesReceived++
    this.#counters.bytesReceived += data.byteLength
    let messages: NodeMessage[]
    try {
      messages = readNodeFrame(new Uint8Array(data))
    } catch (error) {
      return this.#end(`it sent a frame that does not decode (${(error as Error).message})`)
    }
    for (const message of messages) {
      if (message.kind === 'topology') this.#onTopology(message)
      else if (message.kind !== 'pong') {
        // A number that is not known any more was cancelled.
        this.#requests.get(message.request)?.onAnswer(message)
      }
      // A handler may have given this connection up.
      if (this.#isClosed) return
    }
  }

  #onTopology(topology: Topology): void {
    const before = this.#topology
    if (before === undefined) this.#counters.connectionsOpened++
    this.#topology = topology
    if (topology.isServing) this.notServingTicks = 0
    this.#owner.onTopology(this, topology, before)
  }

  #end(problem: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const socket = this.#socket
    socket.onmessage = socket.onclose = socket.onopen = null
    // Closing what is not open yet is reported as an error, which is of no interest any more.
    socket.onerror = () => undefined
    socket.close()
    const requests = [...this.#requests.values()]
    this.#requests.clear()
    this.#owner.onClosed(this, `${this.url}: ${problem}`, requests)
  }
}
