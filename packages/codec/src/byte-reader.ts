/**
 * Reads what ByteWriter wrote. Every length is checked against what is there before anything is allocated, so a hostile
 * length costs nothing; every failure is a MalformedError.
 */
import type { Bytes } from './bytes.ts'
import { MalformedError } from './malformed-error.ts'
import type { TextCache } from './text-cache.ts'

// `ignoreBOM` keeps a leading U+FEFF, which is part of the text here; without it the decoder silently removes it.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export class ByteReader {
  readonly #bytes: Bytes
  #at = 0

  constructor(bytes: Bytes) {
    this.#bytes = bytes
  }

  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#at
  }

  u8(): number {
    const at = this.#take(1)
    return this.#bytes[at]!
  }

  u16(): number {
    const at = this.#take(2)
    return (this.#bytes[at]! << 8) | this.#bytes[at + 1]!
  }

  u32(): number {
    return get32(this.#bytes, this.#take(4))
  }

  u53(): number {
    const at = this.#take(8)
    const high = get32(this.#bytes, at)
    if (high > 0x1f_ffff) throw new MalformedError(`a number above 2^53 at byte ${at}`)
    return high * 0x1_0000_0000 + get32(this.#bytes, at + 4)
  }

  bool(): boolean {
    const value = this.u8()
    if (value > 1) throw new MalformedError(`a boolean that is ${value}`)
    return value === 1
  }

  /** A view into the bytes that were given, not a copy. */
  raw(length: number): Bytes {
    const at = this.#take(length)
    return this.#bytes.subarray(at, at + length)
  }

  bytes(max = Number.MAX_SAFE_INTEGER): Bytes {
    const length = this.u32()
    if (length > max) throw new MalformedError(`${length} bytes where at most ${max} are allowed`)
    return this.raw(length)
  }

  /** `cache`: for texts that come again and again, such as names. */
  string(max = Number.MAX_SAFE_INTEGER, cache?: TextCache): string {
    const length = this.u32()
    if (length > max) throw new MalformedError(`${length} bytes where at most ${max} are allowed`)
    if (length === 0) return ''
    const at = this.#take(length)
    if (cache !== undefined) return cache.get(this.#bytes, at, length, decoded)
    return decoded(this.#bytes.subarray(at, at + length))
  }

  /**
   * A count of things of at least `itemBytesMin` bytes each (1 or more: things of no bytes would make any count
   * plausible): one that cannot fit into what is left is refused.
   */
  count(itemBytesMin = 1): number {
    const count = this.u32()
    if (count * itemBytesMin > this.remaining) throw new MalformedError(`${count} items in ${this.remaining} bytes`)
    return count
  }

  /** Nothing may follow. */
  end(): void {
    if (this.remaining > 0) throw new MalformedError(`${this.remaining} bytes too many`)
  }

  #take(length: number): number {
    const at = this.#at
    // Written so that NaN and a negative length, which a caller may have computed, are refused too.
    if (!(length >= 0 && length <= this.#bytes.length - at))
      throw new MalformedError(`${length} bytes wanted at ${at}, ${this.remaining} left`)
    this.#at = at + length
    return at
  }
}

function decoded(bytes: Bytes): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw new MalformedError('text that is not UTF-8')
  }
}

// Single loads, within what was taken: a DataView would be one more object for every reader.
function get32(bytes: Bytes, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}
