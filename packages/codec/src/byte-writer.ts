/**
 * Appends fixed-width big-endian numbers and length-prefixed bytes to a growing buffer. Numbers out of range throw a
 * RangeError: a value that cannot be written is a bug of the caller, never silently cut.
 */
import type { Bytes } from './bytes.ts'

const encoder = new TextEncoder()
/** Up to here a loop over ASCII is quicker than a call of the encoder. */
const asciiCharactersMax = 64

export class ByteWriter {
  #buffer: Uint8Array
  #length = 0

  constructor(initialBytes = 256) {
    this.#buffer = new Uint8Array(initialBytes < 16 ? 16 : initialBytes)
  }

  get length(): number {
    return this.#length
  }

  u8(value: number): this {
    if ((value & 0xff) !== value) throw outOfRange(value, 0xff)
    const at = this.#grow(1)
    this.#buffer[at] = value
    return this
  }

  u16(value: number): this {
    if ((value & 0xffff) !== value) throw outOfRange(value, 0xffff)
    const at = this.#grow(2)
    const buffer = this.#buffer
    buffer[at] = value >>> 8
    buffer[at + 1] = value
    return this
  }

  u32(value: number): this {
    checkU32(value)
    const at = this.#grow(4)
    put32(this.#buffer, at, value)
    return this
  }

  /** An integer from 0 to 2^53 - 1 in eight bytes: slots, positions, milliseconds. */
  u53(value: number): this {
    if (!(value >= 0 && Number.isSafeInteger(value))) throw outOfRange(value, Number.MAX_SAFE_INTEGER)
    const at = this.#grow(8)
    put32(this.#buffer, at, value > 0xffff_ffff ? Math.floor(value / 0x1_0000_0000) : 0)
    put32(this.#buffer, at + 4, value >>> 0)
    return this
  }

  bool(value: boolean): this {
    return this.u8(value ? 1 : 0)
  }

  /** Bytes without a length: the reader must know it. */
  raw(bytes: Bytes): this {
    const at = this.#grow(bytes.length)
    this.#buffer.set(bytes, at)
    return this
  }

  /** A 32-bit length, then the bytes. */
  bytes(bytes: Bytes): this {
    const { length } = bytes
    checkU32(length)
    const at = this.#grow(4 + length)
    put32(this.#buffer, at, length)
    this.#buffer.set(bytes, at + 4)
    return this
  }

  /** A 32-bit length in bytes, then UTF-8. Text with a lone surrogate has no UTF-8: a RangeError, as it would come back altered. */
  string(text: string): this {
    const { length } = text
    if (length <= asciiCharactersMax) {
      const at = this.#grow(4 + length)
      if (putAscii(this.#buffer, at + 4, text)) {
        put32(this.#buffer, at, length)
        return this
      }
      this.#length = at
    }
    if (!text.isWellFormed()) throw new RangeError('text with a lone surrogate cannot be written as UTF-8')
    const at = this.#grow(4 + length * 3)
    const { written } = encoder.encodeInto(text, this.#buffer.subarray(at + 4))
    put32(this.#buffer, at, written)
    this.#length = at + 4 + written
    return this
  }

  /** Over what was written at `at`: for a length that is known only behind what it counts. */
  setU32(at: number, value: number): this {
    checkU32(value)
    if (!(at >= 0 && at + 4 <= this.#length)) throw new RangeError(`four bytes at ${at} of ${this.#length}`)
    put32(this.#buffer, at, value)
    return this
  }

  /** Forgets what was written from `length` on. */
  truncate(length: number): this {
    if (!(length >= 0 && length <= this.#length)) throw new RangeError(`cannot cut ${this.#length} bytes to ${length}`)
    this.#length = length
    return this
  }

  /** What was written so far, as a view: write nothing more afterwards. */
  finish(): Bytes {
    return this.#buffer.subarray(0, this.#length)
  }

  #grow(bytes: number): number {
    const at = this.#length
    const needed = at + bytes
    if (needed > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(needed, this.#buffer.length * 2))
      larger.set(this.#buffer.subarray(0, at))
      this.#buffer = larger
    }
    this.#length = needed
    return at
  }
}

function checkU32(value: number): void {
  if (value >>> 0 !== value) throw outOfRange(value, 0xffff_ffff)
}

function outOfRange(value: number, max: number): RangeError {
  return new RangeError(`not an integer in 0..${max}: ${value}`)
}

// Single stores: a DataView would be one more object for every writer.
function put32(buffer: Uint8Array, at: number, value: number): void {
  buffer[at] = value >>> 24
  buffer[at + 1] = value >>> 16
  buffer[at + 2] = value >>> 8
  buffer[at + 3] = value
}

/** False when the text is not ASCII, and then some of it was written. */
function putAscii(buffer: Uint8Array, at: number, text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code > 0x7f) return false
    buffer[at + index] = code
  }
  return true
}
