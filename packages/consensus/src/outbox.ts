/**
 * Messages on their way out, each held back until what it reveals is durable. Those of one turn that go to one peer share
 * a frame, up to a size.
 */
import type { Bytes } from '@synod/codec'
import type { NodeId } from '@synod/transport'
import { encodeBatch } from './message-batch.ts'
import type { Token } from './protocol.ts'

interface Held {
  readonly to: readonly NodeId[]
  readonly message: Bytes
  readonly after: Token
}

const batchBytesMax = 1024 * 1024

export class Outbox {
  readonly #send: (to: NodeId, body: readonly Bytes[]) => void
  #held: Held[] = []
  readonly #counters = { messagesOut: 0, framesOut: 0 }

  constructor(send: (to: NodeId, body: readonly Bytes[]) => void) {
    this.#send = send
  }

  /** `after` 0: at the end of this turn. */
  add(to: readonly NodeId[], message: Bytes, after: Token): void {
    this.#held.push({ to, message, after })
  }

  /** What waits reveals writes that are outstanding, and those are bounded by the store. */
  release(durable: Token): void {
    if (this.#held.length === 0) return
    const batches = new Map<NodeId, { messages: Bytes[]; bytes: number }>()
    const held: Held[] = []
    for (const message of this.#held) {
      if (message.after > durable) held.push(message)
      else for (const to of message.to) this.#add(batches, to, message.message)
    }
    this.#held = held
    for (const [to, { messages }] of batches) this.#flush(to, messages)
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, messagesHeld: this.#held.length }
  }

  #add(batches: Map<NodeId, { messages: Bytes[]; bytes: number }>, to: NodeId, message: Bytes): void {
    let batch = batches.get(to)
    if (batch === undefined) {
      batch = { messages: [], bytes: 0 }
      batches.set(to, batch)
    }
    if (batch.bytes + message.length > batchBytesMax && batch.messages.length > 0) {
      this.#flush(to, batch.messages)
      batch.messages = []
      batch.bytes = 0
    }
    batch.messages.push(message)
    batch.bytes += message.length
  }

  #flush(to: NodeId, messages: readonly Bytes[]): void {
    this.#counters.framesOut++
    this.#counters.messagesOut += messages.length
    this.#send(to, encodeBatch(messages))
  }
}
