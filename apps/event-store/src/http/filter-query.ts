/** A filter as query parameters: `types` (any of them), `tags` (all of them), `prefix` and `category` (any of them); together all must hold. */
import type { EventFilter } from '@synod/events'
import { listOf, type Query } from './query.ts'

export const filterParameters = ['types', 'tags', 'prefix', 'category'] as const

/** Undefined when no parameter asks for anything. @throws HttpError 400 */
export function filterOf(query: Query): EventFilter | undefined {
  const [types, tags, prefixes, categories] = filterParameters.map((name) => listOf(query, name))
  if (types === undefined && tags === undefined && prefixes === undefined && categories === undefined) return undefined
  const item = { ...(types !== undefined && { types }), ...(tags !== undefined && { tags }) }
  return {
    ...((types !== undefined || tags !== undefined) && { items: [item] }),
    ...(prefixes !== undefined && { prefixes }),
    ...(categories !== undefined && { categories }),
  }
}
