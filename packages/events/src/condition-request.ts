import { checkText, describe, invalid } from './append-request.ts'
import type { Condition, ConditionItem } from './condition.ts'
import { tooLarge, type EventLimits } from './event-limits.ts'
import type { AppendCondition, QueryItem } from './event-store.ts'

/** As the command holds it: types and tags once in an item. Throws an EventStoreError `invalid_argument` or `too_large`. */
export function checkCondition(condition: AppendCondition, limits: EventLimits): Condition {
  if (typeof condition !== 'object' || condition === null) throw invalid(`condition must be an object, not ${describe(condition)}`)
  const { failIfEventsMatch, after = 0 } = condition
  if (!Number.isSafeInteger(after) || after < 0)
    throw invalid(`after of the condition must be a position (an integer from 0 to 2^53 - 1), not ${describe(after)}`)
  const items: unknown = (failIfEventsMatch as typeof failIfEventsMatch | null | undefined)?.items
  if (!Array.isArray(items) || items.length === 0)
    throw invalid('failIfEventsMatch must be {items: […]} with at least one item; an item without types and tags matches every event')
  if (items.length > limits.conditionItemsMax) throw tooLarge('items of a condition', items.length, limits.conditionItemsMax)
  const checked = items.map((item: QueryItem, at) => checkItem(item, at, limits))
  const terms = checked.reduce((sum, { types, tags }) => sum + types.length + tags.length, 0)
  if (terms > limits.conditionTermsMax) throw tooLarge('types and tags of a condition', terms, limits.conditionTermsMax)
  return { after, items: checked }
}

function checkItem(item: QueryItem, at: number, limits: EventLimits): ConditionItem {
  if (typeof item !== 'object' || item === null) throw invalid(`item ${at} of the condition must be an object, not ${describe(item)}`)
  const { types = [], tags = [] } = item
  return {
    types: texts(`a type in item ${at} of the condition`, types, limits.typeBytesMax),
    tags: texts(`a tag in item ${at} of the condition`, tags, limits.tagBytesMax),
  }
}

function texts(what: string, list: readonly string[], bytesMax: number): readonly string[] {
  if (!Array.isArray(list)) throw invalid(`${what}: must be given in a list of texts, not ${describe(list)}`)
  for (const text of list as readonly string[]) {
    checkText(what, text, bytesMax)
    if (text === '') throw invalid(`${what} must not be empty`)
  }
  return [...new Set(list as readonly string[])]
}
