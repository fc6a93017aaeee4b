/**
 * A real log, as small as can be: it decides in the order in which it is asked, in memory, encodes entries as every log
 * does, applies in order, and can be crashed and opened again on the same slots with another machine. Several commands that
 * are proposed in one turn share a slot, now and then a no-op stands between.
 */
import type { Bytes } from '@synod/codec'
import {
  decodeEntry,
  encodeEntry,
  LogError,
  noopEntry,
  type Envelope,
  type OrderedLog,
  type Outcome,
  type Slot,
  type StateMachine,
} from '@synod/log'

interface Waiting<O> {
  readonly command: Envelope
  readonly resolve: (outcome: Outcome<O | undefined>) => void
}

export class SequentialLog<O> implements Pick<OrderedLog<O>, 'propose' | 'openSession' | 'read' | 'entries' | 'slices'> {
  readonly slots: Bytes[]
  readonly #machine: StateMachine<O>
  #waiting: Waiting<O>[] = []
  #applied = 0
  #running: Promise<void> | undefined
  #crashed = false
  /** Answers every propose with this instead, when set. */
  refusal: Outcome<O> | undefined
  /** A read finds no quorum. */
  isolated = false

  private constructor(machine: StateMachine<O>, slots: Bytes[]) {
    this.#machine = machine
    this.slots = slots
  }

  static async open<O>(machine: StateMachine<O>, slots: Bytes[] = []): Promise<SequentialLog<O>> {
    const log = new SequentialLog(machine, slots)
    log.#applied = await machine.open()
    while (log.#applied < slots.length) await log.#apply(log.#applied + 1, [])
    return log
  }

  /** Nothing more is decided or applied. The machine is not closed: what it has not flushed is lost with it. */
  async crash(): Promise<Bytes[]> {
    this.#crashed = true
    await this.#running
    return this.slots
  }

  get applied(): Slot {
    return this.#applied
  }

  propose(command: Envelope): Promise<Outcome<O>> {
    return this.#propose(command) as Promise<Outcome<O>>
  }

  openSession(): Promise<Outcome<undefined>> {
    return this.#propose({ version: 1, session: 0, sequence: 1, floor: 1, principal: '', body: new Uint8Array(), blobs: [] }) as Promise<
      Outcome<undefined>
    >
  }

  async read(): Promise<Slot> {
    if (this.isolated) throw new LogError('unavailable', 'no quorum')
    await this.#running
    return this.#applied
  }

  async *entries(
    from: Slot,
    to = this.#applied,
  ): AsyncGenerator<{ readonly slot: Slot; readonly entry: ReturnType<typeof decodeEntry>; readonly bytes: Bytes }> {
    for (let slot = from; slot <= to; slot++) {
      const bytes = this.#slot(slot)
      yield { slot, entry: decodeEntry(bytes), bytes }
    }
  }

  async slices(requests: readonly { readonly slot: Slot; readonly offset: number; readonly length: number }[]): Promise<Bytes[]> {
    await Promise.resolve()
    return requests.map(({ slot, offset, length }) => this.#slot(slot).slice(offset, offset + length))
  }

  #propose(command: Envelope): Promise<Outcome<O | undefined>> {
    if (this.refusal !== undefined) return Promise.resolve(this.refusal)
    if (!this.#machine.accepting()) return Promise.resolve({ fate: 'never', why: 'busy' })
    const { promise, resolve } = Promise.withResolvers<Outcome<O | undefined>>()
    this.#waiting.push({ command, resolve })
    this.#running ??= this.#run()
    return promise
  }

  async #run(): Promise<void> {
    await Promise.resolve()
    try {
      while (this.#waiting.length > 0 && !this.#crashed) await this.#decide(this.#waiting.splice(0, 64))
    } finally {
      // In the turn of the last look at what waits, so that nothing comes between.
      this.#running = undefined
    }
  }

  async #decide(batch: readonly Waiting<O>[]): Promise<void> {
    if (this.slots.length % 5 === 3) {
      this.slots.push(noopEntry)
      await this.#apply(this.slots.length, [])
    }
    // A node decodes what came over the wire: a view into something larger.
    const entry = encodeEntry({ kind: 'commands', commands: batch.map(({ command }) => command) })
    const frame = new Uint8Array(entry.length + 40)
    frame.set(entry, 32)
    this.slots.push(frame.subarray(32, 32 + entry.length))
    await this.#apply(this.slots.length, batch)
  }

  async #apply(slot: Slot, batch: readonly Waiting<O>[]): Promise<void> {
    const bytes = this.#slot(slot)
    const entry = decodeEntry(bytes)
    const commands = entry.kind === 'noop' ? [] : entry.commands
    await this.#machine.prefetch(commands)
    if (this.#crashed) return
    const outputs = commands.map((command, index) =>
      command.session === 0 ? undefined : this.#machine.apply(command, { slot, index, entry: bytes }),
    )
    this.#machine.slotApplied(slot)
    this.#applied = slot
    batch.forEach(({ resolve }, index) => resolve({ fate: 'answered', slot, output: outputs[index] }))
  }

  #slot(slot: Slot): Bytes {
    const bytes = this.slots[slot - 1]
    if (bytes === undefined) throw new RangeError(`slot ${slot} is not there`)
    return bytes
  }
}
