/**
 * The log of a node whose store holds no genesis record: it was wiped, or never founded. It votes for nothing and knows
 * nothing, so that two wiped nodes never found a new cluster and a wiped one never forgets a promise (consensus.md, bug 7).
 */
import type { Bytes } from '@synod/codec'
import type { Capabilities } from './loglet.ts'
import { LogError, type LogStatus, type OrderedLog, type Outcome } from './ordered-log.ts'
import type { Slot } from './slot.ts'
import type { VirtualLogOptions } from './virtual-log-options.ts'

export class WipedLog<O> implements OrderedLog<O> {
  readonly capabilities: Capabilities = { leader: false, anyNodeProposes: false, linearizableRead: 'barrier', durability: 'quorumDisk' }
  readonly #options: VirtualLogOptions<O>

  constructor(options: VirtualLogOptions<O>) {
    this.#options = options
  }

  propose(): Promise<Outcome<O>> {
    return Promise.resolve({ fate: 'never', why: 'notServing' })
  }

  openSession(): Promise<Outcome<undefined>> {
    return Promise.resolve({ fate: 'never', why: 'notServing' })
  }

  read(): Promise<Slot> {
    return Promise.reject(this.#error())
  }

  entries(): AsyncIterable<never> {
    return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(this.#error()) }) }
  }

  slices(): Promise<Bytes[]> {
    return Promise.reject(this.#error())
  }

  status(): LogStatus {
    return { epoch: 0, protocol: '', mode: '', role: 'none', decided: 0, applied: 0, hash: '', state: 'wiped', why: this.#error().message }
  }

  onStatus(): void {}

  counters(): Readonly<Record<string, number>> {
    return {}
  }

  stepDown(): Promise<void> {
    return Promise.resolve()
  }

  async close(): Promise<void> {
    await this.#options.transport.close()
    await this.#options.store.close()
  }

  #error(): LogError {
    return new LogError(
      'unavailable',
      `the store of ${this.#options.self} is empty: it was wiped, or belongs to no cluster yet. It takes no part, because it may have promised what it no longer knows. Restore its database, or replace the node.`,
    )
  }
}
