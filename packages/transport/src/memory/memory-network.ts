/**
 * A network inside one process: every frame sent in a turn is delivered in a later one, in the order of sending, by the
 * Scheduler, so that with a virtual scheduler a run is decided by its seed. It behaves as TCP does where an upper layer
 * could notice: a place (address) has one listener, a frame to a place where nobody is, or somebody else, is dropped and
 * counted, each link's queue has a bound, and a closed transport is silent at once.
 *
 * Frames are handed over by reference: a sender that changes one after sending breaks its receiver, here as there.
 */
import type { NodeId } from '../node-id.ts'
import type { Scheduler } from '../scheduler.ts'
import { systemScheduler } from '../system-scheduler.ts'
import { TransportError, type Transport, type TransportFactory, type TransportOptions } from '../transport.ts'
import { Faults } from './faults.ts'
import { faultyTransport } from './faulty-transport.ts'
import { MemoryTransport, type Parcel } from './memory-transport.ts'

export interface MemoryNetworkOptions {
  /** Default: the system's. */
  readonly scheduler?: Scheduler
  /** Decides the fates of frames when `faults` is not given. Default 1. */
  readonly seed?: number | string
  /** Default: a table of its own, in which nothing is wrong until it is set. */
  readonly faults?: Faults
  /** Default 4 MiB. */
  readonly frameBytesMax?: number
  /** What may wait on one link (64 bytes are added to each frame's length); newer frames are dropped. Default 32 MiB. */
  readonly queueBytesMax?: number
}

export interface MemoryNetwork {
  readonly faults: Faults
  /** A node among `members`, at the place of its own name. Throws a TransportError. */
  transport(self: NodeId, members: Iterable<NodeId>): Transport
  /** For whoever composes by factory: an address is any text, the same for all nodes. It has no options. */
  readonly factory: TransportFactory
}

export function memoryNetwork(options: MemoryNetworkOptions = {}): MemoryNetwork {
  const scheduler = options.scheduler ?? systemScheduler
  const faults = options.faults ?? new Faults({ seed: options.seed ?? 1 })
  const places = new Map<string, MemoryTransport>()
  let onTheWay: Parcel[] = []

  /** What is sent while frames are delivered belongs to the next turn; a listener that throws costs nobody else a frame. */
  function deliver(): void {
    const parcels = onTheWay
    onTheWay = []
    let delivered = 0
    try {
      for (const parcel of parcels) {
        delivered++
        parcel.from.arrived(parcel, places.get(parcel.address))
      }
    } finally {
      if (delivered < parcels.length) {
        if (onTheWay.length === 0) scheduler.defer(deliver)
        onTheWay = [...parcels.slice(delivered), ...onTheWay]
      }
    }
  }

  function open({ self, addresses, options: own }: TransportOptions): Transport {
    if (own !== undefined && (typeof own !== 'object' || own === null || Object.keys(own).length > 0))
      throw new TransportError('invalid_options', 'the memory transport has no options: leave transport.options out')
    const address = addresses.get(self)
    if (address === undefined)
      throw new TransportError('invalid_options', `${self} is not among the addresses: add it, or correct the node's id`)
    if (places.has(address))
      throw new TransportError('address_in_use', `${address} is taken: close the transport of ${self} that is there first`)
    const transport = new MemoryTransport({
      self,
      addresses,
      frameBytesMax: options.frameBytesMax ?? 4 * 1024 * 1024,
      queueBytesMax: options.queueBytesMax ?? 32 * 1024 * 1024,
      post(parcel) {
        if (onTheWay.push(parcel) === 1) scheduler.defer(deliver)
      },
      leave: () => places.delete(address),
    })
    places.set(address, transport)
    const peers = new Set(addresses.keys())
    peers.delete(self)
    return faultyTransport(transport, { self, faults, peers, scheduler })
  }

  return {
    faults,
    transport: (self, members) => open({ self, addresses: new Map([...members].map((member) => [member, member])) }),
    factory: { name: 'memory', open: async (open_) => open(open_) },
  }
}
