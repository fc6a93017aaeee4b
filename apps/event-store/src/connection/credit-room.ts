/**
 * What a reader may be sent: as many bytes of records as its client has given credit for, while the connection has room. Asked
 * before each batch; until there is some, whoever makes the batches waits, and the page of a reader that takes nothing is nobody's memory.
 */
import type { Outbox } from './outbox.ts'

/** Bytes of records in a message: enough for hundreds of events, and others get their turn. */
const batchBytesMax = 65_536

export class CreditRoom {
  readonly #outbox: Outbox
  readonly #signal: AbortSignal
  /** Bytes of records that the client takes; below zero by a part of one event at most. */
  #credit: number
  #reserved = 0
  /** Set while somebody waits for room. */
  #wait: { readonly resolve: (bytes: number) => void; forget: () => void } | undefined

  constructor(outbox: Outbox, creditBytes: number, signal: AbortSignal) {
    this.#outbox = outbox
    this.#credit = creditBytes
    this.#signal = signal
    signal.addEventListener('abort', () => this.#stopWaiting(0), { once: true })
  }

  credit(bytes: number): void {
    this.#credit += bytes
    if (this.#wait !== undefined) this.#tryRoom()
  }

  /** The bytes of the next batch. 0 when nobody reads any more. */
  ask(): number | Promise<number> {
    this.release()
    if (this.#credit > 0 && this.#outbox.hasRoom) return this.#reserve()
    if (this.#signal.aborted) return 0
    const { promise, resolve } = Promise.withResolvers<number>()
    this.#wait = { resolve, forget: () => {} }
    this.#tryRoom()
    return promise
  }

  /** A batch of so many bytes of records was sent. */
  spend(bytes: number): void {
    this.#credit -= bytes
    this.release()
  }

  /** What was asked for is not used any more. */
  release(): void {
    const bytes = this.#reserved
    if (bytes === 0) return
    this.#reserved = 0
    this.#outbox.unreserve(bytes)
  }

  #tryRoom(): void {
    if (this.#wait === undefined || this.#credit <= 0) return
    this.#wait.forget()
    if (this.#outbox.hasRoom) this.#stopWaiting(this.#reserve())
    else this.#wait.forget = this.#outbox.whenRoom(() => this.#tryRoom())
  }

  #stopWaiting(bytes: number): void {
    const wait = this.#wait
    this.#wait = undefined
    wait?.forget()
    wait?.resolve(bytes)
  }

  #reserve(): number {
    this.#reserved = Math.min(this.#credit, batchBytesMax)
    this.#outbox.reserve(this.#reserved)
    return this.#reserved
  }
}
