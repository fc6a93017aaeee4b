/**
 * The Transport over TCP. One connection for each direction: a node dials every peer and writes its frames there, and reads
 * the peer's frames from the connection that the peer dialled. One connection a pair would need a rule for who dials, who
 * wins when both do, and what becomes of a second instance of a node; with two there is nothing to agree on, each side
 * notices and mends its own way out, and a link that is broken in one direction only loses that direction. It costs one
 * more socket a pair and acknowledgements that do not ride on data.
 *
 * Frames sent in one turn of the event loop leave together in one write. A frame is never kept for later: without a
 * connection it is dropped, because a frame from before an interruption helps no protocol.
 */
import type { Bytes } from '@synod/codec';
import {
  TransportError,
  type NodeId,
  type Transport,
  type TransportFactory,
  type TransportOptions,
} from '@synod/transport';
import { checkNodeId, parseAddress, type Address } from './address.ts';
import { Counters } from './counters.ts';
import { Incoming } from './incoming.ts';
import { OutgoingLink } from './outgoing-link.ts';
import { SeldomWarning } from './seldom-warning.ts';
import { parseTcpOptions, type TcpOptions } from './tcp-options.ts';

/** Addresses are `host:port`, a node listens on its own; `options` are those of `TcpOptions`. */
export const transport: TransportFactory = {
  name: '@synod/transport-tcp',
  open: (options) => TcpTransport.open(options),
};

class TcpTransport implements Transport {
  readonly #self: NodeId;
  readonly #options: TcpOptions;
  readonly #counters: Counters;
  readonly #incoming: Incoming;
  readonly #links: ReadonlyMap<NodeId, OutgoingLink>;
  readonly #ticker: NodeJS.Timeout;
  #listener: ((from: NodeId, frame: Bytes) => void) | undefined;
  #unflushed: OutgoingLink[] = [];
  #closed: Promise<void> | undefined;

  static async open({ self, addresses, options: given, warn }: TransportOptions): Promise<TcpTransport> {
    const options = parseTcpOptions(given);
    const places = new Map([...addresses].map(([node, text]) => [checkNodeId(node), parseAddress(node, text)]));
    const address = places.get(self);
    if (address === undefined)
      throw new TransportError('invalid_options', `${self} is not among the addresses: add it, or correct the node's id`);
    const seldom = new SeldomWarning(warn ?? (() => {}));
    const say = (message: string) => seldom.say(message);
    const counters = new Counters();
    // Frames that come before the constructor below has run are as early as those before `onFrame`.
    let opened: TcpTransport | undefined;
    const incoming = await Incoming.listen({
      self,
      address,
      isPeer: (node) => node !== self && places.has(node),
      options,
      counters,
      warn: say,
      onLink: (from) => opened === undefined ? undefined : opened.#links.get(from)?.hurry(),
      onFrame: (from, frame) => (opened === undefined ? true : opened.#onFrame(from, frame)),
    });
    opened = new TcpTransport(self, options, places, counters, incoming, say);
    return opened;
  }

  private constructor(
    self: NodeId,
    options: TcpOptions,
    places: ReadonlyMap<NodeId, Address>,
    counters: Counters,
    incoming: Incoming,
    warn: (message: string) => void,
  ) {
    this.#self = self;
    this.#options = options;
    this.#counters = counters;
    this.#incoming = incoming;
    const links = [...places].filter(([node]) => node !== self);
    this.#links = new Map(
      links.map(([peer, address]) => [peer, new OutgoingLink({ self, peer, address, options, counters, warn })]),
    );
    this.#ticker = setInterval(() => this.#tick(), options.pingMs);
  }

  get frameBytesMax(): number {
    return this.#options.frameBytesMax;
  }

  send(to: NodeId, frame: Bytes): void {
    if (this.#closed !== undefined) return;
    const link = this.#links.get(to);
    if (link === undefined) throw TransportError.unknownPeer(this.#self, to);
    if (frame.length > this.frameBytesMax) throw TransportError.frameTooLarge(to, frame.length, this.frameBytesMax);
    if (!link.send(frame)) return;
    if (this.#unflushed.push(link) === 1) setImmediate(() => this.#flush());
  }

  onFrame(listener: (from: NodeId, frame: Bytes) => void): void {
    this.#listener = listener;
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters };
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  #close(): Promise<void> {
    clearInterval(this.#ticker);
    this.#listener = undefined;
    for (const link of this.#links.values()) link.close();
    return this.#incoming.close();
  }

  #flush(): void {
    const links = this.#unflushed;
    this.#unflushed = [];
    for (const link of links) link.flush();
  }

  #tick(): void {
    for (const link of this.#links.values()) link.tick();
    this.#incoming.tick();
  }

  #onFrame(from: NodeId, frame: Bytes): boolean {
    if (this.#closed !== undefined) return false;
    if (this.#listener === undefined) {
      this.#counters.droppedNoListener++;
      return true;
    }
    this.#counters.framesReceived++;
    this.#listener(from, frame);
    return this.#closed === undefined;
  }
}
