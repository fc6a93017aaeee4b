/**
 * Judges conditions: does an event match that is above `after` and visible at this point of the log? The answer, and whether
 * there is one within the bound, depends on the log alone, so that it is the same on every node and in every life of it.
 *
 * What is counted: an item is a list for each of its tags and one for all its types together. The *driver* is the list with the fewest
 * postings above `after`, none counted further than `conditionScanMax` + 1; of equal ones the first, tags before types, in
 * the order given. It is gone through newest first. Each of its postings costs one, and one more for each term of the other lists,
 * under which it is looked up; hidden events cost the same. The first that stands in all lists and is visible is the item's match. When
 * the next posting costs more than what is left of `conditionScanMax`, which all items share in their order, judging ends: the condition is
 * violated when an item before has matched, and too broad otherwise. An item without types and tags has one list, of all events.
 * An item of the same types and tags as one before, in whatever order, is left out and costs nothing (condition-batch.ts).
 */
import type { Condition } from './condition.ts'
import { ConditionBatch } from './condition-batch.ts'
import { costOf, standsInAll, type BatchItem } from './condition-item.ts'
import type { ConditionList } from './condition-list.ts'
import type { PrefetchedBatch } from './command-part.ts'
import { isVisible, type ConditionSources } from './condition-places.ts'
import type { StreamState } from './stream-state.ts'

export type Finding =
  | { readonly kind: 'holds' }
  /** By the newest event that was found. */
  | { readonly kind: 'violated'; readonly position: number }
  | { readonly kind: 'tooBroad'; readonly scanned: number }

interface Match {
  readonly position: number
  readonly scanned: number
  readonly isOver: boolean
}

const holds: Finding = { kind: 'holds' }

export class ConditionJudge {
  readonly #sources: ConditionSources
  readonly #scanMax: number
  #batch: ConditionBatch | undefined

  constructor(sources: ConditionSources, scanMax: number) {
    this.#sources = sources
    this.#scanMax = scanMax
  }

  /** Forgets what was loaded for the batch before. */
  beginBatch(): void {
    this.#batch = undefined
  }

  /** `head` is the last position that is applied. Undefined when there is nothing to wait for. */
  prefetch(conditions: readonly Condition[], batch: PrefetchedBatch, head: number): Promise<void> | undefined {
    this.#batch = new ConditionBatch(this.#sources, this.#scanMax, conditions, batch, head)
    return this.#batch.load()
  }

  /** A command appended an event. */
  onEvent(stream: StreamState, revision: number): void {
    this.#batch?.onEvent(stream, revision)
  }

  flushed(position: number): void {
    this.#batch?.flushed(position)
  }

  /** Synchronous; `head` is the last position that is applied. */
  judge(condition: Condition, head: number): Finding {
    const batch = this.#batch
    const items = batch?.items(condition)
    if (batch === undefined || items === undefined)
      throw new Error('a condition was not prefetched: every command must be, before it is applied')
    let [scanned, newest, isOver] = [0, 0, false]
    for (const item of items) {
      const found = this.#match(batch, item, head, this.#scanMax - scanned)
      scanned += found.scanned
      newest = Math.max(newest, found.position)
      isOver = found.isOver
      if (isOver) break
    }
    if (newest > 0) return { kind: 'violated', position: newest }
    return isOver ? { kind: 'tooBroad', scanned } : holds
  }

  /** `position` 0: there is none, or it is over before one was found. */
  #match(batch: ConditionBatch, item: BatchItem, head: number, max: number): Match {
    const { after, lists } = item
    const driver = this.#driver(item)
    const cost = driver === undefined ? 1 : costOf(lists, driver)
    let scanned = 0
    for (const position of driver === undefined ? descending(head, after) : driver.newest(after)) {
      if (scanned + cost > max) return { position: 0, scanned, isOver: true }
      scanned += cost
      if (driver !== undefined && !this.#standsInAll(item, driver, position)) continue
      if (this.#isVisible(batch, position)) return { position, scanned, isOver: false }
    }
    if (driver?.isWhole(after) === false) throw new Error(`a list of a condition was prefetched in part, and all of it is needed`)
    return { position: 0, scanned, isOver: false }
  }

  /** Undefined: all events. */
  #driver({ after, lists }: BatchItem): ConditionList | undefined {
    const [first] = lists
    if (lists.length < 2) return first
    let [driver, least] = [first, this.#scanMax + 2]
    for (const list of lists) {
      const count = list.countAbove(after, this.#scanMax + 1)
      if (count < least) [driver, least] = [list, count]
    }
    return driver
  }

  #standsInAll({ lists }: BatchItem, driver: ConditionList, position: number): boolean {
    const stands = standsInAll(lists, driver, position)
    if (stands === undefined) throw new Error(`what stands at position ${position} was not prefetched`)
    return stands
  }

  #isVisible(batch: ConditionBatch, position: number): boolean {
    const { visibility } = this.#sources
    if (visibility.hidesNothing) return true
    const place = batch.place(position)
    if (place === undefined) throw new Error(`the stream of position ${position} was not prefetched`)
    return isVisible(visibility, position, place)
  }
}

function* descending(from: number, after: number): Generator<number, void> {
  for (let position = from; position > after; position--) yield position
}
