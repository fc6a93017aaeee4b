/**
 * Texts that come again and again, by their UTF-8: what was decoded once is handed out again, the very same string, which is
 * quicker than decoding it and quicker to look up in a map, as its hash is known. One entry a place: a text that falls on
 * another's place replaces it, so that the cache has a bound and needs no order.
 */
import type { Bytes } from './bytes.ts'

/** Longer texts are decoded each time. */
const bytesMax = 64

export class TextCache {
  readonly #places: number
  readonly #keys: (Bytes | undefined)[]
  readonly #texts: string[]

  /** `textsMax` is a power of two. */
  constructor(textsMax: number) {
    this.#places = textsMax
    this.#keys = Array.from({ length: textsMax }, () => undefined)
    this.#texts = Array.from({ length: textsMax }, () => '')
  }

  /** The text at `from`, of `length` bytes; `decode` is asked where it is not known, and may throw. */
  get(bytes: Bytes, from: number, length: number, decode: (bytes: Bytes) => string): string {
    if (length > bytesMax) return decode(bytes.subarray(from, from + length))
    const place = this.#place(bytes, from, length)
    const key = this.#keys[place]
    if (key !== undefined && key.length === length && isAt(key, bytes, from)) return this.#texts[place]!
    const own = bytes.slice(from, from + length)
    const text = decode(own)
    this.#keys[place] = own
    this.#texts[place] = text
    return text
  }

  /** FNV-1a. Whoever chooses texts that fall on one place gains nothing but having them decoded. */
  #place(bytes: Bytes, from: number, length: number): number {
    let hash = 0x811c_9dc5
    for (let at = from; at < from + length; at++) hash = Math.imul(hash ^ bytes[at]!, 0x0100_0193)
    return (hash ^ (hash >>> 15)) & (this.#places - 1)
  }
}

function isAt(key: Bytes, bytes: Bytes, from: number): boolean {
  for (let at = 0; at < key.length; at++) if (key[at] !== bytes[from + at]) return false
  return true
}
