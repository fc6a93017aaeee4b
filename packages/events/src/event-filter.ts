/**
 * Which events a reader wants. A filter is checked once, which also brings it into its plainest form; after that it is asked
 * in two ways: of one event in memory (here), and of all there are, on the indexes (filtered-positions.ts).
 */
import { MalformedError, type Bytes } from '@synod/codec'
import { decodeRecordBody } from '@synod/event-record'
import { checkText, invalid } from './append-request.ts'
import { tooLarge, type EventLimits } from './event-limits.ts'
import type { EventFilter, QueryItem } from './event-store.ts'
import { categoryOf } from './terms.ts'

/** Of an event, what a filter's items look at. */
export interface TypeAndTags {
  readonly type: string
  readonly tags: readonly string[]
}

/**
 * The same filter without what asks for nothing and without repetitions, and not the caller's object any more. A filter that lets
 * everything pass is `{}`. Throws an EventStoreError `invalid_argument` or `too_large`.
 */
export function checkFilter(filter: EventFilter, limits: EventLimits): EventFilter {
  if (typeof filter !== 'object' || filter === null) throw invalid('filter must be an object')
  const { items = [], prefixes = [], categories = [] } = filter
  if (!Array.isArray(items)) throw invalid('filter items must be a list of {types?, tags?}')
  if (items.length > limits.filterItemsMax) throw tooLarge('items of a filter', items.length, limits.filterItemsMax)
  const checked = {
    items: items.map((item: QueryItem, at) => checkItem(item, at, limits)),
    prefixes: texts('a prefix of the filter', prefixes, limits.streamNameBytesMax),
    categories: texts('a category of the filter', categories, limits.streamNameBytesMax),
  }
  const terms =
    checked.prefixes.length +
    checked.categories.length +
    checked.items.reduce((sum, { types, tags }) => sum + types.length + tags.length, 0)
  if (terms > limits.filterTermsMax) throw tooLarge('types, tags, prefixes and categories of a filter', terms, limits.filterTermsMax)
  // An item that asks for nothing lets every event pass, and with it the others do.
  const asks = checked.items.every(({ types, tags }) => types.length + tags.length > 0)
  return {
    ...(asks && checked.items.length > 0 && { items: checked.items }),
    ...(checked.prefixes.length > 0 && { prefixes: checked.prefixes }),
    ...(checked.categories.length > 0 && { categories: checked.categories }),
  }
}

/** What the items ask of, as the event's record says. Undefined when its text is no UTF-8, which no filter asks for. */
export function typeAndTagsOf(record: Bytes): TypeAndTags | undefined {
  try {
    return decodeRecordBody(record)
  } catch (error) {
    if (error instanceof MalformedError) return undefined
    throw error
  }
}

/** The part of it that the stream's name decides. */
export function streamMatches({ prefixes = [], categories = [] }: EventFilter, stream: string): boolean {
  if (prefixes.length > 0 && !prefixes.some((prefix) => stream.startsWith(prefix))) return false
  return categories.length === 0 || categories.includes(categoryOf(stream))
}

/** The part that the event decides. */
export function contentMatches({ items = [] }: EventFilter, content: TypeAndTags | undefined): boolean {
  if (items.length === 0) return true
  if (content === undefined) return false
  const { type, tags } = content
  return items.some(
    ({ types = [], tags: wanted = [] }) => (types.length === 0 || types.includes(type)) && wanted.every((tag) => tags.includes(tag)),
  )
}

function checkItem(item: QueryItem, at: number, limits: EventLimits): Required<QueryItem> {
  if (typeof item !== 'object' || item === null) throw invalid(`item ${at} of the filter must be an object with types, tags or both`)
  return {
    types: texts(`a type in item ${at} of the filter`, item.types ?? [], limits.typeBytesMax),
    tags: texts(`a tag in item ${at} of the filter`, item.tags ?? [], limits.tagBytesMax),
  }
}

/** Each once. */
function texts(what: string, list: readonly string[], bytesMax: number): readonly string[] {
  if (!Array.isArray(list)) throw invalid(`${what}: must be given as a list of texts`)
  for (const text of list as readonly string[]) {
    checkText(what, text, bytesMax)
    if (text === '') throw invalid(`${what} must not be empty`)
  }
  return [...new Set(list as readonly string[])]
}
