/** A read side in memory, for tests and for trying things out: what a process has flushed is gone with it, unless the storage is handed on. */
import type { Slot } from '@synod/log'
import {
  ReadSideError,
  type Cell,
  type EventRow,
  type Flush,
  type KeyRow,
  type PostingsQuestion,
  type ReadSide,
  type ReadSideFactory,
  type ReadSideMark,
  type SlotRow,
  type SlotToFlush,
  type StreamName,
  type StreamRow,
} from '../read-side.ts'
import type { Term } from '../terms.ts'

/** What a disk would hold. Opaque. */
export interface MemoryReadSideStorage {
  owner: number
  settings: string | undefined
  mark: ReadSideMark
  readonly names: string[]
  readonly numbers: Map<string, number>
  readonly events: Map<number, EventRow[]>
  readonly slots: SlotRow[]
  keys: KeyRow[]
  /** Ascending. */
  readonly postings: Map<Term, number[]>
  readonly cells: Map<string, Cell>
}

export interface MemoryReadSideOptions {
  readonly storage?: MemoryReadSideStorage
}

export function memoryReadSideStorage(): MemoryReadSideStorage {
  return {
    owner: 0,
    settings: undefined,
    mark: { slot: 0, position: 0, streams: 0 },
    names: [],
    numbers: new Map(),
    events: new Map(),
    slots: [],
    keys: [],
    postings: new Map(),
    cells: new Map(),
  }
}

export function memoryReadSide({ storage = memoryReadSideStorage() }: MemoryReadSideOptions = {}): ReadSide {
  return new MemoryReadSide(storage)
}

export const readSide: ReadSideFactory = {
  name: '@synod/events/memory',
  create({ options }) {
    if (options !== undefined && JSON.stringify(options) !== '{}')
      throw new ReadSideError('invalid_options', 'the read side in memory takes no options')
    return memoryReadSide()
  },
}

class MemoryReadSide implements ReadSide {
  readonly #storage: MemoryReadSideStorage
  #owner = 0
  #closed = false

  constructor(storage: MemoryReadSideStorage) {
    this.#storage = storage
  }

  async open(settings: string): Promise<ReadSideMark> {
    const storage = this.#storage
    storage.settings ??= settings
    if (storage.settings !== settings)
      throw new ReadSideError('other_settings', `the read side was founded with ${storage.settings} and cannot be opened with ${settings}`)
    this.#owner = ++storage.owner
    return storage.mark
  }

  async flush(batch: Flush): Promise<void> {
    await this.#turn()
    const storage = this.#storage
    if (storage.owner !== this.#owner || JSON.stringify(storage.mark) !== JSON.stringify(batch.from)) {
      throw new ReadSideError('fenced', 'another process has opened this read side, or it is not where this one left it')
    }
    for (const { number, name } of batch.streams) {
      storage.names[number] = name
      storage.numbers.set(name, number)
      storage.events.set(number, [])
    }
    for (const slot of batch.slots) this.#addSlot(slot)
    storage.keys.push(...batch.keys)
    storage.keys = storage.keys.filter(({ sequence }) => sequence > batch.keysForgotten)
    for (const { term, positions } of batch.postings) {
      const known = storage.postings.get(term)
      if (known === undefined) storage.postings.set(term, [...positions])
      else known.push(...positions)
    }
    for (const cell of batch.cells) {
      if (cell.value === null) storage.cells.delete(cell.key)
      else storage.cells.set(cell.key, cell)
    }
    storage.mark = batch.to
  }

  async streamsNamed(names: readonly string[]): Promise<readonly StreamRow[]> {
    await this.#turn()
    return names.flatMap((name) => {
      const number = this.#storage.numbers.get(name)
      if (number === undefined) return []
      return [{ number, name, revision: (this.#storage.events.get(number)?.length ?? 0) - 1 }]
    })
  }

  async streamsNumbered(numbers: readonly number[]): Promise<readonly StreamName[]> {
    await this.#turn()
    return numbers.map((number) => {
      const name = this.#storage.names[number]
      if (name === undefined) throw new ReadSideError('damaged', `stream ${number} has no row`)
      return { number, name }
    })
  }

  async streamEvents(streamNumber: number, from: number, to: number): Promise<readonly EventRow[]> {
    await this.#turn()
    const rows = (this.#storage.events.get(streamNumber) ?? []).slice(from, to + 1)
    if (rows.length !== to - from + 1)
      throw new ReadSideError('damaged', `stream ${streamNumber} lacks revisions between ${from} and ${to}`)
    return rows
  }

  async slotsHolding(from: number, to: number): Promise<readonly SlotRow[]> {
    await this.#turn()
    const rows = this.#storage.slots.filter(({ firstPosition, count }) => count > 0 && firstPosition <= to && firstPosition + count > from)
    const [first, last] = [rows[0], rows.at(-1)]
    const covered = first !== undefined && last !== undefined && first.firstPosition <= from && last.firstPosition + last.count > to
    if (!covered) throw new ReadSideError('damaged', `the slots of positions ${from} to ${to} are not all there`)
    return rows
  }

  async slotsAt(positions: readonly number[]): Promise<readonly SlotRow[]> {
    await this.#turn()
    const rows = new Set(
      positions.map((position) => {
        const row = this.#storage.slots.find(
          ({ firstPosition, count }) => count > 0 && firstPosition <= position && position < firstPosition + count,
        )
        if (row === undefined) throw new ReadSideError('damaged', `no slot holds position ${position}`)
        return row
      }),
    )
    return [...rows]
  }

  async slots(from: Slot, to: Slot, limit: number): Promise<readonly SlotRow[]> {
    await this.#turn()
    return this.#storage.slots.filter(({ slot }) => slot >= from && slot <= to).slice(0, limit)
  }

  async keys(above: number, limit: number): Promise<readonly KeyRow[]> {
    await this.#turn()
    return this.#storage.keys.filter(({ sequence }) => sequence > above).slice(0, limit)
  }

  async postingsOf(questions: readonly PostingsQuestion[]): Promise<readonly (readonly number[])[]> {
    await this.#turn()
    return questions.map(({ term, from, to, backward, limit }) => {
      const all = (this.#storage.postings.get(term) ?? []).filter((position) => position >= from && position <= to)
      return backward ? all.toReversed().slice(0, limit) : all.slice(0, limit)
    })
  }

  async cellsNamed(keys: readonly string[]): Promise<readonly Cell[]> {
    await this.#turn()
    return keys.flatMap((key) => this.#storage.cells.get(key) ?? [])
  }

  async cells(prefix: string, after: string, limit: number): Promise<readonly Cell[]> {
    await this.#turn()
    const [first, from] = [Buffer.from(prefix), Buffer.from(after)]
    return [...this.#storage.cells.values()]
      .map((cell) => ({ cell, key: Buffer.from(cell.key) }))
      .filter(({ key }) => key.subarray(0, first.length).equals(first) && key.compare(from) > 0)
      .toSorted((a, b) => a.key.compare(b.key))
      .slice(0, limit)
      .map(({ cell }) => cell)
  }

  counters(): Readonly<Record<string, number>> {
    return { readSideSlots: this.#storage.slots.length }
  }

  close(): Promise<void> {
    this.#closed = true
    return Promise.resolve()
  }

  #addSlot({ slot, firstPosition, count, index, streamNumbers, revisions, offsets, lengths }: SlotToFlush): void {
    this.#storage.slots.push({ slot, firstPosition, count, index })
    streamNumbers.forEach((number, event) => {
      const row = {
        revision: revisions[event] ?? 0,
        position: firstPosition + event,
        slot,
        offset: offsets[event] ?? 0,
        length: lengths[event] ?? 0,
      }
      this.#storage.events.get(number)?.push(row)
    })
  }

  /** As with a database, an answer comes in a later turn. */
  async #turn(): Promise<void> {
    if (this.#closed) throw new ReadSideError('closed', 'the read side was closed')
    await Promise.resolve()
  }
}
