/**
 * What a connection sends: the messages of one turn of the event loop leave as one frame, or several when they are many, at its
 * end and never in its middle, so that what is sent and what makes more to send take turns. Bytes wait here until the system has
 * taken them. Answers of a few bytes are always taken; whoever makes large messages, pages and batches of events, asks for room
 * first, so that a client which takes nothing costs about `bytesMax`. A large frame goes in fragments: what is taken of it shows
 * that the client is slow, not gone.
 */
import type { Bytes } from '@synod/codec'
import { nodeFrameWriter, type NodeMessage } from '@synod/client-protocol'
import type { WebSocket } from 'ws'
import type { AwakeClock } from './awake-clock.ts'
import type { SendBudget } from './send-budget.ts'

/** A frame ends when it has this many bytes: with a batch of events more it still fills its buffer well. Its last message may be a page. */
const frameBytes = 160 * 1024
const fragmentBytes = 256 * 1024

export interface OutboxOptions {
  readonly bytesMax: number
  readonly budget: SendBudget
  readonly clock: AwakeClock
  /** At twice the bound, and when it is below it again. */
  readonly onClogged: (isClogged: boolean) => void
  /** The connection is broken: called once, and nothing is taken any more. */
  readonly onLost: () => void
}

export class Outbox {
  readonly #socket: Pick<WebSocket, 'send'>
  readonly #options: OutboxOptions
  readonly #writer = nodeFrameWriter()
  readonly #waiters = new Set<() => void>()
  #isScheduled = false
  #isClosed = false
  #isClogged = false
  /** Frames that ended in this turn. */
  #ended: Bytes[] = []
  #endedBytes = 0
  /** Given to the socket, and not yet taken by the system. */
  #waiting = 0
  /** Promised to whoever asked for room. */
  #reserved = 0
  #progressAt = 0
  #frames = 0

  constructor(socket: Pick<WebSocket, 'send'>, options: OutboxOptions) {
    this.#socket = socket
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting
  }

  get frames(): number {
    return this.#frames
  }

  /** Since when the system has taken nothing of what waits; undefined when nothing waits. */
  get stalledSince(): number | undefined {
    return this.#waiting > 0 ? this.#progressAt : undefined
  }

  get hasRoom(): boolean {
    return !this.#isClosed && this.#waiting + this.#endedBytes + this.#writer.length + this.#reserved < this.#options.bytesMax
  }

  add(message: NodeMessage): void {
    if (this.#isClosed) return
    this.#writer.add(message)
    if (this.#writer.length >= frameBytes) this.#endFrame()
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.flush()
    })
  }

  /** Of the room that there is, for a message to come; `unreserve` follows in any case. */
  reserve(bytes: number): void {
    this.#reserved += bytes
  }

  unreserve(bytes: number): void {
    this.#reserved -= bytes
    this.#admit()
  }

  /** Calls once there is room, in the order of asking, never at once. Returns what forgets it. */
  whenRoom(call: () => void): () => void {
    this.#waiters.add(call)
    return () => void this.#waiters.delete(call)
  }

  /** Sends what there is. */
  flush(): void {
    if (this.#isClosed) return
    if (this.#writer.length > 0) this.#endFrame()
    const frames = this.#ended
    this.#ended = []
    this.#endedBytes = 0
    for (const frame of frames) this.#send(frame)
    if (this.#waiting >= 2 * this.#options.bytesMax) this.#clog(true)
    this.#options.budget.check()
  }

  /** What waits is lost, and nothing more is taken. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#options.budget.add(-this.#waiting)
    this.#waiting = 0
    this.#ended = []
    this.#waiters.clear()
  }

  #endFrame(): void {
    const frame = this.#writer.take()
    this.#ended.push(frame)
    this.#endedBytes += frame.buffer.byteLength
  }

  #send(frame: Bytes): void {
    this.#frames++
    if (this.#waiting === 0) this.#progressAt = this.#options.clock.now
    // What waits is the buffer, not only what is written in it: small frames may have large ones.
    let unused = frame.buffer.byteLength - frame.length
    for (let at = 0; at < frame.length; at += fragmentBytes) {
      const part = frame.subarray(at, at + fragmentBytes)
      const bytes = part.length + unused
      unused = 0
      this.#waiting += bytes
      this.#options.budget.add(bytes)
      const fin = at + fragmentBytes >= frame.length
      this.#socket.send(part, { binary: true, fin }, (error) => (error ? this.#onLost() : this.#onTaken(bytes)))
    }
  }

  #onLost(): void {
    if (this.#isClosed) return
    this.close()
    this.#options.onLost()
  }

  #onTaken(bytes: number): void {
    if (this.#isClosed) return
    this.#waiting -= bytes
    this.#options.budget.add(-bytes)
    this.#progressAt = this.#options.clock.now
    if (this.#isClogged && this.#waiting <= this.#options.bytesMax) this.#clog(false)
    this.#admit()
  }

  #admit(): void {
    for (const call of this.#waiters) {
      if (!this.hasRoom) return
      this.#waiters.delete(call)
      call()
    }
  }

  #clog(isClogged: boolean): void {
    if (this.#isClogged === isClogged) return
    this.#isClogged = isClogged
    this.#options.onClogged(isClogged)
  }
}
