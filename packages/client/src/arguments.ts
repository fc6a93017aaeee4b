/** A caller's arguments, checked: some callers write JavaScript. Each throws an InvalidArgumentError that says what is allowed. */
import type { AppendCondition, EventFilter, Expected as ExpectedMessage, QueryItem, Start, StreamCheck } from '@synod/client-protocol'
import type { Expected } from './client.ts'
import { InvalidArgumentError } from './client-error.ts'

const words = ['any', 'noStream', 'streamExists'] as const

export function toStream(stream: unknown): void {
  if (typeof stream !== 'string' || stream === '')
    throw new InvalidArgumentError(`a stream's name is a string that is not empty, not ${show(stream)}`)
  if (!stream.isWellFormed()) throw new InvalidArgumentError('a stream’s name holds half a surrogate pair')
}

export function toExpected(expected: unknown): Expected {
  if (expected === undefined) return 'any'
  if (typeof expected === 'bigint' && isPlace(expected)) return expected
  const word = words.find((candidate) => candidate === expected)
  if (word === undefined) {
    throw new InvalidArgumentError(
      `expected is ${show(expected)}: allowed are ${words.join(', ')} and a revision as a bigint from 0n to 2n**53n-1n`,
    )
  }
  return word
}

/** As a message tells it. */
export function expectedMessage(expected: Expected): ExpectedMessage {
  return typeof expected === 'bigint' ? Number(expected) : expected
}

/** As a number; places above 2^53 - 1 do not exist. */
export function toFrom(from: unknown, name: string): number | undefined {
  if (from === undefined) return undefined
  if (typeof from === 'bigint' && isPlace(from)) return Number(from)
  throw new InvalidArgumentError(`${name} is ${show(from)}: it must be a bigint from 0n to 2n**53n-1n`)
}

export function toStart(from: unknown, after: unknown): Start {
  const place = toFrom(from, 'from')
  const position = toFrom(after, 'after')
  if (place !== undefined && position !== undefined) throw new InvalidArgumentError('from and after exclude each other: give one of them')
  if (position !== undefined) return { kind: 'afterPosition', position }
  return place === undefined ? { kind: 'beginning' } : { kind: 'from', from: place }
}

/** Infinity when absent. */
export function toLimit(limit: unknown): number {
  if (limit === undefined || limit === Infinity) return Infinity
  if (Number.isSafeInteger(limit) && (limit as number) > 0) return limit as number
  throw new InvalidArgumentError(`limit is ${show(limit)}: it must be a positive integer`)
}

/** The first one when absent. */
export function toWord<W extends string>(value: unknown, name: string, allowed: readonly [W, ...W[]]): W {
  if (value === undefined) return allowed[0]
  const word = allowed.find((candidate) => candidate === value)
  if (word === undefined) throw new InvalidArgumentError(`${name} is ${show(value)}: allowed are ${allowed.join(', ')}`)
  return word
}

/** Nothing but `items`, at least one. */
export function toQuery(query: unknown): { readonly items: readonly QueryItem[] } {
  const { items, ...rest } = toObject(query, 'a query', '{ items: [{ types, tags }] }')
  requireNothingElse(rest, 'a query', 'items')
  const list = toItems(items)
  if (list === undefined)
    throw new InvalidArgumentError('a query needs at least one item: { items: [{ types, tags }] }; {} matches every event')
  return { items: list }
}

/** Undefined where nothing is asked for. */
export function toFilter(filter: unknown): EventFilter | undefined {
  if (filter === undefined) return undefined
  const { items, prefixes, categories, ...rest } = toObject(filter, 'filter', '{ items, prefixes, categories }')
  requireNothingElse(rest, 'filter', 'items, prefixes and categories')
  const parts = { items: toItems(items), prefixes: toTexts(prefixes, 'prefixes'), categories: toTexts(categories, 'categories') }
  return {
    ...(parts.items !== undefined && { items: parts.items }),
    ...(parts.prefixes !== undefined && { prefixes: parts.prefixes }),
    ...(parts.categories !== undefined && { categories: parts.categories }),
  }
}

export function toCondition(condition: unknown): AppendCondition | undefined {
  if (condition === undefined) return undefined
  const { failIfEventsMatch, after, ...rest } = toObject(condition, 'condition', '{ failIfEventsMatch, after }')
  requireNothingElse(rest, 'condition', 'failIfEventsMatch and after')
  const position = toFrom(after, 'after')
  return { failIfEventsMatch: toQuery(failIfEventsMatch), ...(position !== undefined && { after: position }) }
}

export function toChecks(checks: unknown): readonly StreamCheck[] {
  if (checks === undefined) return []
  return toArray(checks, 'checks').map((check) => {
    const { stream, expected } = toObject(check, 'a check', '{ stream, expected }')
    toStream(stream)
    if (expected === undefined) throw new InvalidArgumentError(`the check of stream ${show(stream)} does not say what is expected`)
    return { stream: stream as string, expected: expectedMessage(toExpected(expected)) }
  })
}

/** The name of a group or a consumer. */
export function toName(given: unknown, of: string): string {
  if (typeof given === 'string' && given !== '' && given.isWellFormed()) return given
  throw new InvalidArgumentError(`the name of ${of} is a text that is not empty, not ${show(given)}`)
}

export function toArray(given: unknown, name: string): readonly unknown[] {
  if (Array.isArray(given)) return given as readonly unknown[]
  throw new InvalidArgumentError(`${name} must be a list, not ${show(given)}`)
}

export function toObject(given: unknown, name: string, like: string): Readonly<Record<string, unknown>> {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return given as Readonly<Record<string, unknown>>
  throw new InvalidArgumentError(`${name} must be an object such as ${like}, not ${show(given)}`)
}

/** A misspelt part of a filter would let everything pass. */
export function requireNothingElse(rest: object, name: string, allowed: string): void {
  const [key] = Object.entries(rest).find(([, value]) => value !== undefined) ?? []
  if (key !== undefined) throw new InvalidArgumentError(`${name} has ${show(key)}: allowed are ${allowed}`)
}

function toItems(items: unknown): readonly QueryItem[] | undefined {
  if (items === undefined) return undefined
  const list = toArray(items, 'items').map((item) => {
    const { types, tags, ...rest } = toObject(item, 'an item of a query', '{ types, tags }')
    requireNothingElse(rest, 'an item of a query', 'types and tags')
    const parts = { types: toTexts(types, 'types'), tags: toTexts(tags, 'tags') }
    return { ...(parts.types !== undefined && { types: parts.types }), ...(parts.tags !== undefined && { tags: parts.tags }) }
  })
  return list.length === 0 ? undefined : list
}

function toTexts(texts: unknown, name: string): readonly string[] | undefined {
  if (texts === undefined) return undefined
  const list = toArray(texts, name)
  if (!list.every((text) => typeof text === 'string' && text.isWellFormed())) {
    throw new InvalidArgumentError(`${name} must be a list of well-formed texts`)
  }
  return list.length === 0 ? undefined : (list as readonly string[])
}

function isPlace(value: bigint): boolean {
  return value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER)
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 64))
  return typeof value === 'bigint' ? `${value}n` : String(value).slice(0, 64)
}
