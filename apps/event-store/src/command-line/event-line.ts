/** A line of `append`'s input: strictly an object, so that a misspelt key is not lost. */
import { createHash } from 'node:crypto'
import type { Expected, NewEvent } from '@synod/client'
import { nearestName } from '../config/nearest-name.ts'
import { parseJsonText } from './json-text.ts'
import { expectedWords } from './option-values.ts'

export interface EventLine {
  /** In the input, from 1. */
  readonly number: number
  /** Of its text. */
  readonly bytes: number
  readonly stream: string
  readonly expected: Expected
  readonly event: NewEvent
}

/** What is wrong with a line. */
export class LineError extends Error {
  readonly code = 'invalid_argument'
}

const keys = ['stream', 'type', 'data', 'metadata', 'tags', 'id', 'expected'] as const
/** Of an event that was read: the store gives them anew. */
const givenAnew = ['revision', 'position', 'recordedAt']
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** @throws LineError */
export function parseEventLine(text: string, number: number, source: string): EventLine {
  const line = parseObject(text)
  for (const key of Object.keys(line)) requireKnown(key)
  const { stream, type, data, metadata, tags, id, expected } = line
  for (const [key, value] of [
    ['stream', stream],
    ['type', type],
  ]) {
    if (typeof value !== 'string' || value === '') throw new LineError(`${String(key)} must be a string that is not empty`)
  }
  if (!('data' in line)) throw new LineError('data is missing: it may be any JSON, null too')
  if (id !== undefined && (typeof id !== 'string' || !uuid.test(id))) throw new LineError('id must be a UUID')
  if (tags !== undefined && !isStrings(tags)) throw new LineError('tags must be an array of strings')
  return {
    number,
    bytes: text.length,
    stream: stream as string,
    expected: toExpected(expected),
    event: {
      type: type as string,
      data,
      id: id ?? lineId(source, number, text),
      ...(metadata !== undefined && metadata !== null && { metadata }),
      ...(tags !== undefined && { tags }),
    },
  }
}

/** The same line of the same source has the same id, however often it is appended. */
export function lineId(source: string, number: number, text: string): string {
  const digest = createHash('sha256').update(`${source}\0${number}\0${text}`).digest()
  // Version 8 of RFC 9562: made by our own rule.
  digest[6] = ((digest[6] ?? 0) & 0x0f) | 0x80
  digest[8] = ((digest[8] ?? 0) & 0x3f) | 0x80
  const hex = digest.toString('hex', 0, 16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  let line: unknown
  try {
    line = parseJsonText(text)
  } catch (error) {
    throw new LineError(`no JSON: ${(error as Error).message.slice(0, 200)}`)
  }
  if (typeof line !== 'object' || line === null || Array.isArray(line)) throw new LineError('it must be an object {stream, type, data}')
  return line as Readonly<Record<string, unknown>>
}

function requireKnown(key: string): void {
  if (keys.some((known) => known === key) || givenAnew.includes(key)) return
  const near = nearestName(key, keys)
  throw new LineError(
    `${JSON.stringify(key.slice(0, 64))} is unknown; ${near === undefined ? `a line has ${keys.join(', ')}` : `did you mean ${near}?`}`,
  )
}

function toExpected(expected: unknown): Expected {
  if (expected === undefined || expected === null) return 'any'
  if (Number.isSafeInteger(expected) && (expected as number) >= 0) return BigInt(expected as number)
  const word = expectedWords.find((candidate) => candidate === expected)
  if (word === undefined) throw new LineError(`expected must be ${expectedWords.join(', ')} or a revision`)
  return word
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}
