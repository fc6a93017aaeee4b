/**
 * The Transport port: opaque frames between nodes. A transport may lose, double and reorder frames, and may deliver one
 * late; it never alters one and never invents one. It names no remote procedure and keeps no promise about delivery, so
 * nothing above may wait for a frame for ever.
 */
import type { Bytes } from '@synod/codec'
import type { NodeId } from './node-id.ts'

export interface Transport {
  /** The largest frame `send` takes, in bytes. The layer above splits what is larger. It may change between turns: a server behind it has a limit of its own. */
  readonly frameBytesMax: number
  /**
   * Hands a frame over, without waiting. The bytes must not change afterwards. A frame to an unreachable node, or one
   * that finds the queue to its node full, is dropped and counted. A frame larger than `frameBytesMax`, or to a node
   * that is not a peer, throws a TransportError: that is a bug above.
   */
  send(to: NodeId, frame: Bytes): void
  /** Exactly one listener; frames that arrive before it is set are dropped. `from` is what the sender claims. */
  onFrame(listener: (from: NodeId, frame: Bytes) => void): void
  /**
   * Since opening: `framesSent` (taken by `send` and not dropped there), `framesReceived` (handed to the listener), one
   * name beginning with `dropped` for each reason to drop a frame, and whatever else the transport counts. Numbers only
   * grow; names become metric labels.
   */
  counters(): Readonly<Record<string, number>>
  /**
   * What of it belongs to one peer, by peer: the same names (`framesSent`, `bytesSent`, `framesReceived`, `dropped…`), and of now
   * `linked` (1 when the peer can be reached, as far as is known, else 0), `queueBytes` and `queueBytesMax`. Absent: it cannot tell.
   */
  peerCounters?(): ReadonlyMap<NodeId, Readonly<Record<string, number>>>
  /** Resolves when sockets and timers are gone. Idempotent; `send` afterwards does nothing. */
  close(): Promise<void>
}

export interface TransportOptions {
  readonly self: NodeId
  /** Where each member listens, this node included; the form of an address is the transport's own (`host:port` for TCP). */
  readonly addresses: ReadonlyMap<NodeId, string>
  /** What the config file says under `transport.options`; the factory validates it and throws a TransportError. */
  readonly options?: unknown
  /** Told, in words for an operator, of what only an operator can put right (a wrong address), seldom. Default: nobody. */
  readonly warn?: (message: string) => void
  /** Told when a peer can be reached, and when it no longer can; never twice the same. A transport without links never calls it. Default: nobody. */
  readonly onLink?: (peer: NodeId, state: 'up' | 'down') => void
}

/** A transport package exports one of these under the name `transport`. */
export interface TransportFactory {
  readonly name: string
  open(options: TransportOptions): Promise<Transport>
}

/** `address_in_use`, `invalid_options`, `frame_too_large`, `unknown_peer`: the message says what to do. */
export class TransportError extends Error {
  readonly code: 'address_in_use' | 'invalid_options' | 'frame_too_large' | 'unknown_peer' | 'unavailable'
  constructor(code: TransportError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'TransportError'
    this.code = code
  }

  static frameTooLarge(to: NodeId, frameBytes: number, frameBytesMax: number): TransportError {
    const message = `a frame of ${frameBytes} bytes to ${to}, where at most ${frameBytesMax} are allowed: split it first`
    return new TransportError('frame_too_large', message)
  }

  static unknownPeer(self: NodeId, to: NodeId): TransportError {
    const why = to === self ? 'is this node itself' : 'has no address here'
    return new TransportError('unknown_peer', `${self} cannot send to ${to}, which ${why}: send to configured peers only`)
  }
}
