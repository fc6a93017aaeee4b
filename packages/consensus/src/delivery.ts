/**
 * Decisions come in any order and twice; they leave in order and once, each when its own slot is durable here. The newest
 * are kept in memory, bounded by bytes; a reader that is further behind reads the store.
 */
import { StoreError, type DecidedEntry, type Epoch, type Index, type LogStore, type StoreOperation } from '@synod/log'
import type { Token } from './protocol.ts'

const recentBytesMax = 32 * 1024 * 1024
const batchSlotsMax = 64
const batchBytesMax = 4 * 1024 * 1024

export class Delivery {
  readonly #store: LogStore
  readonly #epoch: Epoch
  /** Persisted, not yet known durable: index to its newest ticket. */
  readonly #tokens = new Map<Index, Token>()
  /** Decided, but not yet in order or not yet durable: as many as the store's outstanding writes, whose bytes are bounded there. */
  readonly #waiting = new Map<Index, DecidedEntry>()
  /** A contiguous run that ends at `#through`. */
  readonly #recent = new Map<Index, DecidedEntry>()
  #recentBytes = 0
  #through: Index
  #wake: () => void = () => {}
  #closed = false

  constructor(store: LogStore, epoch: Epoch, decidedThrough: Index) {
    this.#store = store
    this.#epoch = epoch
    this.#through = decidedThrough
  }

  /** Every index up to here is decided and durable in this node's store. */
  get through(): Index {
    return this.#through
  }

  onPersist(token: Token, operations: readonly StoreOperation[]): void {
    for (const operation of operations)
      if (operation.op === 'slot' && operation.index > this.#through) this.#tokens.set(operation.index, token)
  }

  onDecide(decided: DecidedEntry): void {
    if (decided.index > this.#through) this.#waiting.set(decided.index, decided)
  }

  release(durable: Token): void {
    let next = this.#waiting.get(this.#through + 1)
    if (next === undefined) return
    const before = this.#through
    while (next !== undefined && (this.#tokens.get(next.index) ?? 0) <= durable) {
      this.#waiting.delete(next.index)
      this.#tokens.delete(next.index)
      this.#recent.set(next.index, next)
      this.#recentBytes += next.entry.length
      this.#through = next.index
      next = this.#waiting.get(next.index + 1)
    }
    if (this.#through === before) return
    for (const [oldest, { entry }] of this.#recent) {
      if (this.#recentBytes <= recentBytesMax) break
      this.#recent.delete(oldest)
      this.#recentBytes -= entry.length
    }
    this.#wake()
  }

  async *read(from: Index): AsyncIterable<readonly DecidedEntry[]> {
    let next = from
    while (!this.#closed) {
      if (next > this.#through) {
        await new Promise<void>((resolve) => (this.#wake = resolve))
        continue
      }
      for await (const batch of this.batches(next, this.#through)) {
        next += batch.length
        yield batch
        if (this.#closed) return
      }
    }
  }

  /** Decided entries from memory, or from the store when they are older than what memory holds. */
  async *batches(from: Index, to: Index): AsyncIterable<readonly DecidedEntry[]> {
    let next = from
    const last = Math.min(to, this.#through)
    while (next <= last) {
      const recent = this.#recentFrom(next, last)
      if (recent.length > 0) {
        next += recent.length
        yield recent
        continue
      }
      const [oldest = this.#through + 1] = this.#recent.keys()
      const before = next
      for await (const batch of this.#store.read(this.#epoch, next, Math.min(last, oldest - 1))) {
        for (const { index } of batch) {
          if (index !== next) throw missing(next)
          next++
        }
        yield batch
      }
      if (next === before) throw missing(next)
    }
  }

  close(): void {
    this.#closed = true
    this.#wake()
  }

  #recentFrom(from: Index, last: Index): DecidedEntry[] {
    const batch: DecidedEntry[] = []
    let bytes = 0
    for (let at = from; at <= last && batch.length < batchSlotsMax && bytes < batchBytesMax; at++) {
      const entry = this.#recent.get(at)
      if (entry === undefined) break
      batch.push(entry)
      bytes += entry.entry.length
    }
    return batch
  }
}

function missing(index: Index): StoreError {
  return new StoreError(
    'missing',
    `index ${index} is decided and is not in this node's store: it is damaged, restore it or replace the node`,
  )
}
