/**
 * The condition of an append as its command holds it, and what it asks of the index: each item is a list of lists of terms, and
 * an event matches when each list has a term of it.
 *
 *   condition = after u53 · items count u16 · [types count u16 · type string… · tags count u16 · tag string…]…
 */
import { MalformedError, type ByteReader, type ByteWriter } from '@synod/codec'
import { formatLimits } from './event-limits.ts'

export interface ConditionItem {
  readonly types: readonly string[]
  readonly tags: readonly string[]
}

export interface Condition {
  /** Events at or below do not count; 0: all do. */
  readonly after: number
  /** At least one. */
  readonly items: readonly ConditionItem[]
}

export function writeCondition(writer: ByteWriter, { after, items }: Condition): void {
  writer.u53(after).u16(items.length)
  for (const { types, tags } of items) {
    writer.u16(types.length)
    for (const type of types) writer.string(type)
    writer.u16(tags.length)
    for (const tag of tags) writer.string(tag)
  }
}

/** Throws a MalformedError. */
export function readCondition(reader: ByteReader): Condition {
  const after = reader.u53()
  const count = reader.u16()
  if (count < 1 || count > formatLimits.conditionItemsMax) throw new MalformedError(`a condition of ${count} items`)
  const items: ConditionItem[] = []
  let terms = 0
  for (let left = count; left > 0; left--) {
    const item = { types: readTexts(reader), tags: readTexts(reader) }
    terms += item.types.length + item.tags.length
    if (terms > formatLimits.conditionTermsMax) throw new MalformedError(`a condition of ${terms} types and tags`)
    items.push(item)
  }
  return { after, items }
}

function readTexts(reader: ByteReader): readonly string[] {
  const count = reader.u16()
  if (count === 0) return []
  if (count > formatLimits.conditionTermsMax) throw new MalformedError(`${count} types or tags`)
  const texts: string[] = []
  for (let left = count; left > 0; left--) {
    const text = reader.string(formatLimits.termBytesMax)
    if (text === '') throw new MalformedError('an empty type or tag')
    texts.push(text)
  }
  if (count > 1 && new Set(texts).size < count) throw new MalformedError('a type or tag twice in one item')
  return texts
}

/** Tags first, as given, then the types together. Without a list the item matches every event. */
export function listsOf<T>({ types, tags }: ConditionItem, of: (kind: 'type' | 'tag', text: string) => T): readonly (readonly T[])[] {
  const lists = tags.map((tag) => [of('tag', tag)])
  if (types.length > 0) lists.push(types.map((type) => of('type', type)))
  return lists
}
