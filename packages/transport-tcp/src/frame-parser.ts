/**
 * Cuts a byte stream into frames. A frame that lies whole in a chunk is a view of it, not a copy; one that spans chunks is
 * gathered in a buffer that grows as its bytes arrive, never ahead of them by more than a factor, so a length that lies
 * costs nothing.
 */
import { MalformedError, type Bytes } from '@synod/codec'
import { pingLength } from './frame-batch.ts'

const gatherBytesInitial = 256 * 1024

export interface FrameHandler {
  /** Returns false to stop: the rest of the chunk is forgotten. */
  onFrame(frame: Bytes): boolean
  onPing(): void
}

export class FrameParser {
  readonly #frameBytesMax: number
  readonly #handler: FrameHandler
  /** Of a length of which not all four bytes were there. */
  #header = 0
  #headerBytes = 0
  /** Of a frame of which not all bytes were there: its length, the buffer, and how much of it is filled. */
  #wanted = 0
  #gathered: Uint8Array | undefined
  #filled = 0

  constructor(frameBytesMax: number, handler: FrameHandler) {
    this.#frameBytesMax = frameBytesMax
    this.#handler = handler
  }

  /** Throws a MalformedError at a length that no peer sends; the stream cannot be read on from there. */
  push(chunk: Bytes): void {
    let at = 0
    if (this.#gathered !== undefined) {
      at = this.#gather(chunk, 0)
      if (this.#filled < this.#wanted) return
      const frame = this.#gathered.subarray(0, this.#wanted)
      this.#gathered = undefined
      if (!this.#handler.onFrame(frame)) return
    }
    while (at < chunk.length) {
      if (this.#headerBytes === 0 && chunk.length - at >= 4) {
        this.#header = ((chunk[at]! << 24) | (chunk[at + 1]! << 16) | (chunk[at + 2]! << 8) | chunk[at + 3]!) >>> 0
        at += 4
      } else {
        this.#header = ((this.#header << 8) | chunk[at++]!) >>> 0
        if (++this.#headerBytes < 4) continue
        this.#headerBytes = 0
      }
      const length = this.#header
      this.#header = 0
      if (length === pingLength) {
        this.#handler.onPing()
        continue
      }
      if (length > this.#frameBytesMax)
        throw new MalformedError(`a frame of ${length} bytes where at most ${this.#frameBytesMax} are allowed`)
      if (chunk.length - at < length) {
        this.#wanted = length
        this.#filled = 0
        this.#gathered = new Uint8Array(Math.min(length, gatherBytesInitial))
        this.#gather(chunk, at)
        return
      }
      // A plain Uint8Array, whatever the chunk is: `slice` of a Buffer means something else.
      const frame = new Uint8Array(chunk.buffer, chunk.byteOffset + at, length)
      at += length
      if (!this.#handler.onFrame(frame)) return
    }
  }

  /** Copies from `at` what the frame still wants; returns where the rest begins. */
  #gather(chunk: Bytes, at: number): number {
    const end = Math.min(chunk.length, at + this.#wanted - this.#filled)
    const filled = this.#filled + end - at
    let buffer = this.#gathered!
    if (filled > buffer.length) {
      const larger = new Uint8Array(Math.min(this.#wanted, Math.max(filled, buffer.length * 4)))
      larger.set(buffer.subarray(0, this.#filled))
      this.#gathered = buffer = larger
    }
    buffer.set(chunk.subarray(at, end), this.#filled)
    this.#filled = filled
    return end
  }
}
