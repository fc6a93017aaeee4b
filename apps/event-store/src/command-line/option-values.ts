/** Values of options and arguments, from text. Each throws commander's InvalidArgumentError, which ends in wrong usage. */
import { InvalidArgumentError, Option } from 'commander'
import type { Expected } from '@synod/client'

export function integer(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN
    if (!(number >= min && number <= max)) throw new InvalidArgumentError(`allowed are integers from ${min} to ${max}.`)
    return number
  }
}

export function oneOf(...words: readonly string[]): (value: string) => string {
  return (value) => {
    if (!words.includes(value)) throw new InvalidArgumentError(`allowed are ${words.join(', ')}.`)
    return value
  }
}

/** An option that takes one of some words; completions offer them. */
export function wordOption(flags: string, description: string, words: readonly string[]): Option {
  return new Option(flags, description).choices(words).argParser(oneOf(...words))
}

/** A revision or a position. */
export function place(value: string): bigint {
  const number = /^\d{1,16}$/.test(value) ? BigInt(value) : -1n
  if (number < 0n || number > BigInt(Number.MAX_SAFE_INTEGER)) throw new InvalidArgumentError('allowed are integers from 0 to 2^53-1.')
  return number
}

/** A position, or `end`. */
export function placeOrEnd(value: string): bigint | 'end' {
  if (value === 'end') return value
  if (!/^\d+$/.test(value)) throw new InvalidArgumentError('allowed are a position, and end.')
  return place(value)
}

/** For an argument that may be given several times. */
export function places(value: string, before: readonly bigint[] | undefined): readonly bigint[] {
  return [...(before ?? []), place(value)]
}

export const expectedWords = ['any', 'noStream', 'streamExists'] as const

export function expected(value: string): Expected {
  const word = expectedWords.find((candidate) => candidate === value)
  if (word !== undefined) return word
  if (!/^\d+$/.test(value)) throw new InvalidArgumentError(`allowed are ${expectedWords.join(', ')}, and the stream's last revision.`)
  return place(value)
}

/** URLs, separated by commas or blanks. */
export function nodeUrls(value: string): readonly string[] {
  const urls = value.split(/[\s,]+/).filter((url) => url !== '')
  if (urls.length === 0 || urls.length > 64) throw new InvalidArgumentError('1 to 64 URLs, separated by commas.')
  for (const text of urls) {
    const protocol = URL.parse(text)?.protocol
    if (protocol !== 'http:' && protocol !== 'https:') {
      throw new InvalidArgumentError(`${JSON.stringify(text)} is no http or https URL, such as http://127.0.0.1:2113.`)
    }
  }
  return urls
}

export function seconds(value: string): number {
  const number = /^\d{1,5}(\.\d{1,3})?$/.test(value) ? Number(value) : Number.NaN
  if (!(number >= 0.1 && number <= 86_400)) throw new InvalidArgumentError('allowed are seconds from 0.1 to 86400.')
  return number
}

/** For an option that may be given several times. */
export function collected(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value]
}
