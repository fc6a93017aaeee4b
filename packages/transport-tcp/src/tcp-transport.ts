/**
 * The Transport over TCP. One connection for each direction: a node dials every peer and writes its frames there, and reads
 * the peer's frames from the connection that the peer dialled. One connection a pair would need a rule for who dials, who
 * wins when both do, and what becomes of a second instance of a node; with two there is nothing to agree on, each side
 * notices and mends its own way out, and a link that is broken in one direction only loses that direction. It costs one
 * more socket a pair and acknowledgements that do not ride on data.
 *
 * Frames sent from one callback leave together in one write: whoever sends many collects its turn before. A frame is never kept for later: without a
 * connection it is dropped, because a frame from before an interruption helps no protocol.
 */
import type { Bytes } from '@synod/codec'
import { TransportError, type NodeId, type Transport, type TransportFactory, type TransportOptions } from '@synod/transport'
import { checkNodeId, parseAddress, type Address } from './address.ts'
import { addUp, countersFromZero, peerCountersFromZero, type PeerCounters } from './counters.ts'
import { Incoming } from './incoming.ts'
import { OutgoingLink } from './outgoing-link.ts'
import { SeldomWarning } from './seldom-warning.ts'
import { parseTcpOptions, type TcpOptions } from './tcp-options.ts'

/** Addresses are `host:port`, a node listens on its own; `options` are those of `TcpOptions`. */
export const transport: TransportFactory = {
  name: '@synod/transport-tcp',
  open: (options) => TcpTransport.open(options),
}

class TcpTransport implements Transport {
  readonly #self: NodeId
  readonly #options: TcpOptions
  readonly #counters = countersFromZero()
  readonly #peerCounters = new Map<NodeId, PeerCounters>()
  readonly #links = new Map<NodeId, OutgoingLink>()
  #incoming: Incoming | undefined
  #ticker: NodeJS.Timeout | undefined
  #listener: ((from: NodeId, frame: Bytes) => void) | undefined
  #unflushed: OutgoingLink[] = []
  #closed: Promise<void> | undefined

  static async open({ self, addresses, options: given, warn, onLink }: TransportOptions): Promise<TcpTransport> {
    const options = parseTcpOptions(given)
    const places = new Map([...addresses].map(([node, text]) => [checkNodeId(node), parseAddress(node, text)]))
    const seldom = new SeldomWarning(warn ?? (() => {}))
    const opened = new TcpTransport(self, options)
    await opened.#start(places, (message) => seldom.say(message), onLink ?? (() => {}))
    return opened
  }

  private constructor(self: NodeId, options: TcpOptions) {
    this.#self = self
    this.#options = options
  }

  /** Listens first: a node that cannot be reached dials nobody. */
  async #start(
    places: ReadonlyMap<NodeId, Address>,
    warn: (message: string) => void,
    onLink: NonNullable<TransportOptions['onLink']>,
  ): Promise<void> {
    const self = this.#self
    const address = places.get(self)
    if (address === undefined)
      throw new TransportError('invalid_options', `${self} is not among the addresses: add it, or correct the node's id`)
    const common = { self, options: this.#options, counters: this.#counters, warn }
    for (const peer of places.keys()) if (peer !== self) this.#peerCounters.set(peer, peerCountersFromZero())
    this.#incoming = await Incoming.listen({
      ...common,
      address,
      isPeer: (node) => node !== self && places.has(node),
      countersOf: (node) => this.#peerCounters.get(node),
      onLink: (from) => this.#links.get(from)?.hurry(),
      onFrame: (from, frame) => this.#onFrame(from, frame),
    })
    for (const [peer, peerCounters] of this.#peerCounters) {
      const onState = (state: 'up' | 'down'): void => onLink(peer, state)
      this.#links.set(peer, new OutgoingLink({ ...common, peer, peerCounters, address: places.get(peer)!, onState }))
    }
    this.#ticker = setInterval(() => this.#tick(), this.#options.pingMs)
  }

  get frameBytesMax(): number {
    return this.#options.frameBytesMax
  }

  send(to: NodeId, frame: Bytes): void {
    if (this.#closed !== undefined) return
    const link = this.#links.get(to)
    if (link === undefined) throw TransportError.unknownPeer(this.#self, to)
    if (frame.length > this.frameBytesMax) throw TransportError.frameTooLarge(to, frame.length, this.frameBytesMax)
    if (!link.send(frame)) return
    if (this.#unflushed.push(link) === 1) queueMicrotask(() => this.#flush())
  }

  onFrame(listener: (from: NodeId, frame: Bytes) => void): void {
    this.#listener = listener
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, ...addUp(this.#peerCounters.values()) }
  }

  peerCounters(): ReadonlyMap<NodeId, Readonly<Record<string, number>>> {
    const { queueBytesMax } = this.#options
    return new Map(
      [...this.#links].map(([peer, link]) => {
        const now = { linked: link.isUp ? 1 : 0, queueBytes: link.queueBytes, queueBytesMax }
        return [peer, { ...this.#peerCounters.get(peer), ...now }]
      }),
    )
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  #close(): Promise<void> {
    clearInterval(this.#ticker)
    this.#listener = undefined
    for (const link of this.#links.values()) link.close()
    return this.#incoming?.close() ?? Promise.resolve()
  }

  #flush(): void {
    const links = this.#unflushed
    this.#unflushed = []
    for (const link of links) link.flush()
  }

  #tick(): void {
    for (const link of this.#links.values()) link.tick()
    this.#incoming?.tick()
  }

  #onFrame(from: NodeId, frame: Bytes): boolean {
    if (this.#closed !== undefined) return false
    if (this.#listener === undefined) {
      this.#counters.droppedNoListener++
      return true
    }
    const counters = this.#peerCounters.get(from)
    if (counters !== undefined) counters.framesReceived++
    this.#listener(from, frame)
    return this.#closed === undefined
  }
}
