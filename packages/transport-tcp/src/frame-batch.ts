/**
 * The frames sent to one peer in one turn, as the bytes to write: length u32, then the frame. Small frames are copied
 * behind each other into slabs, so a thousand of them are a handful of buffers; a large one is passed on as it is.
 *
 * A slab is written once from front to back and never again, so what a socket still holds stays unchanged.
 */
import type { Bytes } from '@synod/codec'

/** A length no frame can have: "are you there?" */
export const pingLength = 0xffff_ffff

const headerBytes = 4
const slabBytes = 64 * 1024
/** From this size on, a copy costs more than a buffer of its own in the write. */
const copyBytesMax = 4096

export class FrameBatch {
  #parts: Bytes[] = []
  #slab: Buffer = Buffer.allocUnsafeSlow(slabBytes)
  /** What of the slab belongs to parts already, and where the next byte goes. */
  #taken = 0
  #at = 0
  #bytes = 0
  #frames = 0

  get frames(): number {
    return this.#frames
  }

  /** What `take` would give, in bytes. */
  get bytes(): number {
    return this.#bytes
  }

  static sizeOf(frame: Bytes): number {
    return headerBytes + frame.length
  }

  add(frame: Bytes): void {
    const copied = frame.length <= copyBytesMax
    this.#room(headerBytes + (copied ? frame.length : 0))
    this.#at = this.#slab.writeUInt32BE(frame.length, this.#at)
    if (copied) {
      this.#slab.set(frame, this.#at)
      this.#at += frame.length
    } else {
      this.#cut()
      this.#parts.push(frame)
    }
    this.#bytes += headerBytes + frame.length
    this.#frames++
  }

  addPing(): void {
    this.#room(headerBytes)
    this.#at = this.#slab.writeUInt32BE(pingLength, this.#at)
    this.#bytes += headerBytes
  }

  /** Everything added since the last call, in order. */
  take(): readonly Bytes[] {
    this.#cut()
    const parts = this.#parts
    this.#parts = []
    this.#bytes = this.#frames = 0
    return parts
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= slabBytes) return
    this.#cut()
    this.#slab = Buffer.allocUnsafeSlow(slabBytes)
    this.#taken = this.#at = 0
  }

  #cut(): void {
    if (this.#at > this.#taken) this.#parts.push(this.#slab.subarray(this.#taken, this.#at))
    this.#taken = this.#at
  }
}
