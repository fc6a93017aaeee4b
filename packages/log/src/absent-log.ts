/**
 * The log of a node that takes no part, and lives to say why. Its store holds no genesis record: it was wiped, or never
 * founded; it votes for nothing and knows nothing, so that two wiped nodes never found a new cluster and a wiped one never
 * forgets a promise. Or its store is another node's, or another cluster's, and was not touched.
 */
import type { Bytes } from '@synod/codec'
import type { Capabilities } from './loglet.ts'
import { LogError, type LogSpace, type LogStatus, type OrderedLog, type Outcome } from './ordered-log.ts'
import type { Slot } from './slot.ts'
import type { VirtualLogOptions } from './virtual-log-options.ts'

export class AbsentLog<O> implements OrderedLog<O> {
  readonly space: LogSpace = { unneededThrough: () => 0, pieces: () => [], reclaim: () => Promise.reject(this.#error()) }
  readonly capabilities: Capabilities = { leader: false, anyNodeProposes: false, linearizableRead: 'barrier', durability: 'quorumDisk' }
  readonly #options: VirtualLogOptions<O>
  readonly #state: 'wiped' | 'foreign'
  readonly #why: string

  constructor(options: VirtualLogOptions<O>, state: 'wiped' | 'foreign', why: string) {
    this.#options = options
    this.#state = state
    this.#why = why
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
    return { epoch: 0, protocol: '', mode: '', role: 'none', decided: 0, applied: 0, hash: '', state: this.#state, why: this.#why }
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
    return new LogError('unavailable', this.#why)
  }
}
