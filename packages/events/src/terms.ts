/**
 * What an event can be found by: its type, the category of its stream, each of its tags. A term is the first 16 bytes of
 * SHA-256(kind byte, text), so that every term has the same length and none has to be numbered first; two texts with one term
 * would need 2^64 attempts. Here it is a string of 16 characters, one a byte, as that is what a Map finds quickest.
 */
import { createHash } from 'node:crypto'

export type Term = string

export type TermKind = 'type' | 'category' | 'tag'

const kindBytes: Readonly<Record<TermKind, number>> = { type: 1, category: 2, tag: 3 }
/** Of each kind; when it is full it begins anew. */
const cachedMax = 16_384
const cached: Readonly<Record<TermKind, Map<string, Term>>> = { type: new Map(), category: new Map(), tag: new Map() }

export function termOf(kind: TermKind, text: string): Term {
  const known = cached[kind].get(text)
  if (known !== undefined) return known
  const term = createHash('sha256').update(Uint8Array.of(kindBytes[kind])).update(text).digest().subarray(0, 16).toString('latin1')
  if (cached[kind].size >= cachedMax) cached[kind].clear()
  cached[kind].set(text, term)
  return term
}

/** The part of a stream's name before the first `-`; the whole name when there is none. */
export function categoryOf(stream: string): string {
  const end = stream.indexOf('-')
  return end < 0 ? stream : stream.slice(0, end)
}
