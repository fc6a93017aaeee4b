/**
 * A connection that somebody dialled: a stranger until it has greeted properly, then the way in of one peer's frames.
 * Nothing is written to it but the answer and signs of life, and no sign while an earlier one has not left, so whoever
 * does not read costs nothing.
 */
import type { Socket } from 'node:net'
import { MalformedError, type Bytes } from '@synod/codec'
import type { NodeId } from '@synod/transport'
import type { Counters, PeerCounters } from './counters.ts'
import { FrameParser } from './frame-parser.ts'
import { decodeHello, encodeAnswer, type Answer, type Hello } from './greeting.ts'
import { signOfLife } from './outgoing-link.ts'
import type { TcpOptions } from './tcp-options.ts'

/** While frames flow, a sign of life is written as often as this, asked for or not. */
const signMsMin = 100
/** The dialler probes every `pingMs`: after so many of these in silence it is gone. */
const pingsMissedMax = 3
const pingMsMax = 60_000

export interface IncomingConnectionOptions {
  readonly self: NodeId
  readonly isPeer: (node: NodeId) => boolean
  readonly options: TcpOptions
  readonly counters: Counters
  readonly countersOf: (peer: NodeId) => PeerCounters | undefined
  readonly warn: (message: string) => void
  /** It said who it is, and is welcome. */
  readonly onWelcome: (from: NodeId, connection: IncomingConnection) => void
  /** Returns false when nothing more is wanted. */
  readonly onFrame: (from: NodeId, frame: Bytes) => boolean
  readonly onClose: (connection: IncomingConnection) => void
}

export class IncomingConnection {
  readonly #with: IncomingConnectionOptions
  readonly #socket: Socket
  readonly #late: NodeJS.Timeout
  #greeting: Bytes | undefined = new Uint8Array(0)
  #from: NodeId | undefined
  #peerCounters: PeerCounters | undefined
  #parser: FrameParser | undefined
  #ticksSilentMax = Number.POSITIVE_INFINITY
  #ticksSilent = 0
  #pinged = false
  #signedAt = 0

  constructor(socket: Socket, options: IncomingConnectionOptions) {
    this.#with = options
    this.#socket = socket
    this.#late = setTimeout(() => {
      options.counters.strangersLate++
      socket.destroy()
    }, options.options.greetingMsMax)
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    // Nothing to do: 'close' follows every error.
    socket.on('error', () => {})
    socket.once('close', () => {
      clearTimeout(this.#late)
      options.onClose(this)
    })
  }

  /** Who it is, once it is welcome. */
  get from(): NodeId | undefined {
    return this.#from
  }

  /** Every `pingMs` of this node. Ticks are counted, not time: a process that slept must read before it judges. */
  tick(): void {
    if (++this.#ticksSilent > this.#ticksSilentMax) {
      this.#with.counters.linksSilent++
      this.#socket.destroy()
    }
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #onData(chunk: Bytes): void {
    if (this.#socket.destroyed) return
    this.#ticksSilent = 0
    const { counters } = this.#with
    try {
      const frames = this.#greeting === undefined ? chunk : this.#onGreeting(Buffer.concat([this.#greeting, chunk]))
      if (frames === undefined || this.#parser === undefined) return
      if (this.#peerCounters !== undefined) this.#peerCounters.bytesReceived += frames.length
      this.#parser.push(frames)
      this.#sign()
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
      if (this.#parser === undefined) counters.strangersMalformed++
      else counters.framesMalformed++
      this.#socket.destroy()
    }
  }

  /** Gives what follows the greeting, once the link is up. */
  #onGreeting(bytes: Bytes): Bytes | undefined {
    const greeted = decodeHello(bytes)
    this.#greeting = greeted === undefined ? bytes : undefined
    if (greeted === undefined) return undefined
    clearTimeout(this.#late)
    const { self, options, counters, onWelcome } = this.#with
    const verdict = this.#verdict(greeted.greeting)
    const answer = encodeAnswer({ verdict, self, frameBytesMax: options.frameBytesMax })
    if (verdict !== 'welcome' || !greeted.greeting.known) {
      counters.strangersRefused++
      this.#socket.write(answer)
      this.#socket.destroySoon()
      return undefined
    }
    this.#socket.write(answer)
    const { from, pingMs } = greeted.greeting
    this.#from = from
    this.#peerCounters = this.#with.countersOf(from)
    this.#ticksSilentMax = Math.ceil((pingsMissedMax * Math.min(pingMs, pingMsMax)) / options.pingMs) + 1
    this.#parser = new FrameParser(options.frameBytesMax, {
      onFrame: (frame) => this.#with.onFrame(from, frame),
      onPing: () => {
        this.#pinged = true
      },
    })
    onWelcome(from, this)
    return bytes.subarray(greeted.bytes)
  }

  #verdict(hello: Hello): Answer['verdict'] {
    const { self, isPeer, warn } = this.#with
    const there = `${self} was dialled from ${this.#socket.remoteAddress}`
    if (!hello.known) {
      warn(`${there} by a node of another version: upgrade the older of them`)
      return 'wrongVersion'
    }
    if (hello.to !== self) {
      warn(`${there} by ${hello.from}, which wanted ${hello.to}: correct the address of ${hello.to} in its config`)
      return 'wrongAddress'
    }
    if (isPeer(hello.from)) return 'welcome'
    warn(`${there} by ${hello.from}, which is not a peer: add it to the config here, or correct the config there`)
    return 'notAPeer'
  }

  #sign(): void {
    const now = performance.now()
    const due = this.#pinged || now - this.#signedAt >= Math.min(signMsMin, this.#with.options.pingMs / 2)
    if (!due || this.#socket.writableLength > 0 || this.#socket.destroyed) return
    this.#pinged = false
    this.#signedAt = now
    this.#socket.write(Uint8Array.of(signOfLife))
  }
}
