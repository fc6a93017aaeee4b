/**
 * Streams by name: those with events in the tail (hot), and a bounded cache of others, absent ones included, in two
 * generations: when the young one is full it becomes the old one, and the former old one is dropped. The rest is in the
 * read side. A stream whose retention changed is kept as well until that is flushed.
 *
 * What `prefetch` loaded must still be there at `apply`, however much the cache turns over meanwhile, so generations
 * change only when `beginBatch` says that nothing prefetched is waiting.
 */
import type { Slot } from '@synod/log'
import type { ReadSide, StreamName } from './read-side.ts'
import { decodeRetentionState, keepsEverything, retentionCell, type RetentionState } from './retention/retention-state.ts'
import { StreamState } from './stream-state.ts'

export class StreamTable {
  readonly #readSide: ReadSide
  readonly #cacheMax: number
  readonly #hot = new Map<string, StreamState>()
  #young = new Map<string, StreamState>()
  #old = new Map<string, StreamState>()
  /** Retention changed, in that slot last, and not yet flushed. */
  readonly #pinned = new Map<string, { readonly state: StreamState; readonly slot: Slot }>()
  /** Some stream has a cell: nobody has to ask for one before. */
  #hasRetention = false
  /** Of retention, since the start. */
  #changes = 0
  /** Names of streams without a cell, for readers of all events; bounded like the cache, dropped whole when full. */
  #keepAll = new Set<string>()
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
    return {
      streams: this.#count,
      streamsHot: this.#hot.size,
      streamsCached: this.#young.size + this.#old.size,
      streamsPinned: this.#pinned.size,
      streamLoads: this.#loads,
    }
  }

  get(name: string): StreamState | undefined {
    const state = this.#hot.get(name) ?? this.#young.get(name)
    if (state !== undefined) return state
    const other = this.#old.get(name) ?? this.#pinned.get(name)?.state
    if (other === undefined) return undefined
    this.#old.delete(name)
    this.#young.set(name, other)
    return other
  }

  beginBatch(): void {
    if (this.#young.size < this.#cacheMax) return
    this.#old = this.#young
    this.#young = new Map()
    this.#generation++
  }

  /** Loads those that `get` does not know; absent ones are then known to be absent. */
  async load(names: readonly string[]): Promise<void> {
    // A command of an earlier slot, or another reader, may have come first, and knows better.
    for (const state of await this.#read(names)) if (this.get(state.name) === undefined) this.#young.set(state.name, state)
  }

  /** For readers; undefined when there is no such stream. Exact as of when it resolves. */
  async find(name: string): Promise<StreamState | undefined> {
    const state = await this.findAny(name)
    return state.revision < 0 ? undefined : state
  }

  /** The same for what a stream keeps, which may be said before it exists. One that does not may be told as a state of its own. */
  async findAny(name: string): Promise<StreamState> {
    const known = this.get(name)
    return known ?? (await this.findAll([name])).get(name)!
  }

  /** Each of the names. Exact as of when it resolves. */
  async findAll(names: Iterable<string>): Promise<Map<string, StreamState>> {
    const wanted = [...names]
    for (;;) {
      const missing = wanted.filter((name) => this.get(name) === undefined)
      const generation = this.#generation
      const read = missing.length === 0 ? [] : await this.#read(missing)
      // So many streams were touched meanwhile that one of these may have come, been flushed and gone again.
      if (this.#generation - generation > 1) continue
      const found = new Map(read.map((state) => [state.name, this.#keep(state)]))
      for (const name of wanted) {
        const state = this.get(name)
        if (state !== undefined) found.set(name, state)
      }
      // One that was known at first may have gone meanwhile.
      if (wanted.every((name) => found.has(name))) return found
    }
  }

  /** Those of the names that have any retention. */
  async findRetained(names: ReadonlySet<string>): Promise<Map<string, StreamState>> {
    if (!this.#hasRetention) return new Map()
    for (;;) {
      const missing = [...names].filter((name) => !this.#keepAll.has(name) && this.get(name) === undefined)
      const [generation, changes] = [this.#generation, this.#changes]
      const cells = missing.length === 0 ? [] : await this.#readSide.cellsNamed(missing.map(retentionCell))
      if (this.#generation - generation > 1) continue
      const keys = new Set(cells.map(({ key }) => key))
      // What is being changed may have been asked for before.
      if (changes === this.#changes) this.#rememberKeepAll(missing.filter((name) => !keys.has(retentionCell(name))))
      const isRetained = (name: string): boolean =>
        (this.get(name)?.retention ?? keepsEverything) !== keepsEverything || keys.has(retentionCell(name))
      return this.findAll([...names].filter(isRetained))
    }
  }

  /** The stream's retention is this from the slot on; `flushed` tells when it is in the read side. */
  retain(state: StreamState, retention: RetentionState, slot: Slot): void {
    state.retention = retention
    this.#hasRetention = true
    this.#changes++
    this.#keepAll.delete(state.name)
    this.#pinned.set(state.name, { state, slot })
  }

  /** At a start. */
  restoreRetention(): void {
    this.#hasRetention = true
  }

  flushed(slot: Slot): void {
    for (const [name, pinned] of this.#pinned) if (pinned.slot <= slot) this.#pinned.delete(name)
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

  /** As they are flushed, absent ones too; not kept. */
  async #read(names: readonly string[]): Promise<StreamState[]> {
    this.#loads += names.length
    const [rows, cells] = await Promise.all([
      this.#readSide.streamsNamed(names),
      this.#hasRetention ? this.#readSide.cellsNamed(names.map(retentionCell)) : [],
    ])
    const rowOf = new Map(rows.map((row) => [row.name, row]))
    const cellOf = new Map(cells.map(({ key, value }) => [key, value]))
    return names.map((name) => {
      const cell = cellOf.get(retentionCell(name)) ?? undefined
      const retention = cell === undefined ? keepsEverything : decodeRetentionState(name, cell)
      const row = rowOf.get(name)
      return new StreamState(name, row?.number, row?.revision, retention)
    })
  }

  #rememberKeepAll(names: readonly string[]): void {
    if (this.#keepAll.size + names.length > this.#cacheMax) this.#keepAll = new Set()
    if (names.length <= this.#cacheMax) for (const name of names) this.#keepAll.add(name)
  }

  /** What a reader found: a reader must not push out what the verdicts need, nor fill the cache with names of nothing. */
  #keep(state: StreamState): StreamState {
    const known = this.get(state.name)
    if (known !== undefined) return known
    if (state.revision >= 0 && this.#young.size < this.#cacheMax) this.#young.set(state.name, state)
    return state
  }
}
