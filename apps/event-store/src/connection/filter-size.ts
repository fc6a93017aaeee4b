import type { EventFilter } from '@synod/client-protocol'
import { tooLarge } from '../http/http-error.ts'

/** Characters of all texts of a filter, and 16 for each: a filter lives as long as its request, of which there may be thousands. */
const filterSizeMax = 131_072

/** The store has narrower limits, and says which; this one holds before the store is asked. @throws HttpError 413 */
export function checkFilterSize({ items = [], prefixes = [], categories = [] }: EventFilter): void {
  let size = 16 * items.length
  for (const texts of [prefixes, categories, ...items.flatMap(({ types = [], tags = [] }) => [types, tags])])
    for (const text of texts) size += 16 + text.length
  if (size > filterSizeMax) throw tooLarge('the filter is too large: ask for less in one request, or filter where the events arrive')
}
