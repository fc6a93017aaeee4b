/**
 * How much of the bound is left for an item when it is judged, at most, as far as it is known before: the items of a condition share
 * `conditionScanMax` in their order, and what judging cannot reach need not be loaded.
 *
 * An item costs at least what is looked at down to the first posting that may be a visible match, by the list that makes it cheapest of
 * those that may drive: what the batch adds before it is judged lies above and only adds to it, unless that matches. So an item
 * is counted for a later one only when every event of the batch that may match the item matches the later one too: either none
 * of them was appended, and the item costs that much; or one was, and the later one ends at it, in memory. What is hidden never comes back.
 */
import { costOf, standsInAll, type BatchItem } from './condition-item.ts'
import type { ConditionList } from './condition-list.ts'

export interface ItemSearch {
  readonly item: BatchItem
  /** The lists that may drive. */
  readonly drivers: readonly ConditionList[]
  /** Events of the batch, by their places in it, that may match. */
  readonly matching: ReadonlySet<number>
  /** So many postings are loaded at the next step. */
  step: number
  isLoaded: boolean
  /** What judging it costs at least, unless an event of the batch matches. */
  least: number
  /** Judging ends in it, unless an event of the batch matches. */
  endsJudging: boolean
}

export function searchOf(item: BatchItem, drivers: readonly ConditionList[], matching: ReadonlySet<number>, step: number): ItemSearch {
  return { item, drivers, matching, step, isLoaded: false, least: 0, endsJudging: false }
}

/** For the search after these of the same condition. Undefined: judging does not come to it, or needs nothing that is loaded. */
export function leftFor(search: ItemSearch, before: Iterable<ItemSearch>, scanMax: number): number | undefined {
  let left = scanMax
  for (const { matching, least, endsJudging } of before) {
    if (matching.size > 0 && !matching.isSubsetOf(search.matching)) continue
    if (endsJudging) return undefined
    left -= least
  }
  return Math.max(0, left)
}

/** From what is known by now. */
export function countLeast(search: ItemSearch, left: number, isHidden: (position: number) => boolean): void {
  const { item, drivers } = search
  let [least, endsJudging] = [drivers.length === 0 ? 0 : Infinity, drivers.length > 0]
  for (const driver of drivers) {
    const cost = costOf(item.lists, driver)
    const room = Math.floor(left / cost)
    let [looked, isOver] = [0, false]
    for (const position of driver.newest(item.after)) {
      isOver = looked === room
      if (isOver) break
      looked++
      if (standsInAll(item.lists, driver, position) !== false && !isHidden(position)) break
    }
    least = Math.min(least, looked * cost)
    endsJudging &&= isOver
  }
  search.least = least
  search.endsJudging = endsJudging
}
