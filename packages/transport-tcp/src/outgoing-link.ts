/**
 * This node's way to one peer: dials it for ever, greets it, writes frames to it. Frames go out here only; those of the
 * peer come in on the connection that it dials (tcp-transport.ts says why).
 *
 *   waiting ──timer──▶ dialling ──answer "welcome"──▶ up
 *      ▲──────────────────┴──── closed, refused, late, silent ────┘
 *
 * What the peer sends back is the answer to the greeting and then a byte, now and then, that says it is reading. Only
 * that counts as a sign of life: the kernel takes bytes for a dead peer for a long time.
 */
import { connect, type Socket } from 'node:net'
import { MalformedError, type Bytes } from '@synod/codec'
import type { NodeId } from '@synod/transport'
import type { Address } from './address.ts'
import type { Counters, PeerCounters } from './counters.ts'
import { FrameBatch } from './frame-batch.ts'
import { decodeAnswer, encodeHello, greetingBytesMax, type Answer } from './greeting.ts'
import type { TcpOptions } from './tcp-options.ts'

const reconnectMsMin = 50
const reconnectMsMax = 1000
const probesMissedMax = 2
/** The kernel probes too, from so many idle milliseconds on: it costs nothing. */
export const keepAliveMs = 10_000
/** "I am reading." */
export const signOfLife = 1

export interface OutgoingLinkOptions {
  readonly self: NodeId
  readonly peer: NodeId
  readonly address: Address
  readonly options: TcpOptions
  readonly counters: Counters
  readonly peerCounters: PeerCounters
  readonly warn: (message: string) => void
  readonly onState: (state: 'up' | 'down') => void
}

export class OutgoingLink {
  readonly #with: OutgoingLinkOptions
  #socket: Socket | undefined
  #retry: NodeJS.Timeout | undefined
  #greeting: Bytes | undefined
  #up = false
  #closed = false
  #failures = 0
  #heard = false
  #probesMissed = 0
  #batch = new FrameBatch()
  #peerFrameBytesMax = 0

  constructor(options: OutgoingLinkOptions) {
    this.#with = options
    this.#dial()
  }

  /** Takes a frame or drops it, counted. True when it is the first since the last `flush`. */
  send(frame: Bytes): boolean {
    const { peerCounters: counters, options } = this.#with
    if (!this.#up) {
      counters.droppedUnreachable++
      return false
    }
    if (frame.length > this.#peerFrameBytesMax) {
      counters.droppedTooLargeForPeer++
      return false
    }
    const waiting = this.#socket!.writableLength + this.#batch.bytes
    if (waiting + FrameBatch.sizeOf(frame) > options.queueBytesMax) {
      counters.droppedQueueFull++
      return false
    }
    counters.framesSent++
    this.#batch.add(frame)
    return this.#batch.frames === 1
  }

  get isUp(): boolean {
    return this.#up
  }

  /** What waits for the peer, in bytes. */
  get queueBytes(): number {
    return (this.#socket?.writableLength ?? 0) + this.#batch.bytes
  }

  /** Writes what was sent since the last time, in one call of the system where it goes in whole. */
  flush(): void {
    if (!this.#up) return
    const socket = this.#socket!
    this.#with.peerCounters.bytesSent += this.#batch.bytes
    const parts = this.#batch.take()
    if (parts.length > 1) socket.cork()
    for (const part of parts) socket.write(part)
    if (parts.length > 1) socket.uncork()
  }

  /** Every `pingMs`. */
  tick(): void {
    if (!this.#up) return
    const { counters } = this.#with
    if (this.#heard) {
      this.#probesMissed = 0
      this.#failures = 0
    } else if (++this.#probesMissed >= probesMissedMax) {
      counters.linksSilent++
      this.#socket!.destroy()
      return
    }
    this.#heard = false
    // What waits already is as good a probe, and a peer that does not read must not be sent more.
    if (this.#socket!.writableLength > 0) return
    this.#batch.addPing()
    this.flush()
  }

  /** The peer was heard of: do not sit out the pause. */
  hurry(): void {
    if (this.#retry === undefined) return
    clearTimeout(this.#retry)
    this.#dial()
  }

  close(): void {
    this.#closed = true
    this.#up = false
    clearTimeout(this.#retry)
    this.#socket?.destroy()
  }

  #dial(): void {
    const { self, peer, address, options, counters } = this.#with
    const { host, port } = address
    this.#retry = undefined
    this.#greeting = new Uint8Array(0)
    const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs })
    this.#socket = socket
    const late = setTimeout(() => socket.destroy(), options.greetingMsMax)
    socket.once('connect', () => socket.write(encodeHello(self, peer, options.pingMs)))
    socket.on('data', (chunk: Buffer) => {
      this.#onData(chunk)
      if (this.#up) clearTimeout(late)
    })
    // Nothing to do: 'close' follows every error, and counts.
    socket.on('error', () => {})
    socket.once('close', () => {
      clearTimeout(late)
      if (this.#up) counters.linksClosed++
      else if (!this.#closed) counters.dialsFailed++
      this.#onLost()
    })
  }

  #onLost(): void {
    this.#with.peerCounters.droppedUnreachable += this.#batch.frames
    this.#batch = new FrameBatch()
    if (this.#up) this.#with.onState('down')
    this.#up = false
    this.#socket = undefined
    if (this.#closed) return
    const pause = Math.min(reconnectMsMax, reconnectMsMin * 2 ** Math.min(this.#failures++, 10))
    // Jitter, so that nodes started together do not dial in step.
    this.#retry = setTimeout(() => this.#dial(), pause * (0.5 + Math.random() / 2))
  }

  #onData(chunk: Bytes): void {
    if (this.#closed || this.#socket?.destroyed !== false) return
    const signs = this.#up ? chunk : this.#onGreeting(chunk)
    if (signs === undefined) return
    this.#heard = true
    if (signs.some((byte) => byte !== signOfLife)) this.#refuse('what answers there does not speak as a Synod node does')
  }

  /** Collects the answer; gives what follows it, once the link is up. */
  #onGreeting(chunk: Bytes): Bytes | undefined {
    // A chunk that brings more than an answer can be is cut: what is no answer in so many bytes is none.
    this.#greeting = Buffer.concat([this.#greeting ?? new Uint8Array(0), chunk.subarray(0, greetingBytesMax * 2)])
    try {
      const greeted = decodeAnswer(this.#greeting)
      if (greeted === undefined) return undefined
      if (!this.#isWelcome(greeted.greeting)) return undefined
      const rest = this.#greeting.subarray(greeted.bytes)
      this.#greeting = undefined
      return rest
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
      this.#refuse(`what answers there is not one that this version understands (${error.message})`)
      return undefined
    }
  }

  #isWelcome(answer: Answer): boolean {
    const { self, peer, options } = this.#with
    const there = answer.self
    if (answer.verdict === 'welcome' && there === peer) {
      this.#up = this.#heard = true
      this.#probesMissed = 0
      this.#peerFrameBytesMax = answer.frameBytesMax
      this.#with.counters.linksOpened++
      this.#with.onState('up')
      if (answer.frameBytesMax < options.frameBytesMax)
        this.#say(`takes frames of ${answer.frameBytesMax} bytes only: set frameBytesMax alike on all nodes`)
      return true
    }
    if (answer.verdict === 'notAPeer') this.#refuse(`${there} does not know ${self}: add ${self} to its config`)
    else if (answer.verdict === 'wrongVersion') this.#refuse(`${there} speaks another version: upgrade the older of them`)
    else this.#refuse(`${there} is there: correct the address of ${peer} in the config of ${self}`)
    return false
  }

  #refuse(why: string): void {
    this.#with.counters.dialsMisdirected++
    this.#say(why)
    this.#socket?.destroy()
  }

  #say(what: string): void {
    const { self, peer, address, warn } = this.#with
    warn(`${self} dialled ${address.text} for ${peer}: ${what}`)
  }
}
