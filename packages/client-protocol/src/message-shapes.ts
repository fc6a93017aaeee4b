/**
 * What the messages of a client are made of.
 *
 *   expected  = u8 (0 any, 1 noStream, 2 streamExists, 3 revision) [revision u53]
 *   start     = u8 (0 beginning, 1 from, 2 after a position) [u53]
 *   item      = [type string]… · [tag string]…
 *   filter    = [item]… · [prefix string]… · [category string]…
 *   condition = [item]… · after? u53
 *
 * `[x]…` is a u32 count, then so many. A list without entries is the same as none, so it comes back as none.
 */
import { MalformedError, type ByteReader, type ByteWriter } from '@synod/codec'
import { readOptional, writeOptional } from './message-frame.ts'
import type { AppendCondition, EventFilter, Expected, QueryItem, Start } from './messages.ts'

/** Items, writes, checks of a message: each becomes objects larger than its bytes. Nodes take far fewer, and say so. */
export const entriesMax = 65_536

/** Things of at least `itemBytesMin` bytes each, `entriesMax` at most. @throws MalformedError */
export function readEntries<T>(body: ByteReader, itemBytesMin: number, read: () => T): T[] {
  const length = body.count(itemBytesMin)
  if (length > entriesMax) throw new MalformedError(`${length} entries where at most ${entriesMax} are allowed`)
  return Array.from({ length }, read)
}

export function writeExpected(writer: ByteWriter, expected: Expected): void {
  if (typeof expected === 'number') writer.u8(3).u53(expected)
  else writer.u8(expected === 'any' ? 0 : expected === 'noStream' ? 1 : 2)
}

export function readExpected(body: ByteReader): Expected {
  const kind = body.u8()
  if (kind > 3) throw new MalformedError(`an expectation of kind ${kind}`)
  return kind === 0 ? 'any' : kind === 1 ? 'noStream' : kind === 2 ? 'streamExists' : body.u53()
}

export function writeStart(writer: ByteWriter, start: Start): void {
  if (start.kind === 'beginning') writer.u8(0)
  else if (start.kind === 'from') writer.u8(1).u53(start.from)
  else writer.u8(2).u53(start.position)
}

export function readStart(body: ByteReader): Start {
  const kind = body.u8()
  if (kind > 2) throw new MalformedError(`a start of kind ${kind}`)
  if (kind === 0) return { kind: 'beginning' }
  return kind === 1 ? { kind: 'from', from: body.u53() } : { kind: 'afterPosition', position: body.u53() }
}

export function writeNumbers(writer: ByteWriter, numbers: readonly number[]): void {
  writer.u32(numbers.length)
  for (const number of numbers) writer.u53(number)
}

export function readNumbers(body: ByteReader): number[] {
  return Array.from({ length: body.count(8) }, () => body.u53())
}

export function writeFilter(writer: ByteWriter, { items = [], prefixes = [], categories = [] }: EventFilter): void {
  writeItems(writer, items)
  writeStrings(writer, prefixes)
  writeStrings(writer, categories)
}

export function readFilter(body: ByteReader): EventFilter {
  const items = readItems(body)
  const prefixes = readStrings(body)
  const categories = readStrings(body)
  return { ...(items.length > 0 && { items }), ...(prefixes.length > 0 && { prefixes }), ...(categories.length > 0 && { categories }) }
}

export function writeCondition(writer: ByteWriter, { failIfEventsMatch, after }: AppendCondition): void {
  writeItems(writer, failIfEventsMatch.items)
  writeOptional(writer, after, (position) => writer.u53(position))
}

export function readCondition(body: ByteReader): AppendCondition {
  const items = readItems(body)
  if (items.length === 0) throw new MalformedError('a condition without items')
  const after = readOptional(body, () => body.u53())
  return { failIfEventsMatch: { items }, ...(after !== undefined && { after }) }
}

function writeItems(writer: ByteWriter, items: readonly QueryItem[]): void {
  writer.u32(items.length)
  for (const { types = [], tags = [] } of items) {
    writeStrings(writer, types)
    writeStrings(writer, tags)
  }
}

function readItems(body: ByteReader): QueryItem[] {
  return readEntries(body, 8, () => {
    const types = readStrings(body)
    const tags = readStrings(body)
    return { ...(types.length > 0 && { types }), ...(tags.length > 0 && { tags }) }
  })
}

function writeStrings(writer: ByteWriter, strings: readonly string[]): void {
  writer.u32(strings.length)
  for (const string of strings) writer.string(string)
}

function readStrings(body: ByteReader): string[] {
  return Array.from({ length: body.count(4) }, () => body.string())
}
