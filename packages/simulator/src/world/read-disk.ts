/**
 * One node's read side: the one in memory, with a delay, flushes that fail, and a memory that a crash sets back, since its
 * flushes are not synced: to an earlier flush, or to nothing.
 */
import {
  ReadSideError,
  type Cell,
  type Flush,
  type PostingsQuestion,
  type ReadSide,
  type ReadSideMark,
  type SlotRow,
  type StreamName,
  type StreamRow,
  type EventRow,
  type KeyRow,
} from '@synod/events'
import { memoryReadSide, memoryReadSideStorage, type MemoryReadSideStorage } from '@synod/events/memory'
import type { Dice } from './dice.ts'
import type { Life } from './life.ts'
import type { Tally } from './tally.ts'

export interface ReadDiskRates {
  readonly flushMsMean: number
  readonly readMsMean: number
  /** Of crashes that lose flushes, and of those that lose all. */
  readonly setBackRate: number
  readonly setBackWholeRate: number
}

export class ReadDisk {
  readonly #dice: Dice
  readonly #rates: ReadDiskRates
  readonly #tally: Tally
  #storage: MemoryReadSideStorage = memoryReadSideStorage()
  #flushes: Flush[] = []
  /** Flushes that survived a crash, when some did not. */
  #kept: number | undefined
  /** So many are synced, where the node asks for that. */
  #synced = 0
  failsNext = false

  readonly #syncs: boolean

  /** `syncs`: it does what it is asked to. Without, a node has to live with a read side that loses everything, as long as it has its whole log. */
  constructor(dice: Dice, rates: ReadDiskRates, tally: Tally, syncs: boolean) {
    this.#syncs = syncs
    this.#dice = dice
    this.#rates = rates
    this.#tally = tally
  }

  crash(): void {
    const { setBackRate, setBackWholeRate } = this.#rates
    if (this.#flushes.length === 0 || !this.#dice.chance(setBackRate)) return
    this.#tally.add('readSidesSetBack')
    const kept = this.#dice.chance(setBackWholeRate) ? 0 : Math.max(0, this.#flushes.length - this.#dice.whole(1, 8))
    this.#kept = Math.max(kept, this.#synced)
  }

  wipe(): void {
    this.#kept = this.#synced = 0
  }

  /** What was flushed before stays. */
  async sync(life: Life): Promise<void> {
    if (!this.#syncs) return
    if (!life.calls()) return new Promise(() => {})
    const flushed = this.#flushes.length
    await life.sleep(this.flushMs())
    this.#synced = Math.max(this.#synced, flushed)
  }

  open(life: Life): ReadSide {
    return new SlowReadSide(this, life)
  }

  /** The storage as a crash left it. */
  async recover(settings: string): Promise<ReadSide> {
    if (this.#kept !== undefined) {
      const kept = this.#flushes.slice(0, this.#kept)
      this.#kept = undefined
      this.#flushes = []
      this.#storage = memoryReadSideStorage()
      const again = memoryReadSide({ storage: this.#storage })
      await again.open(settings)
      for (const flush of kept) await this.apply(again, flush)
    }
    return memoryReadSide({ storage: this.#storage })
  }

  async apply(readSide: ReadSide, flush: Flush): Promise<void> {
    await readSide.flush(flush)
    this.#flushes.push(flush)
  }

  flushMs(): number {
    return this.#dice.exponential(this.#rates.flushMsMean)
  }

  readMs(): number {
    return this.#rates.readMsMean === 0 ? 0 : this.#dice.exponential(this.#rates.readMsMean)
  }

  takeFailure(): 'before' | 'after' | undefined {
    if (!this.failsNext) return undefined
    this.failsNext = false
    this.#tally.add('flushesFailed')
    return this.#dice.chance(0.5) ? 'before' : 'after'
  }
}

class SlowReadSide implements ReadSide {
  readonly #disk: ReadDisk
  readonly #life: Life
  #inner: ReadSide = memoryReadSide()

  constructor(disk: ReadDisk, life: Life) {
    this.#disk = disk
    this.#life = life
  }

  async open(settings: string): Promise<ReadSideMark> {
    this.#inner = await this.#disk.recover(settings)
    return this.#inner.open(settings)
  }

  async flush(batch: Flush): Promise<void> {
    if (!this.#life.calls()) return new Promise(() => {})
    await this.#life.sleep(this.#disk.flushMs())
    const failure = this.#disk.takeFailure()
    if (failure !== 'before') await this.#disk.apply(this.#inner, batch)
    if (failure !== undefined) throw new ReadSideError('unavailable', 'a flush failed: planted by the simulator')
  }

  sync(): Promise<void> {
    return this.#disk.sync(this.#life)
  }

  streamsNamed(names: readonly string[]): Promise<readonly StreamRow[]> {
    return this.#read(() => this.#inner.streamsNamed(names))
  }

  streamsNumbered(numbers: readonly number[]): Promise<readonly StreamName[]> {
    return this.#read(() => this.#inner.streamsNumbered(numbers))
  }

  streamEvents(streamNumber: number, from: number, to: number): Promise<readonly EventRow[]> {
    return this.#read(() => this.#inner.streamEvents(streamNumber, from, to))
  }

  slotsHolding(from: number, to: number): Promise<readonly SlotRow[]> {
    return this.#read(() => this.#inner.slotsHolding(from, to))
  }

  slots(from: number, to: number, limit: number): Promise<readonly SlotRow[]> {
    return this.#read(() => this.#inner.slots(from, to, limit))
  }

  keys(above: number, limit: number): Promise<readonly KeyRow[]> {
    return this.#read(() => this.#inner.keys(above, limit))
  }

  slotsAt(positions: readonly number[]): Promise<readonly SlotRow[]> {
    return this.#read(() => this.#inner.slotsAt(positions))
  }

  postingsOf(questions: readonly PostingsQuestion[]): Promise<readonly (readonly number[])[]> {
    return this.#read(() => this.#inner.postingsOf(questions))
  }

  cellsNamed(keys: readonly string[]): Promise<readonly Cell[]> {
    return this.#read(() => this.#inner.cellsNamed(keys))
  }

  cells(prefix: string, after: string, limit: number): Promise<readonly Cell[]> {
    return this.#read(() => this.#inner.cells(prefix, after, limit))
  }

  counters(): Readonly<Record<string, number>> {
    return {}
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  /** The question travels, and the answer, which may be old when it comes. */
  async #read<T>(ask: () => Promise<T>): Promise<T> {
    const ms = this.#disk.readMs()
    if (ms > 0) await this.#life.sleep(ms / 2)
    const answer = await ask()
    if (ms > 0) await this.#life.sleep(ms / 2)
    return answer
  }
}
