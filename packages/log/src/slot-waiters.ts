/** Who waits until a slot is applied. */
import { LogError } from './ordered-log.ts'
import type { Slot } from './slot.ts'

interface Waiter {
  readonly slot: Slot
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class SlotWaiters {
  #applied: Slot
  readonly #waiters = new Set<Waiter>()
  #closed: Error | undefined

  constructor(applied: Slot) {
    this.#applied = applied
  }

  /** Rejects with a LogError: `aborted`, or the one that closed it. */
  reached(slot: Slot, signal: AbortSignal | undefined): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    if (slot <= this.#applied) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#waiters.delete(waiter)
        signal?.removeEventListener('abort', abort)
      }
      const abort = (): void => waiter.reject(new LogError('aborted', `given up at slot ${this.#applied} while waiting for slot ${slot}`))
      const waiter: Waiter = {
        slot,
        resolve: () => {
          end()
          resolve()
        },
        reject: (error) => {
          end()
          reject(error)
        },
      }
      this.#waiters.add(waiter)
      signal?.addEventListener('abort', abort, { once: true })
      if (signal?.aborted === true) abort()
    })
  }

  advance(applied: Slot): void {
    this.#applied = applied
    for (const waiter of this.#waiters) if (waiter.slot <= applied) waiter.resolve()
  }

  close(error: Error): void {
    this.#closed = error
    for (const waiter of this.#waiters) waiter.reject(error)
  }
}
