/**
 * Appends fixed-width big-endian numbers and length-prefixed bytes to a growing buffer. Numbers out of range throw a
 * RangeError: a value that cannot be written is a bug of the caller, never silently cut.
 */
import type { Bytes } from './bytes.ts'

const encoder = new TextEncoder()

export class ByteWriter {
  #buffer: Uint8Array
  #view: DataView
  #length = 0

  constructor(initialBytes = 256) {
    this.#buffer = new Uint8Array(Math.max(16, initialBytes))
    this.#view = new DataView(this.#buffer.buffer)
  }

  get length(): number {
    return this.#length
  }

  u8(value: number): this {
    check(value, 0xff)
    const at = this.#grow(1)
    this.#buffer[at] = value
    return this
  }

  u16(value: number): this {
    check(value, 0xffff)
    const at = this.#grow(2)
    this.#view.setUint16(at, value)
    return this
  }

  u32(value: number): this {
    check(value, 0xffff_ffff)
    const at = this.#grow(4)
    this.#view.setUint32(at, value)
    return this
  }

  /** An integer from 0 to 2^53 - 1 in eight bytes: slots, positions, milliseconds. */
  u53(value: number): this {
    check(value, Number.MAX_SAFE_INTEGER)
    const at = this.#grow(8)
    this.#view.setUint32(at, Math.floor(value / 0x1_0000_0000))
    this.#view.setUint32(at + 4, value >>> 0)
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
    return this.u32(bytes.length).raw(bytes)
  }

  /** A 32-bit length in bytes, then UTF-8. Text with a lone surrogate has no UTF-8: a RangeError, as it would come back altered. */
  string(text: string): this {
    if (!text.isWellFormed()) throw new RangeError('text with a lone surrogate cannot be written as UTF-8')
    const room = text.length * 3
    const at = this.#grow(4 + room)
    const { written } = encoder.encodeInto(text, this.#buffer.subarray(at + 4))
    this.#view.setUint32(at, written)
    this.#length = at + 4 + written
    return this
  }

  /** Over what was written at `at`: for a length that is known only behind what it counts. */
  setU32(at: number, value: number): this {
    check(value, 0xffff_ffff)
    if (!(at >= 0 && at + 4 <= this.#length)) throw new RangeError(`four bytes at ${at} of ${this.#length}`)
    this.#view.setUint32(at, value)
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
      this.#view = new DataView(larger.buffer)
    }
    this.#length = needed
    return at
  }
}

function check(value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) throw new RangeError(`not an integer in 0..${max}: ${value}`)
}
