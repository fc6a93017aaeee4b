/**
 * A consumer with a handler. Events of different partitions are handled side by side, up to a bound; those of one partition one after
 * the other. What is in hand and waits for its partition has a bound too: beyond, nothing more is taken from the group. An event
 * whose generation has ended before its turn is passed over: it comes again. One that comes again because its deadline passed while it
 * waited here is not handled twice: what becomes of the first answers both.
 */
import type { GroupConsumption, GroupDelivery, HandleOptions, Rejection } from './consumer-groups.ts'
import type { RecordedEvent } from './event-types.ts'

type Handler = (event: RecordedEvent, delivery: GroupDelivery) => Promise<Rejection | void> | Rejection | void

/** Taken from the group, and not handled. */
const inHandMax = 256

export class GroupHandling {
  readonly #handler: Handler
  readonly #onFailure: HandleOptions['onFailure']
  readonly #concurrencyMax: number
  /** Those of each partition that have begun or wait, the first of which is handled, or ready to be. */
  readonly #partitions = new Map<number, GroupDelivery[]>()
  readonly #ready: GroupDelivery[] = []
  #running = 0
  #inHand = 0
  #end: { readonly error: unknown } | undefined
  readonly #ended = Promise.withResolvers<void>()
  #onProgress: (() => void) | undefined

  constructor(handler: Handler, concurrencyMax: number, onFailure: HandleOptions['onFailure']) {
    this.#handler = handler
    this.#concurrencyMax = concurrencyMax
    this.#onFailure = onFailure
  }

  /** Until the signal aborts or the membership fails: then the handlers that run are waited for, and what they acknowledge is said. */
  async run(consumption: GroupConsumption, signal: AbortSignal | undefined): Promise<void> {
    const iterator = consumption[Symbol.asyncIterator]()
    const onAbort = (): void => this.#stop(signal?.reason)
    if (signal?.aborted) onAbort()
    signal?.addEventListener('abort', onAbort)
    try {
      await Promise.race([this.#takeAll(iterator), this.#ended.promise])
      while (this.#running > 0) await this.#progress()
      await iterator.return?.()
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
    if (this.#end !== undefined) throw this.#end.error
  }

  /** Never rejects. */
  async #takeAll(iterator: AsyncIterator<GroupDelivery, undefined, undefined>): Promise<void> {
    try {
      while (this.#end === undefined) {
        const { value } = await iterator.next()
        if (value === undefined) return
        this.#add(value)
        while (this.#inHand >= inHandMax && this.#end === undefined) await this.#progress()
      }
    } catch (error) {
      this.#stop(error)
    }
  }

  /** What has not begun is not begun any more: it comes again, elsewhere. */
  #stop(error: unknown): void {
    this.#end ??= { error }
    this.#ready.length = 0
    this.#ended.resolve()
    this.#progressed()
  }

  #add(delivery: GroupDelivery): void {
    if (this.#end !== undefined) return
    const queue = this.#partitions.get(delivery.partition)
    if (queue?.some((other) => other.isCurrent && other.event.position === delivery.event.position)) return
    this.#inHand++
    if (queue !== undefined) return void queue.push(delivery)
    this.#partitions.set(delivery.partition, [delivery])
    this.#ready.push(delivery)
    this.#begin()
  }

  #begin(): void {
    while (this.#running < this.#concurrencyMax) {
      const delivery = this.#ready.shift()
      if (delivery === undefined) return
      this.#running++
      void this.#handle(delivery)
    }
  }

  /** Never rejects. */
  async #handle(delivery: GroupDelivery): Promise<void> {
    try {
      if (delivery.isCurrent) await this.#judge(delivery)
    } catch (error) {
      // Of `onFailure`, or a rejection that is none: the caller's program is wrong, and ends.
      this.#stop(error)
    }
    this.#running--
    this.#inHand--
    const queue = this.#partitions.get(delivery.partition) ?? []
    queue.shift()
    const next = queue[0]
    if (next === undefined) this.#partitions.delete(delivery.partition)
    else if (this.#end === undefined) this.#ready.push(next)
    this.#begin()
    this.#progressed()
  }

  async #judge(delivery: GroupDelivery): Promise<void> {
    let rejection: Rejection | void
    let reason: string | undefined
    try {
      rejection = await this.#handler(delivery.event, delivery)
    } catch (error) {
      rejection = this.#onFailure === undefined ? 'retry' : this.#onFailure(error, delivery)
      reason = error instanceof Error ? error.message : String(error)
    }
    if (rejection === undefined) void delivery.ack()
    else delivery.nack(rejection, reason)
  }

  #progressed(): void {
    const tell = this.#onProgress
    this.#onProgress = undefined
    tell?.()
  }

  /** Resolves when a handler has ended, or all has to. */
  #progress(): Promise<void> {
    return new Promise((resolve) => {
      const before = this.#onProgress
      this.#onProgress = () => {
        before?.()
        resolve()
      }
    })
  }
}
