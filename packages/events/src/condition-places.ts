/**
 * Where events that match a condition stand in their streams, which retention asks for: loaded before the batch is judged, from the
 * tail, the ring of ids or the read side. None is needed below one that is visible and stays so through the batch.
 */
import { standsInAll, type BatchItem } from './condition-item.ts'
import type { EventIds } from './event-ids.ts'
import type { PostingsIndex } from './postings-index.ts'
import type { ReadSide } from './read-side.ts'
import { decodeSlotIndex } from './slot-index.ts'
import type { StreamState } from './stream-state.ts'
import type { StreamTable } from './stream-table.ts'
import type { Tail } from './tail.ts'
import { isShown, type Visibility } from './visibility.ts'

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

  /** It is known to be visible, and stays so through the batch: a stream that the batch writes may hide more by then. */
  staysVisible(position: number): boolean {
    const place = this.#places.get(position)
    if (place === undefined || !this.#batch.appendsOnly || !isVisible(this.#sources.visibility, position, place)) return false
    this.#written ??= this.#batch.streams()
    return !this.#written.has(place.stream.name)
  }

  /** It is known to be hidden. */
  isHidden(position: number): boolean {
    const place = this.#places.get(position)
    return place !== undefined && !isVisible(this.#sources.visibility, position, place)
  }

  /** Those that are not flushed yet: of at most `max` postings, newest first. */
  keepRecent(item: BatchItem, max: number): void {
    const { head, cut } = this.#batch
    const after = Math.max(item.after, cut)
    const [driver] = item.lists.toSorted((left, right) => left.countAbove(after, head) - right.countAbove(after, head))
    let left = max
    for (const position of driver === undefined ? descending(head, Math.max(after, head - max)) : driver.newest(after)) {
      if (left-- === 0) return
      if (driver !== undefined && standsInAll(item.lists, driver, position) !== true) continue
      if (!this.#places.has(position)) {
        const { firstPosition, streams, revisions } = this.#sources.tail.holding(position)
        this.#places.set(position, { stream: streams[position - firstPosition]!, revision: revisions[position - firstPosition]! })
      }
      if (this.staysVisible(position)) return
    }
  }

  /** Of flushed positions. */
  async load(positions: readonly number[]): Promise<void> {
    for (let at = 0; at < positions.length; at += stepPositions) await this.#loadStep(positions.slice(at, at + stepPositions))
  }

  async #loadStep(positions: readonly number[]): Promise<void> {
    const { streams } = this.#sources
    const found = await this.#find(positions)
    const names = await streams.namesOf(new Set(found.map(({ number }) => number)))
    const missing = [...new Set(names.values())].filter((name) => streams.get(name) === undefined)
    if (missing.length > 0) await streams.load(missing)
    for (const [at, { number, revision }] of found.entries()) {
      const name = names.get(number) ?? ''
      const stream = streams.get(name)
      if (stream === undefined) throw new Error(`stream ${number}, ${JSON.stringify(name)}, was loaded and is not there`)
      this.#places.set(positions[at]!, { stream, revision })
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
}

export function isVisible(visibility: Visibility, position: number, { stream, revision }: Place): boolean {
  return isShown(visibility.hiddenIn(stream), revision, position)
}

/** From `from` down to the one above `after`. */
export function descending(from: number, after: number): readonly number[] {
  return Array.from({ length: Math.max(0, from - after) }, (_, at) => from - at)
}
