/**
 * Where events that match a condition stand in their streams, which retention asks for: loaded before the batch is judged, from the
 * tail, the ring of ids or the read side, newest first. Loading ends at one that is visible and stays so through the batch.
 */
import { costOf, standsInAll, type BatchItem } from './condition-item.ts'
import type { ConditionList } from './condition-list.ts'
import type { EventIds } from './event-ids.ts'
import type { PostingsIndex } from './postings-index.ts'
import type { ReadSide } from './read-side.ts'
import { decodeSlotIndex } from './slot-index.ts'
import type { StreamState } from './stream-state.ts'
import type { StreamTable } from './stream-table.ts'
import type { Tail } from './tail.ts'
import type { Visibility } from './visibility.ts'

export interface ConditionSources {
  readonly readSide: ReadSide
  readonly postings: PostingsIndex
  readonly streams: StreamTable
  readonly ids: EventIds
  readonly tail: Tail
  readonly visibility: Visibility
}

export interface Place {
  readonly stream: StreamState
  readonly revision: number
}

interface Batch {
  /** Those that its commands name. */
  readonly streams: () => ReadonlySet<string>
  readonly appendsOnly: boolean
  /** Up to here everything is flushed, and applied up to there, before the batch. */
  readonly cut: number
  readonly head: number
}

/** Looked up at once; below `slotsAtMax`. */
const stepPositions = 64

export class ConditionPlaces {
  readonly #sources: ConditionSources
  readonly #batch: Batch
  readonly #places = new Map<number, Place>()
  /** Of the batch's own events, from head + 1 on. */
  readonly #added: Place[] = []
  #written: ReadonlySet<string> | undefined
  /** Items of which a match was found that stays visible. */
  readonly #settled = new Set<BatchItem>()

  constructor(sources: ConditionSources, batch: Batch) {
    this.#sources = sources
    this.#batch = batch
  }

  onEvent(stream: StreamState, revision: number): void {
    this.#added.push({ stream, revision })
  }

  get(position: number): Place | undefined {
    return position > this.#batch.head ? this.#added[position - this.#batch.head - 1] : this.#places.get(position)
  }

  /** Those that are not flushed yet. */
  keepRecent(item: BatchItem, max: number): void {
    const { head, cut } = this.#batch
    const after = Math.max(item.after, cut)
    const [driver] = item.lists.toSorted((left, right) => left.countAbove(after, head) - right.countAbove(after, head))
    let left = max
    for (const position of driver === undefined ? descending(head, Math.max(after, head - max)) : driver.newest(after)) {
      if (left-- === 0) return
      if (driver !== undefined && standsInAll(item.lists, driver, position) !== true) continue
      const { firstPosition, streams, revisions } = this.#sources.tail.holding(position)
      this.#keep(item, position, { stream: streams[position - firstPosition]!, revision: revisions[position - firstPosition]! })
      if (this.#settled.has(item)) return
    }
  }

  /** Those that are flushed, of each list that may drive. */
  async load(item: BatchItem, drivers: readonly ConditionList[], scanMax: number): Promise<void> {
    const { head, cut } = this.#batch
    if (item.after >= cut) return
    if (item.lists.length === 0) return this.#loadAll(item, descending(Math.min(cut, head), Math.max(item.after, head - scanMax)))
    for (const driver of drivers) {
      const matching: number[] = []
      let left = Math.floor(scanMax / costOf(item.lists, driver))
      for (const position of driver.newest(item.after)) {
        if (left-- === 0) break
        if (position <= cut && standsInAll(item.lists, driver, position) === true) matching.push(position)
      }
      await this.#loadAll(item, matching)
    }
  }

  /** Newest first. */
  async #loadAll(item: BatchItem, positions: readonly number[]): Promise<void> {
    for (let at = 0; at < positions.length && !this.#settled.has(item); at += stepPositions)
      await this.#loadStep(item, positions.slice(at, at + stepPositions))
  }

  async #loadStep(item: BatchItem, positions: readonly number[]): Promise<void> {
    const { streams } = this.#sources
    const found = await this.#find(positions)
    const names = await streams.namesOf(new Set(found.map(({ number }) => number)))
    const missing = [...new Set(names.values())].filter((name) => streams.get(name) === undefined)
    if (missing.length > 0) await streams.load(missing)
    for (const [at, { number, revision }] of found.entries()) {
      const name = names.get(number) ?? ''
      const stream = streams.get(name)
      if (stream === undefined) throw new Error(`stream ${number}, ${JSON.stringify(name)}, was loaded and is not there`)
      this.#keep(item, positions[at]!, { stream, revision })
    }
  }

  /** Of each position the number of its stream, and its revision there. */
  async #find(positions: readonly number[]): Promise<readonly { readonly number: number; readonly revision: number }[]> {
    const { ids, readSide } = this.#sources
    const old = positions.filter((position) => !ids.holds(position)).toSorted((left, right) => left - right)
    const rows = (old.length === 0 ? [] : await readSide.slotsAt(old)).map((row) => ({ row, index: decodeSlotIndex(row) }))
    return positions.map((position) => {
      // The window of ids stands still while a batch is prefetched.
      if (ids.holds(position)) return { number: ids.streamNumber(position), revision: ids.revision(position) }
      const found = rows.find(({ row: { firstPosition, count } }) => firstPosition <= position && position < firstPosition + count)
      if (found === undefined) throw new Error(`no slot holds position ${position}`)
      const event = position - found.row.firstPosition
      return { number: found.index.streamNumbers[event]!, revision: found.index.revisions[event]! }
    })
  }

  #keep(item: BatchItem, position: number, place: Place): void {
    this.#places.set(position, place)
    // A stream that the batch writes may hide more by then.
    if (!this.#batch.appendsOnly || !isVisible(this.#sources.visibility, position, place)) return
    this.#written ??= this.#batch.streams()
    if (!this.#written.has(place.stream.name)) this.#settled.add(item)
  }
}

export function isVisible(visibility: Visibility, position: number, { stream, revision }: Place): boolean {
  const { belowRevision, throughPosition } = visibility.hiddenIn(stream)
  return revision >= belowRevision && position > throughPosition
}

/** From `from` down to the one above `after`. */
function descending(from: number, after: number): readonly number[] {
  return Array.from({ length: Math.max(0, from - after) }, (_, at) => from - at)
}
