/** A machine whose state is the list of what it was told; the answer is the place in the list. It flushes when it is told to. */
import type { CommandAt, Envelope, Slot, StateMachine } from '@synod/log'

export interface ListDisk {
  slot: Slot
  list: string[]
  answers: { readonly slot: Slot; readonly outputs: ReadonlyMap<number, number> }[]
  /** What a crash leaves of it. */
  synced?: { readonly slot: Slot; readonly list: string[] }
}

export class ListMachine implements StateMachine<number> {
  readonly list: string[] = []
  readonly #disk: ListDisk
  #slot: Slot = 0
  #answers: { readonly slot: Slot; readonly outputs: Map<number, number> }[] = []
  isAccepting = true

  constructor(disk: ListDisk) {
    this.#disk = disk
  }

  async open(): Promise<Slot> {
    this.list.push(...this.#disk.list)
    this.#slot = this.#disk.slot
    return this.#slot
  }

  prefetch(): undefined {
    return undefined
  }

  apply(command: Envelope, { slot, index }: CommandAt): number {
    if (command.version !== 1) throw new Error(`unknown command version ${command.version}`)
    const output = this.list.push(new TextDecoder().decode(command.body))
    let answers = this.#answers.at(-1)
    if (answers?.slot !== slot) {
      answers = { slot, outputs: new Map() }
      this.#answers.push(answers)
    }
    answers.outputs.set(index, output)
    return output
  }

  async *answers(from: Slot, to: Slot): AsyncIterable<{ readonly slot: Slot; readonly outputs: ReadonlyMap<number, number> }> {
    for (const answer of this.#disk.answers) if (answer.slot >= from && answer.slot <= to) yield answer
  }

  slotApplied(slot: Slot): void {
    if (slot !== this.#slot + 1) throw new Error(`slot ${slot} after ${this.#slot}`)
    this.#slot = slot
  }

  flush(): void {
    this.#disk.answers.push(...this.#answers)
    this.#answers = []
    this.#disk.slot = this.#slot
    this.#disk.list = [...this.list]
  }

  /** Until it is let go, `sync` waits. */
  syncing: Promise<void> = Promise.resolve()

  async sync(): Promise<void> {
    const { slot, list } = this.#disk
    await this.syncing
    this.#disk.synced = { slot, list }
  }

  flushed(): Slot {
    return this.#disk.slot
  }

  accepting(): boolean {
    return this.isAccepting
  }

  readonly outputs = {
    encode: (output: number): Uint8Array => new Uint8Array([output >> 8, output & 0xff]),
    decode: (bytes: Uint8Array): number => (bytes[0] ?? 0) * 256 + (bytes[1] ?? 0),
  }

  async close(): Promise<void> {
    this.flush()
    await this.sync()
  }
}
