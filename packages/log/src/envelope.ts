import type { Bytes } from '@synod/codec'
import type { Slot } from './slot.ts'

/**
 * A command on its way through the log; its identity travels with it. (session, sequence) names one command for ever: it
 * is executed at most once, however often it is offered (Ongaro, "Consensus: Bridging Theory and Practice", 6.3).
 */
export interface Envelope {
  /** The version of `body`'s form. A machine halts on one that it does not know, it never skips. */
  readonly version: number
  /** The session's id, which is the slot that opened it; 0 in a command that opens a session. */
  readonly session: Slot
  /** From 1 within a session. */
  readonly sequence: number
  /** The client has the answers of all sequences below this one: they are forgotten. */
  readonly floor: number
  /** Who asks; empty when nobody is named. At most 256 bytes. */
  readonly principal: string
  /** The command itself, the machine's own form. */
  readonly body: Bytes
  /**
   * Parts of the command that are read back one by one (an event each). Decoded blobs are views into
   * their entry, so that `blob.byteOffset - entry.byteOffset` is where to find them again.
   */
  readonly blobs: readonly Bytes[]
}
