/**
 * A decorator that makes any Transport worse, as a `Faults` table says: it loses, doubles, delays and reorders what this
 * node sends, and cuts links. It works at the sender, so a whole cluster of real processes is covered when each decorates
 * its own transport. A frame that nothing is wrong with goes straight through, in order and in the same turn.
 *
 * Frames that wait are held here, at most `heldBytesMax`; above it they are dropped and counted, as a full queue does.
 */
import type { Bytes } from '@synod/codec'
import type { NodeId } from '../node-id.ts'
import type { Scheduler } from '../scheduler.ts'
import { systemScheduler } from '../system-scheduler.ts'
import { TransportError, type Transport, type TransportFactory } from '../transport.ts'
import type { Faults } from './faults.ts'

export interface FaultyTransportOptions {
  /** The node that sends through it. */
  readonly self: NodeId
  readonly faults: Faults
  /** Whom it may send to: then a frame to anybody else is refused at once, also where it would be lost or late. */
  readonly peers?: ReadonlySet<NodeId>
  /** Default: the system's. */
  readonly scheduler?: Scheduler
  /** What delayed frames may occupy, in bytes (64 are added to each frame's length). Default 256 MiB. */
  readonly heldBytesMax?: number
}

const heldOverheadBytes = 64

export function faultyTransport(inner: Transport, options: FaultyTransportOptions): Transport {
  return new FaultyTransport(inner, options)
}

/** The same for a whole package: every transport that the factory opens is decorated. */
export function faultyFactory(factory: TransportFactory, options: Omit<FaultyTransportOptions, 'self' | 'peers'>): TransportFactory {
  return {
    name: `${factory.name} with faults`,
    async open(open) {
      const peers = new Set(open.addresses.keys())
      peers.delete(open.self)
      return faultyTransport(await factory.open(open), { ...options, self: open.self, peers })
    },
  }
}

class FaultyTransport implements Transport {
  /** The inner one's, if it has any: what is lost here is lost before any link. */
  readonly peerCounters?: NonNullable<Transport['peerCounters']>
  readonly #inner: Transport
  readonly #self: NodeId
  readonly #faults: Faults
  readonly #peers: ReadonlySet<NodeId> | undefined
  readonly #scheduler: Scheduler
  readonly #heldBytesMax: number
  readonly #held = new Set<() => void>()
  readonly #counts = { droppedByFault: 0, droppedByCut: 0, droppedHeldFull: 0, doubledByFault: 0, delayedByFault: 0 }
  #heldBytes = 0
  #closed = false

  constructor(inner: Transport, { self, faults, peers, scheduler, heldBytesMax }: FaultyTransportOptions) {
    this.#inner = inner
    if (inner.peerCounters !== undefined) this.peerCounters = inner.peerCounters.bind(inner)
    this.#self = self
    this.#faults = faults
    this.#peers = peers
    this.#scheduler = scheduler ?? systemScheduler
    this.#heldBytesMax = heldBytesMax ?? 256 * 1024 * 1024
  }

  get frameBytesMax(): number {
    return this.#inner.frameBytesMax
  }

  send(to: NodeId, frame: Bytes): void {
    if (this.#closed) return
    if (!this.#faults.active) return this.#inner.send(to, frame)
    // A frame that is lost or late must not hide a bug above: what the inner transport would refuse is refused here.
    if (this.#peers?.has(to) === false) throw TransportError.unknownPeer(this.#self, to)
    if (frame.length > this.frameBytesMax) throw TransportError.frameTooLarge(to, frame.length, this.frameBytesMax)
    const delays = this.#faults.fate(this.#self, to, frame)
    if (delays.length === 0) this.#drop(to, frame)
    if (delays.length > 1) this.#counts.doubledByFault++
    for (const delay of delays) {
      if (delay === 0) this.#inner.send(to, frame)
      else this.#hold(to, frame, delay)
    }
  }

  onFrame(listener: (from: NodeId, frame: Bytes) => void): void {
    this.#inner.onFrame(listener)
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#inner.counters(), ...this.#counts }
  }

  close(): Promise<void> {
    this.#closed = true
    for (const cancel of this.#held) cancel()
    this.#held.clear()
    this.#heldBytes = 0
    return this.#inner.close()
  }

  #drop(to: NodeId, frame: Bytes): void {
    if (this.#faults.isCut(this.#self, to, frame)) this.#counts.droppedByCut++
    else this.#counts.droppedByFault++
  }

  #hold(to: NodeId, frame: Bytes, delay: number): void {
    const bytes = frame.length + heldOverheadBytes
    if (this.#heldBytes + bytes > this.#heldBytesMax) {
      this.#counts.droppedHeldFull++
      return
    }
    this.#heldBytes += bytes
    this.#counts.delayedByFault++
    const cancel = this.#scheduler.at(this.#scheduler.now() + delay, () => {
      this.#held.delete(cancel)
      this.#heldBytes -= bytes
      if (this.#faults.isCut(this.#self, to, frame)) this.#counts.droppedByCut++
      else this.#inner.send(to, frame)
    })
    this.#held.add(cancel)
  }
}
