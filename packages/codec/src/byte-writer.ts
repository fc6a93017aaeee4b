/**
 * Appends fixed-width big-endian numbers and length-prefixed bytes to a growing buffer. Numbers out of range throw a
 * RangeError: a value that cannot be written is a bug of the caller, never silently cut.
 */
import type { Bytes } from './bytes.ts'

const encoder = new TextEncoder()
/** Up to here a loop over ASCII is quicker than a call of the encoder. */
const asciiCharactersMax = 64
/** What brief writers share, and the most that one of them takes of it. */
const sharedBytes = 16 * 1024
const briefBytesMax = 1024

let shared = new Uint8Array(sharedBytes)
let sharedAt = 0

export class ByteWriter {
  #buffer: Uint8Array
  /** In the buffer: where this writer's bytes begin, where the next goes, where its room ends. */
  #start = 0
  #at = 0
  #end: number

  constructor(initialBytes = 256, isBrief = false) {
    const bytes = initialBytes < 16 ? 16 : initialBytes
    if (isBrief && bytes <= briefBytesMax) {
      if (sharedAt + bytes > sharedBytes) {
        shared = new Uint8Array(sharedBytes)
        sharedAt = 0
      }
      this.#buffer = shared
      this.#start = this.#at = sharedAt
      this.#end = sharedAt += bytes
    } else {
      this.#buffer = new Uint8Array(bytes)
      this.#end = bytes
    }
  }

  /**
   * For a result that lives no longer than its neighbours: they share a buffer, because a buffer each costs more than what is
   * written into it. Whoever keeps such a result keeps all 16 KiB. `bytes` is what it will take at most; more is only slower.
   */
  static brief(bytes: number): ByteWriter {
    return new ByteWriter(bytes, true)
  }

  get length(): number {
    return this.#at - this.#start
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
      this.#at = at
    }
    if (!text.isWellFormed()) throw new RangeError('text with a lone surrogate cannot be written as UTF-8')
    const at = this.#grow(4 + length * 3)
    const { written } = encoder.encodeInto(text, this.#buffer.subarray(at + 4, this.#at))
    put32(this.#buffer, at, written)
    this.#at = at + 4 + written
    return this
  }

  /** Over what was written at `at`: for a length that is known only behind what it counts. */
  setU32(at: number, value: number): this {
    checkU32(value)
    if (!(at >= 0 && at + 4 <= this.length)) throw new RangeError(`four bytes at ${at} of ${this.length}`)
    put32(this.#buffer, this.#start + at, value)
    return this
  }

  /** Forgets what was written from `length` on. */
  truncate(length: number): this {
    if (!(length >= 0 && length <= this.length)) throw new RangeError(`cannot cut ${this.length} bytes to ${length}`)
    this.#at = this.#start + length
    return this
  }

  /** What was written so far, as a view: write nothing more afterwards. */
  finish(): Bytes {
    // The rest of the room, for the next brief writer.
    if (this.#buffer === shared && this.#end === sharedAt) this.#end = sharedAt = this.#at
    return this.#buffer.subarray(this.#start, this.#at)
  }

  #grow(bytes: number): number {
    if (this.#at + bytes > this.#end) this.#move(bytes)
    const at = this.#at
    this.#at = at + bytes
    return at
  }

  /** To a larger buffer of its own. */
  #move(bytes: number): void {
    const { length } = this
    const larger = new Uint8Array(Math.max(length + bytes, (this.#end - this.#start) * 2))
    larger.set(this.#buffer.subarray(this.#start, this.#at))
    this.#buffer = larger
    this.#start = 0
    this.#at = length
    this.#end = larger.length
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
