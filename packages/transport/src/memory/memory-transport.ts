import type { Bytes } from '@synod/codec'
import type { NodeId } from '../node-id.ts'
import { TransportError, type Transport } from '../transport.ts'

/** A frame on its way. `bytes` is what it occupies in its link's queue. */
export interface Parcel {
  readonly from: MemoryTransport
  readonly to: NodeId
  readonly address: string
  readonly frame: Bytes
  readonly bytes: number
}

interface MemoryTransportOptions {
  readonly self: NodeId
  readonly addresses: ReadonlyMap<NodeId, string>
  readonly frameBytesMax: number
  readonly queueBytesMax: number
  readonly post: (parcel: Parcel) => void
  readonly leave: () => void
}

const parcelOverheadBytes = 64

/** One node's end of a memory network. */
export class MemoryTransport implements Transport {
  readonly frameBytesMax: number
  readonly #options: MemoryTransportOptions
  readonly #queuedBytes = new Map<NodeId, number>()
  readonly #counts = {
    framesSent: 0,
    framesReceived: 0,
    droppedQueueFull: 0,
    droppedUnreachable: 0,
    droppedWrongAddress: 0,
    droppedNoListener: 0,
  }
  #listener: ((from: NodeId, frame: Bytes) => void) | undefined
  #closed = false

  constructor(options: MemoryTransportOptions) {
    this.#options = options
    this.frameBytesMax = options.frameBytesMax
  }

  get self(): NodeId {
    return this.#options.self
  }

  send(to: NodeId, frame: Bytes): void {
    if (this.#closed) return
    const { self, addresses, queueBytesMax, post } = this.#options
    const address = addresses.get(to)
    if (address === undefined || to === self) throw TransportError.unknownPeer(self, to)
    if (frame.length > this.frameBytesMax) throw TransportError.frameTooLarge(to, frame.length, this.frameBytesMax)
    const bytes = frame.length + parcelOverheadBytes
    const queued = (this.#queuedBytes.get(to) ?? 0) + bytes
    if (queued > queueBytesMax) {
      this.#counts.droppedQueueFull++
      return
    }
    this.#queuedBytes.set(to, queued)
    this.#counts.framesSent++
    post({ from: this, to, address, frame, bytes })
  }

  onFrame(listener: (from: NodeId, frame: Bytes) => void): void {
    this.#listener = listener
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counts }
  }

  close(): Promise<void> {
    if (!this.#closed) this.#options.leave()
    this.#closed = true
    return Promise.resolve()
  }

  /** The network's side: a parcel of this sender has reached the place it was sent to, and who is there, if anybody. */
  arrived(parcel: Parcel, there: MemoryTransport | undefined): void {
    this.#queuedBytes.set(parcel.to, (this.#queuedBytes.get(parcel.to) ?? 0) - parcel.bytes)
    if (there === undefined) this.#counts.droppedUnreachable++
    else if (there.self !== parcel.to) this.#counts.droppedWrongAddress++
    else there.#receive(this.self, parcel.frame)
  }

  #receive(from: NodeId, frame: Bytes): void {
    if (this.#listener === undefined) {
      this.#counts.droppedNoListener++
      return
    }
    this.#counts.framesReceived++
    this.#listener(from, frame)
  }
}
