/**
 * The newest applied events in memory: all that are not flushed, and of the others as many as `bytesMax` holds. Readers
 * at the head live on it, and the seam to the read side is its first position: whatever lies below is flushed.
 */
import type { SlotRecord } from './slot-record.ts'
import type { StreamTable } from './stream-table.ts'

const eventBytes = 40

export class Tail {
  readonly #streams: StreamTable
  readonly #bytesMax: number
  /** From `#start` on, ascending, without a gap. Below it nothing is kept, or evicted slots would stay in memory. */
  #records: (SlotRecord | undefined)[] = []
  #start = 0
  #bytes = 0
  #flushedPosition = 0
  #head = 0

  constructor(streams: StreamTable, bytesMax: number) {
    this.#streams = streams
    this.#bytesMax = bytesMax
  }

  /** The last position applied. */
  get head(): number {
    return this.#head
  }

  /** The first position in memory; head + 1 when there is none. */
  get first(): number {
    return this.#records[this.#start]?.firstPosition ?? this.#head + 1
  }

  get bytes(): number {
    return this.#bytes
  }

  restart(head: number): void {
    this.#head = head
    this.#flushedPosition = head
  }

  push(record: SlotRecord): void {
    record.streams.forEach((state, at) => {
      this.#streams.heat(state)
      state.pushRecent(record.firstPosition + at)
    })
    this.#records.push(record)
    this.#head = record.firstPosition + record.offsets.length - 1
    this.#bytes += recordBytes(record)
    this.#evict()
  }

  flushed(position: number): void {
    this.#flushedPosition = position
    this.#evict()
  }

  /** The slot that holds a position in memory. */
  holding(position: number): SlotRecord {
    let [low, high] = [this.#start, this.#records.length - 1]
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((this.#records[middle]?.firstPosition ?? 0) <= position) low = middle
      else high = middle - 1
    }
    const record = this.#records[low]
    if (record === undefined || position < record.firstPosition || position > this.#head)
      throw new RangeError(`position ${position} is not in the tail, which begins at ${this.first} and ends at ${this.#head}`)
    return record
  }

  #evict(): void {
    while (this.#bytes > this.#bytesMax) {
      const record = this.#records[this.#start]
      if (record === undefined || record.firstPosition + record.offsets.length - 1 > this.#flushedPosition) break
      for (const state of record.streams) {
        state.dropRecent()
        if (state.recentCount === 0) this.#streams.cool(state)
      }
      this.#bytes -= recordBytes(record)
      this.#records[this.#start++] = undefined
    }
    if (this.#start < 256 || this.#start * 2 < this.#records.length) return
    this.#records = this.#records.slice(this.#start)
    this.#start = 0
  }
}

export function recordBytes(record: SlotRecord): number {
  return record.entry.length + record.offsets.length * eventBytes
}
