/**
 * One order for all nodes of a test, without a protocol: an index is the place in a list, and every node's loglet writes
 * what the list holds into its own store before it delivers it. It can refuse, abandon, and decide what it abandoned.
 */
import type { Capabilities, DecidedEntry, Loglet, LogletFactory, LogletOptions } from '@synod/log'
import type { Bytes } from '@synod/codec'

export class Sequencer {
  readonly entries: Bytes[] = []
  readonly #loglets = new Set<SequencerLoglet>()
  /** What becomes of the next offers, in turn; `offered` when the list is empty. */
  readonly fates: ('offered' | 'refused' | 'abandoned' | 'abandonedButDecided' | 'abandonedAndDecidedLate')[] = []
  /** Abandoned; decided before whatever is decided next. */
  readonly late: Bytes[] = []
  available = true

  factory(): LogletFactory {
    return {
      name: 'sequencer',
      mode: 'test',
      capabilities,
      open: (options) => {
        const loglet = new SequencerLoglet(this, options)
        this.#loglets.add(loglet)
        return loglet
      },
    }
  }

  decide(entry: Bytes): void {
    this.entries.push(...this.late.splice(0), entry)
    for (const loglet of this.#loglets) loglet.wake()
  }

  changed(): void {
    for (const loglet of this.#loglets) loglet.changed()
  }

  leave(loglet: SequencerLoglet): void {
    this.#loglets.delete(loglet)
  }
}

const capabilities: Capabilities = { leader: false, anyNodeProposes: true, linearizableRead: 'barrier', durability: 'external' }

class SequencerLoglet implements Loglet {
  readonly capabilities = capabilities
  readonly #sequencer: Sequencer
  readonly #options: LogletOptions
  #listener: () => void = () => {}
  #wake: () => void = () => {}
  #closed = false

  constructor(sequencer: Sequencer, options: LogletOptions) {
    this.#sequencer = sequencer
    this.#options = options
  }

  async offer(entry: Bytes): Promise<'offered' | 'refused' | 'abandoned'> {
    const fate = this.#sequencer.fates.shift() ?? 'offered'
    if (fate === 'refused') return 'refused'
    if (fate === 'abandonedAndDecidedLate') this.#sequencer.late.push(entry)
    else if (fate !== 'abandoned') this.#sequencer.decide(entry)
    return fate === 'offered' ? 'offered' : 'abandoned'
  }

  async barrier(): Promise<number> {
    return this.#sequencer.entries.length
  }

  async *decided(from: number): AsyncIterable<readonly DecidedEntry[]> {
    for (let index = from; ; index++) {
      while (!this.#closed && this.#sequencer.entries.length < index) await new Promise<void>((resolve) => (this.#wake = resolve))
      const entry = this.#sequencer.entries[index - 1]
      if (this.#closed || entry === undefined) return
      const header = new Uint8Array([1])
      await this.#options.store.write([
        { op: 'slot', epoch: 1, index, header, entry },
        { op: 'decidedThrough', epoch: 1, index },
      ])
      yield [{ index, header, entry }]
    }
  }

  status(): { role: string; available: boolean; decidedHigh: number } {
    return { role: 'replica', available: this.#sequencer.available, decidedHigh: this.#sequencer.entries.length }
  }

  onStatus(listener: () => void): void {
    this.#listener = listener
    listener()
  }

  changed(): void {
    this.#listener()
  }

  wake(): void {
    this.#wake()
  }

  stepDown(): Promise<void> {
    return Promise.resolve()
  }

  counters(): Record<string, number> {
    return {}
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#sequencer.leave(this)
    this.#wake()
  }
}
