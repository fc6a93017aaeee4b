/**
 * Streams by name: those with events in the tail (hot), and a bounded cache of others, absent ones included, in two
 * generations: when the young one is full it becomes the old one, and the former old one is dropped. The rest is in the
 * read side.
 *
 * What `prefetch` loaded must still be there at `apply`, however much the cache turns over meanwhile, so generations
 * change only when `beginBatch` says that nothing prefetched is waiting.
 */
import type { ReadSide, StreamName } from './read-side.ts'
import { StreamState } from './stream-state.ts'

export class StreamTable {
  readonly #readSide: ReadSide
  readonly #cacheMax: number
  readonly #hot = new Map<string, StreamState>()
  #young = new Map<string, StreamState>()
  #old = new Map<string, StreamState>()
  #generation = 0
  #count = 0
  /** Created and not yet taken by a flush. */
  #created: StreamName[] = []
  /** Names for readers of all events, by number; bounded like the cache, dropped whole when full. */
  #names = new Map<number, string>()
  #loads = 0

  constructor(readSide: ReadSide, cacheMax: number) {
    this.#readSide = readSide
    this.#cacheMax = cacheMax
  }

  /** Numbered so far. */
  get count(): number {
    return this.#count
  }

  restart(count: number): void {
    this.#count = count
  }

  counters(): Readonly<Record<string, number>> {
    return { streams: this.#count, streamsHot: this.#hot.size, streamsCached: this.#young.size + this.#old.size, streamLoads: this.#loads }
  }

  get(name: string): StreamState | undefined {
    const state = this.#hot.get(name) ?? this.#young.get(name)
    if (state !== undefined) return state
    const old = this.#old.get(name)
    if (old === undefined) return undefined
    this.#old.delete(name)
    this.#young.set(name, old)
    return old
  }

  beginBatch(): void {
    if (this.#young.size < this.#cacheMax) return
    this.#old = this.#young
    this.#young = new Map()
    this.#generation++
  }

  /** Loads those that `get` does not know; absent ones are then known to be absent. */
  async load(names: readonly string[]): Promise<void> {
    this.#loads += names.length
    const rows = await this.#readSide.streamsNamed(names)
    const found = new Map(rows.map((row) => [row.name, row]))
    for (const name of names) {
      // A command of an earlier slot, or another reader, may have come first, and knows better.
      if (this.get(name) !== undefined) continue
      const row = found.get(name)
      this.#young.set(name, row === undefined ? new StreamState(name) : new StreamState(name, row.number, row.revision))
    }
  }

  /** For readers; undefined when there is no such stream. Exact as of when it resolves. */
  async find(name: string): Promise<StreamState | undefined> {
    for (;;) {
      const known = this.get(name)
      if (known !== undefined) return known.revision < 0 ? undefined : known
      const generation = this.#generation
      this.#loads++
      const [row] = await this.#readSide.streamsNamed([name])
      if (this.get(name) !== undefined) continue
      // So many streams were touched meanwhile that this one may have come, been flushed and gone again.
      if (this.#generation - generation > 1) continue
      if (row === undefined) return undefined
      const state = new StreamState(name, row.number, row.revision)
      // A reader must not push out what the verdicts need.
      if (this.#young.size < this.#cacheMax) this.#young.set(name, state)
      return state
    }
  }

  /** The stream's first append. */
  create(state: StreamState): void {
    state.number = ++this.#count
    this.#created.push({ number: state.number, name: state.name })
  }

  takeCreated(): readonly StreamName[] {
    const created = this.#created
    this.#created = []
    return created
  }

  heat(state: StreamState): void {
    if (state.recentCount > 0) return
    this.#young.delete(state.name)
    this.#old.delete(state.name)
    this.#hot.set(state.name, state)
  }

  /** Its last event has left the tail. */
  cool(state: StreamState): void {
    this.#hot.delete(state.name)
    this.#young.set(state.name, state)
  }

  /** The names of streams by number. */
  async namesOf(numbers: ReadonlySet<number>): Promise<ReadonlyMap<number, string>> {
    const names = new Map<number, string>()
    const missing: number[] = []
    for (const number of numbers) {
      const name = this.#names.get(number)
      if (name === undefined) missing.push(number)
      else names.set(number, name)
    }
    if (missing.length === 0) return names
    const rows = await this.#readSide.streamsNumbered(missing)
    if (this.#names.size + rows.length > this.#cacheMax) this.#names = new Map()
    for (const { number, name } of rows) {
      names.set(number, name)
      this.#names.set(number, name)
    }
    return names
  }
}
