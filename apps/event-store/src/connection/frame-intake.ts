/**
 * A frame is seen when it has come as a whole, and may be 16 MiB: until then its bytes are in memory and nobody has asked for
 * anything. They count as in flight like those of a body over HTTP. The first 64 KiB do not: that is what a socket may hold
 * anyway, and it makes up for what is not known exactly here (the heads of fragments).
 */
import type { BytesInFlight } from '../http/bytes-in-flight.ts'
import type { AwakeClock } from './awake-clock.ts'

const freeBytes = 65_536

export class FrameIntake {
  readonly #bytes: BytesInFlight
  readonly #clock: AwakeClock
  /** Arrived since the last whole frame. */
  #pending = 0
  #counted = 0
  /** Of the frames that ended in the chunk which is being read. */
  #ended = 0
  #since = 0

  constructor(bytes: BytesInFlight, clock: AwakeClock) {
    this.#bytes = bytes
    this.#clock = clock
  }

  /** Since when a large frame is on its way; undefined when none is. */
  get since(): number | undefined {
    return this.#counted > 0 ? this.#since : undefined
  }

  /** A frame of so many bytes is there, its head not counted. */
  onFrame(length: number): void {
    this.#ended += length + (length < 126 ? 6 : length < 65_536 ? 8 : 14)
    // From here on whoever uses the frame counts it.
    this.#count(0)
  }

  /** A chunk was read, and the frames that ended in it were told. Returns false when there is no room for so much. */
  onChunk(length: number): boolean {
    this.#pending += length - this.#ended
    if (this.#ended > 0) this.#pending = Math.min(length, Math.max(0, this.#pending))
    this.#ended = 0
    return this.#count(Math.max(0, this.#pending - freeBytes))
  }

  close(): void {
    this.#count(0)
  }

  #count(bytes: number): boolean {
    if (bytes > this.#counted) {
      if (!this.#bytes.take(bytes - this.#counted)) return false
      if (this.#counted === 0) this.#since = this.#clock.now
    } else this.#bytes.release(this.#counted - bytes)
    this.#counted = bytes
    return true
  }
}
