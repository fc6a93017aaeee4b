/** A caller's arguments, checked: some callers write JavaScript. Each throws an InvalidArgumentError that says what is allowed. */
import type { Start } from '@synod/client-protocol'
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

function isPlace(value: bigint): boolean {
  return value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER)
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 64))
  return typeof value === 'bigint' ? `${value}n` : String(value).slice(0, 64)
}
