/**
 * What an event can be found by: its type, the category of its stream, each of its tags. A term is the first 16 bytes of
 * SHA-256(kind byte, text as UTF-8), so that every term has the same length and none has to be numbered first; two texts with
 * one term would need 2^64 attempts. Here it is a string of 16 characters, one a byte, as that is what a Map finds quickest.
 */
import { hash } from 'node:crypto'
import type { Bytes } from '@synod/codec'

export type Term = string

export type TermKind = 'type' | 'category' | 'tag'

const kindBytes: Readonly<Record<TermKind, number>> = { type: 1, category: 2, tag: 3 }
/** Of each kind; when it is full it begins anew. */
const cachedMax = 16_384
const cached: Readonly<Record<TermKind, Map<string, Term>>> = { type: new Map(), category: new Map(), tag: new Map() }
/** What is hashed, kind byte first. Longer texts get a piece of their own. */
const scratch = Buffer.alloc(4096)

export function termOf(kind: TermKind, text: string): Term {
  const known = cached[kind].get(text)
  if (known !== undefined) return known
  const bytes = Buffer.from(text)
  const term = termOfBytes(kind, bytes, 0, bytes.length)
  if (cached[kind].size >= cachedMax) cached[kind].clear()
  cached[kind].set(text, term)
  return term
}

/** The same, of text that is bytes already and was seldom seen before. Bytes that are no UTF-8 have a term too. */
export function termOfBytes(kind: TermKind, bytes: Bytes, from: number, length: number): Term {
  const hashed = length < scratch.length ? scratch.subarray(0, 1 + length) : Buffer.alloc(1 + length)
  hashed[0] = kindBytes[kind]
  hashed.set(bytes.subarray(from, from + length), 1)
  return hash('sha256', hashed, 'binary').slice(0, 16)
}

/** The part of a stream's name before the first `-`; the whole name when there is none. */
export function categoryOf(stream: string): string {
  const end = stream.indexOf('-')
  return end < 0 ? stream : stream.slice(0, end)
}
