/**
 * This node's way to one peer. Over NATS nobody says whether anybody hears, so the peer is asked: a `hello` every `pingMs`,
 * and frames are published only while it answers. Each direction stands for itself, as over TCP.
 *
 * What waits for the peer is what the server has not confirmed yet, wherever it is: in the batch of this turn, in the
 * client, in a socket. That is bounded by `queueBytesMax`, and it is all that a server that stopped can cost.
 */
import type { Bytes } from '@synod/codec'
import type { NodeId } from '@synod/transport'
import { peerCountersFromZero, type PeerCounters } from './counters.ts'
import { encodeBye, encodeFrames, encodeHello, frameCost, framesMax, overheadBytesMax, type Head } from './message.ts'
import type { NatsOptions } from './nats-options.ts'
import type { ServerConnection } from './server-connection.ts'

const probesMissedMax = 2
/**
 * Frames are gathered up to so many bytes, or what the server takes; a single frame may be larger. Larger messages are no
 * faster, and whoever keeps one small frame of a message keeps all of it.
 */
const messageBytesMax = 64 * 1024

export interface PeerLinkOptions {
  readonly self: NodeId
  readonly peer: NodeId
  /** The peer's, and this node's, to which answers go. */
  readonly subject: string
  readonly answerTo: string
  readonly life: number
  readonly options: NatsOptions
  readonly server: ServerConnection
  readonly onState: (state: 'up' | 'down') => void
}

export class PeerLink {
  readonly counters: PeerCounters = peerCountersFromZero()
  readonly #with: PeerLinkOptions
  #batch: Bytes[] = []
  #batchBytes = 0
  /** Since the server was connected: handed to it, and confirmed by it, in bytes. */
  #published = 0
  #confirmed = 0
  #up = false
  /** The life of the peer that answered last. */
  #answeredBy = 0
  #answered = false
  #probesMissed = 0

  constructor(options: PeerLinkOptions) {
    this.#with = options
  }

  get isUp(): boolean {
    return this.#up
  }

  /** What waits for the peer, in bytes. */
  get queueBytes(): number {
    return this.#published - this.#confirmed + this.#batchBytes
  }

  /** Of that, what the server has and did not confirm. */
  get unconfirmedBytes(): number {
    return this.#published - this.#confirmed
  }

  /** Takes a frame or drops it, counted. True when it is the first since the last `flush`. */
  send(frame: Bytes): boolean {
    if (!this.#up) {
      this.counters.droppedUnreachable++
      return false
    }
    if (this.queueBytes + frameCost(frame) > this.#with.options.queueBytesMax) {
      this.counters.droppedQueueFull++
      return false
    }
    this.counters.framesSent++
    this.#batchBytes += frameCost(frame)
    return this.#batch.push(frame) === 1
  }

  /** Publishes what was sent since the last time, in as few messages as the bounds allow. */
  flush(): void {
    const frames = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    const bytesMax = Math.min(messageBytesMax, this.#with.server.payloadBytesMax - overheadBytesMax)
    for (let from = 0; from < frames.length;) {
      let bytes = 0
      let to = from
      while (to < frames.length && to - from < framesMax && (to === from || bytes + frameCost(frames[to]!) <= bytesMax))
        bytes += frameCost(frames[to++]!)
      this.#publish(frames.slice(from, to))
      from = to
    }
  }

  /** What is confirmed when everything published by now is: to be called once it is. */
  mark(): () => void {
    const published = this.#published
    return () => {
      this.#confirmed = published
    }
  }

  hello(): void {
    const { server, subject, answerTo } = this.#with
    server.publish(subject, encodeHello(this.head(), answerTo))
  }

  bye(): void {
    if (this.#up) this.#with.server.publish(this.#with.subject, encodeBye(this.head()))
  }

  head(): Head {
    const { self, peer, life, server } = this.#with
    return { from: self, to: peer, life, link: server.number }
  }

  /** Every `pingMs`. Ticks are counted, not time: a process that slept must read before it judges. */
  tick(): void {
    if (this.#up && !this.#answered && ++this.#probesMissed >= probesMissedMax) {
      this.counters.linksSilent++
      this.#down()
    }
    this.#answered = false
    this.hello()
  }

  onAnswer(life: number): void {
    this.#answeredBy = life
    this.#answered = true
    this.#probesMissed = 0
    if (this.#up) return
    this.#up = true
    this.counters.linksOpened++
    this.#with.onState('up')
  }

  /** Another instance of the peer may be there: it is asked at once. */
  onBye(life: number): void {
    if (!this.#up || life !== this.#answeredBy) return
    this.#down()
    this.hello()
  }

  /** The connection to the server is lost: what waits is dropped. */
  onServerDown(): void {
    this.#published = this.#confirmed = 0
    this.#down()
  }

  #down(): void {
    this.counters.droppedUnreachable += this.#batch.length
    this.#batch = []
    this.#batchBytes = 0
    this.#probesMissed = 0
    if (!this.#up) return
    this.#up = false
    this.counters.linksClosed++
    this.#with.onState('down')
  }

  #publish(frames: readonly Bytes[]): void {
    const { server, subject } = this.#with
    const message = encodeFrames(this.head(), frames)
    if (server.publish(subject, message)) {
      this.#published += message.length
      this.counters.messagesSent++
      this.counters.bytesSent += message.length
    } else if (message.length > server.payloadBytesMax) this.counters.droppedTooLargeForServer += frames.length
    else this.counters.droppedUnreachable += frames.length
  }
}
