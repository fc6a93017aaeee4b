/** Query parameters, strictly: each known, each once, each of a value that is allowed; a refusal names it. */
import { nearestName } from '../config/nearest-name.ts'
import { invalidArgument } from './http-error.ts'

export type Query = ReadonlyMap<string, string>

/** The values of `lists` stay as they were sent, for `listOf`. @throws HttpError 400 */
export function parseQuery(url: string, known: readonly string[], lists: readonly string[] = []): Query {
  const start = url.indexOf('?')
  const query = new Map<string, string>()
  if (start === -1) return query
  for (const part of url.slice(start + 1).split('&')) {
    if (part === '') continue
    const equals = part.indexOf('=')
    const name = decode(equals === -1 ? part : part.slice(0, equals))
    const raw = equals === -1 ? '' : part.slice(equals + 1)
    const value = lists.includes(name) ? raw : decode(raw)
    if (!known.includes(name)) {
      const near = nearestName(name, known)
      const allowed =
        known.length === 0 ? 'none is known here' : near === undefined ? `known here: ${known.join(', ')}` : `did you mean ${near}?`
      throw invalidArgument(`query parameter ${quote(name)} is unknown; ${allowed}`, { parameter: name.slice(0, 64) })
    }
    if (query.has(name)) throw invalidArgument(`query parameter ${name} stands there twice`, { parameter: name })
    query.set(name, value)
  }
  return query
}

/** One of the words, or the first of them if the parameter is absent. */
export function wordOf<W extends string>(query: Query, name: string, words: readonly [W, ...W[]]): W {
  const value = query.get(name)
  if (value === undefined) return words[0]
  const word = words.find((candidate) => candidate === value)
  if (word === undefined) throw invalidArgument(`${name} is ${quote(value)}: allowed are ${words.join(', ')}`, { parameter: name })
  return word
}

/** @throws HttpError 400 for what is no integer from `min` to `max` in decimal digits */
export function integerOf(query: Query, name: string, min: number, max = Number.MAX_SAFE_INTEGER): number | undefined {
  const value = query.get(name)
  return value === undefined ? undefined : toInteger(value, name, min, max)
}

/** Values that commas separate; a comma inside a value is percent-encoded. @throws HttpError 400 for an empty one */
export function listOf(query: Query, name: string): readonly string[] | undefined {
  const raw = query.get(name)
  if (raw === undefined) return undefined
  return raw.split(',').map((part) => {
    const value = decode(part)
    if (value !== '') return value
    throw invalidArgument(`${name} has an empty value: name one or more, separated by commas, or leave ${name} out`, { parameter: name })
  })
}

export function toInteger(value: string, name: string, min: number, max: number, also = ''): number {
  const number = /^(?:0|[1-9]\d{0,15})$/.test(value) ? Number(value) : Number.NaN
  if (!(number >= min && number <= max)) {
    throw invalidArgument(`${name} is ${quote(value)}: allowed are ${also}integers from ${min} to ${max}`, { parameter: name })
  }
  return number
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw invalidArgument(`the query is not percent-encoded UTF-8 at ${quote(text)}`)
  }
}

function quote(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text)
}
