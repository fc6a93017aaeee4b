/** What filters and conditions mean, in the plainest words; shares nothing with the product but the shape of what is asked. */
import type { SeenEvent } from './history.ts'

export interface AskedItem {
  readonly types?: readonly string[]
  readonly tags?: readonly string[]
}

export interface AskedFilter {
  readonly items?: readonly AskedItem[]
  readonly prefixes?: readonly string[]
  readonly categories?: readonly string[]
}

export type Labelled = Pick<SeenEvent, 'stream' | 'type' | 'tags'>

export function fitsItem({ type = '', tags = [] }: Labelled, item: AskedItem): boolean {
  const { types = [], tags: asked = [] } = item
  return (types.length === 0 || types.includes(type)) && asked.every((tag) => tags.includes(tag))
}

export function passes(event: Labelled, { items, prefixes, categories }: AskedFilter): boolean {
  if (items !== undefined && items.length > 0 && !items.some((item) => fitsItem(event, item))) return false
  if (prefixes !== undefined && prefixes.length > 0 && !prefixes.some((prefix) => event.stream.startsWith(prefix))) return false
  return categories === undefined || categories.length === 0 || categories.includes(event.stream.split('-')[0] ?? '')
}
