/**
 * A frame is one binary message of the WebSocket and holds one message or more, so that what is said in one turn of the event
 * loop costs one frame:
 *
 *   frame   = message…
 *   message = kind u8 · request u32 · length u32 · body
 *
 * Numbers are big-endian; a string or bytes is a u32 length, then the bytes.
 */
import { ByteWriter, type Bytes } from '@synod/codec'
import type { ClientMessage, NodeMessage } from './messages.ts'
import { writeClientMessage } from './client-message-codec.ts'
import { writeNodeMessage } from './node-message-codec.ts'

/** Of one frame. Whoever receives a larger one closes the connection. */
export const frameBytesMax = 16 * 1024 * 1024

/** Collects the messages of one turn into one frame. */
export class FrameWriter<M> {
  readonly #write: (writer: ByteWriter, message: M) => void
  #writer = new ByteWriter(firstFrameBytes)

  constructor(write: (writer: ByteWriter, message: M) => void) {
    this.#write = write
  }

  /** Bytes collected so far. */
  get length(): number {
    return this.#writer.length
  }

  /** @throws RangeError for a value that has no encoding (a caller's mistake); the frame is then as it was before. */
  add(message: M): void {
    const before = this.#writer.length
    try {
      this.#write(this.#writer, message)
    } catch (error) {
      this.#writer.truncate(before)
      throw error
    }
  }

  /** The frame, in a buffer of its own; the next one begins empty, and has the room that this one needed. */
  take(): Bytes {
    const frame = this.#writer.finish()
    this.#writer = new ByteWriter(Math.max(firstFrameBytes, Math.min(frame.length, roomBytesMax)))
    return frame
  }
}

const firstFrameBytes = 512
const roomBytesMax = 64 * 1024

export function clientFrameWriter(): FrameWriter<ClientMessage> {
  return new FrameWriter(writeClientMessage)
}

export function nodeFrameWriter(): FrameWriter<NodeMessage> {
  return new FrameWriter(writeNodeMessage)
}
