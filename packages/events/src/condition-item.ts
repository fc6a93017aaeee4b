/** An item of a condition, as the lists that say what matches it. */
import type { ConditionList } from './condition-list.ts'

export interface BatchItem {
  readonly after: number
  /** Tags first. None: every event matches. */
  readonly lists: readonly ConditionList[]
  /** So many of each list are loaded, or all. */
  limit: number
}

/** What one posting of the driver costs: itself, and a look under each term of the other lists. */
export function costOf(lists: readonly ConditionList[], driver: ConditionList): number {
  let cost = 1
  for (const list of lists) if (list !== driver) cost += list.windows.length
  return cost
}

/** Whether the event at a position of the driver stands in the other lists. Undefined when it is not known. */
export function standsInAll(lists: readonly ConditionList[], driver: ConditionList, position: number): boolean | undefined {
  let isKnown = true
  for (const list of lists) {
    if (list === driver) continue
    const stands = list.standsAt(position)
    if (stands === false) return false
    if (stands === undefined) isKnown = false
  }
  return isKnown ? true : undefined
}
