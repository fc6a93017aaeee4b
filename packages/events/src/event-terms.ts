/**
 * From the text of a type or a tag, as it stands in a record, to where its postings are collected, without decoding or hashing
 * it anew each time. One entry a place: a text that falls on another's place replaces it, and is hashed again when it comes
 * back; so the cache has a bound and needs no order, and what it holds changes nothing but the time that it takes. It begins small
 * and grows with the texts that it did not know.
 */
import type { Bytes } from '@synod/codec'
import type { RecentTerm } from './recent-term.ts'
import type { TermKind } from './terms.ts'

/** Powers of two. */
const termsCachedMin = 256
const termsCachedMax = 16_384
/** Longer texts are hashed each time. */
const bytesMax = 64

const basis: Readonly<Record<'type' | 'tag', number>> = { type: 0x811c_9dc5, tag: 0x4c95_7f2d }

export class EventTerms {
  /** Asked when a text is not known. */
  readonly #find: (kind: TermKind, bytes: Bytes, from: number, length: number) => RecentTerm
  #places = 0
  #misses = 0
  #texts = new Uint8Array(0)
  #lengths = new Int16Array(0)
  #kinds = new Uint8Array(0)
  #terms: (RecentTerm | undefined)[] = []

  constructor(find: (kind: TermKind, bytes: Bytes, from: number, length: number) => RecentTerm) {
    this.#find = find
    this.#begin(termsCachedMin)
  }

  /** The text of `length` bytes at `from`. */
  get(kind: 'type' | 'tag', bytes: Bytes, from: number, length: number): RecentTerm {
    if (length > bytesMax) return this.#find(kind, bytes, from, length)
    // FNV-1a. Whoever chooses texts that fall on one place gains nothing but having them hashed.
    let hash = basis[kind]
    for (let at = from, end = from + length; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x0100_0193)
    const place = (hash ^ (hash >>> 15)) & (this.#places - 1)
    const isTag = kind === 'tag' ? 1 : 0
    if (this.#lengths[place] === length && this.#kinds[place] === isTag && this.#isAt(place, bytes, from, length))
      return this.#terms[place]!
    return this.#put(place, kind, bytes, from, length)
  }

  #put(place: number, kind: 'type' | 'tag', bytes: Bytes, from: number, length: number): RecentTerm {
    const term = this.#find(kind, bytes, from, length)
    const own = place * bytesMax
    for (let at = 0; at < length; at++) this.#texts[own + at] = bytes[from + at]!
    this.#lengths[place] = length
    this.#kinds[place] = kind === 'tag' ? 1 : 0
    this.#terms[place] = term
    if (++this.#misses > this.#places && this.#places < termsCachedMax) this.#begin(this.#places * 8)
    return term
  }

  /** Anew, with nothing in it. */
  #begin(places: number): void {
    this.#places = Math.min(places, termsCachedMax)
    this.#misses = 0
    this.#texts = new Uint8Array(this.#places * bytesMax)
    this.#lengths = new Int16Array(this.#places).fill(-1)
    this.#kinds = new Uint8Array(this.#places)
    this.#terms = Array.from({ length: this.#places }, () => undefined)
  }

  #isAt(place: number, bytes: Bytes, from: number, length: number): boolean {
    const texts = this.#texts
    for (let at = place * bytesMax, other = from, end = at + length; at < end; at++, other++) if (texts[at] !== bytes[other]) return false
    return true
  }
}
