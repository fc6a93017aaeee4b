/**
 * The Transport over NATS: each node hears on one subject of its own, and publishes to those of its peers. Frames sent in one turn
 * of the event loop leave together, as plain publishes: never requests, whose answers the client tracks one by one. A frame
 * is never kept for later: without a connection, or to a peer that does not answer, it is dropped and counted.
 *
 * Three things keep a stuck server from costing memory or being believed alive: the client's own probes (server-connection.ts),
 * the probes of each peer and the bound on what the server has not confirmed (peer-link.ts), and ending the socket of a
 * connection that is given up (dial.ts).
 */
import { randomBytes } from 'node:crypto'
import { MalformedError, type Bytes } from '@synod/codec'
import { TransportError, type NodeId, type Transport, type TransportFactory, type TransportOptions } from '@synod/transport'
import { checkNodeId, parseAddress, type Address } from './address.ts'
import { countersFromZero, sumOf } from './counters.ts'
import { FreshLinks } from './fresh-links.ts'
import { decodeMessage, encodeAnswer, overheadBytesMax, type Message } from './message.ts'
import { parseNatsOptions, type NatsOptions } from './nats-options.ts'
import { PeerLink } from './peer-link.ts'
import { Seldom } from './seldom.ts'
import { ServerConnection } from './server-connection.ts'

/** Addresses are `nats://host:port[,host:port…]/subject`; `options` are those of `NatsOptions`. */
export const transport: TransportFactory = {
  name: '@synod/transport-nats',
  open: (options) => NatsTransport.open(options),
}

/** From so many unconfirmed bytes on, the server is asked to confirm; a probe of the client every `pingMs` comes on top. */
const confirmBytes = 256 * 1024
/** Who is no peer is told so at most this often between two ticks. */
const refusalsMax = 16

type Incoming<Kind extends Message['kind']> = Extract<Message, { kind: Kind }>

class NatsTransport implements Transport {
  readonly #self: NodeId
  readonly #subject: string
  readonly #options: NatsOptions
  readonly #life = randomBytes(6).readUIntBE(0, 6)
  readonly #counters = countersFromZero()
  readonly #seldom: Seldom
  readonly #server: ServerConnection
  readonly #links = new Map<NodeId, PeerLink>()
  readonly #fresh = new FreshLinks()
  readonly #ticker: NodeJS.Timeout
  #listener: ((from: NodeId, frame: Bytes) => void) | undefined
  #unflushed: PeerLink[] = []
  #confirming = false
  #refusals = 0
  #closed: Promise<void> | undefined

  /** Resolves when a server was found or the first attempt failed; it goes on trying then. */
  static async open(given: TransportOptions): Promise<NatsTransport> {
    const options = parseNatsOptions(given.options)
    const places = new Map([...given.addresses].map(([node, text]) => [checkNodeId(node), parseAddress(node, text)]))
    requireOwnSubjects(places)
    const own = places.get(given.self)
    if (own === undefined)
      throw new TransportError('invalid_options', `${given.self} is not among the addresses: add it, or correct the node's id`)
    const opened = new NatsTransport(given, options, own, places)
    await opened.#server.attempted
    return opened
  }

  private constructor({ self, warn, onLink }: TransportOptions, options: NatsOptions, own: Address, places: ReadonlyMap<NodeId, Address>) {
    this.#self = self
    this.#subject = own.subject
    this.#options = options
    this.#seldom = new Seldom(warn ?? (() => {}))
    this.#server = new ServerConnection({
      self,
      address: own,
      options,
      counters: this.#counters,
      seldom: this.#seldom,
      onUp: () => this.#links.forEach((link) => link.hello()),
      onDown: () => this.#onServerDown(),
      onMessage: (message) => this.#onMessage(message),
    })
    for (const [peer, { subject }] of places) {
      if (peer === self) continue
      const common = { self, peer, subject, answerTo: own.subject, life: this.#life, options, server: this.#server }
      this.#links.set(peer, new PeerLink({ ...common, onState: (state) => onLink?.(peer, state) }))
    }
    this.#ticker = setInterval(() => this.#tick(), options.pingMs)
  }

  get frameBytesMax(): number {
    return Math.min(this.#options.frameBytesMax, this.#server.payloadBytesMax - overheadBytesMax)
  }

  send(to: NodeId, frame: Bytes): void {
    if (this.#closed !== undefined) return
    const link = this.#links.get(to)
    if (link === undefined) throw TransportError.unknownPeer(this.#self, to)
    if (frame.length > this.frameBytesMax) throw TransportError.frameTooLarge(to, frame.length, this.frameBytesMax)
    if (!link.send(frame)) return
    if (this.#unflushed.push(link) === 1) setImmediate(() => this.#flush())
  }

  onFrame(listener: (from: NodeId, frame: Bytes) => void): void {
    this.#listener = listener
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, ...sumOf([...this.#links.values()].map(({ counters }) => counters)) }
  }

  peerCounters(): ReadonlyMap<NodeId, Readonly<Record<string, number>>> {
    const { queueBytesMax } = this.#options
    return new Map(
      [...this.#links].map(([peer, link]) => {
        const now = { linked: link.isUp ? 1 : 0, queueBytes: link.queueBytes, queueBytesMax }
        return [peer, { ...link.counters, ...now }]
      }),
    )
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  #close(): Promise<void> {
    clearInterval(this.#ticker)
    this.#listener = undefined
    for (const link of this.#links.values()) link.bye()
    return this.#server.close()
  }

  #flush(): void {
    const links = this.#unflushed
    this.#unflushed = []
    for (const link of links) link.flush()
    this.#confirm(confirmBytes)
  }

  /** One question at a time; while it is under way what is published waits for the next. */
  #confirm(fromBytes: number): void {
    let unconfirmed = 0
    for (const link of this.#links.values()) unconfirmed += link.unconfirmedBytes
    if (this.#confirming || unconfirmed === 0 || unconfirmed < fromBytes) return
    this.#confirming = true
    const marks = [...this.#links.values()].map((link) => link.mark())
    this.#server.confirm(() => {
      this.#confirming = false
      for (const mark of marks) mark()
      this.#confirm(confirmBytes)
    })
  }

  #tick(): void {
    this.#refusals = 0
    for (const link of this.#links.values()) link.tick()
    this.#confirm(1)
  }

  #onServerDown(): void {
    this.#confirming = false
    for (const link of this.#links.values()) link.onServerDown()
  }

  #onMessage(bytes: Bytes): void {
    if (this.#closed !== undefined) return
    const message = this.#decode(bytes)
    if (message === undefined) return
    if (message.to !== this.#self) return this.#onMisaddressed(message)
    const link = this.#links.get(message.from)
    // Who is here instead of the peer that was wanted may be a stranger to this node: it says so all the same.
    if (message.kind === 'answer' && message.verdict !== 'welcome') return this.#onRefusal(message)
    if (link === undefined) return this.#onStranger(message)
    if (message.kind === 'frames') this.#onFrames(message, link, bytes.length)
    else if (message.kind === 'hello') this.#onHello(message, link)
    else if (message.kind === 'answer') link.onAnswer(message.life)
    else link.onBye(message.life)
  }

  #decode(bytes: Bytes): Exclude<Message, { kind: 'otherVersion' }> | undefined {
    try {
      const message = decodeMessage(bytes)
      if (message.kind !== 'otherVersion') return message
      this.#counters.messagesOfOtherVersion++
      this.#seldom.say('version', `${this.#self} hears a node of another version on ${this.#subject}: upgrade the older of them`)
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
      this.#counters.messagesMalformed++
      const what = `${this.#self} hears on ${this.#subject} what no node sends (${error.message})`
      this.#seldom.say('malformed', `${what}: somebody else publishes there, give the cluster a subject of its own`)
    }
    return undefined
  }

  #onFrames({ from, life, link: number, frames }: Incoming<'frames'>, link: PeerLink, bytes: number): void {
    link.counters.messagesReceived++
    link.counters.bytesReceived += bytes
    if (!this.#fresh.isFresh(from, life, number)) {
      link.counters.droppedStale += frames.length
      return
    }
    for (const frame of frames) {
      if (this.#closed !== undefined) return
      if (this.#listener === undefined) {
        this.#counters.droppedNoListener++
        continue
      }
      link.counters.framesReceived++
      this.#listener(from, frame)
    }
  }

  /** Whoever asks hears, so a peer that was away is asked at once, not at the next tick. */
  #onHello(hello: Incoming<'hello'>, link: PeerLink): void {
    this.#answer(hello, 'welcome')
    if (!link.isUp) link.hello()
  }

  #onMisaddressed(message: Exclude<Message, { kind: 'otherVersion' }>): void {
    this.#counters.messagesMisaddressed++
    const what = `${this.#self} hears messages for ${message.to} on ${this.#subject}`
    this.#seldom.say('misaddressed', `${what}: correct the address of ${message.to} in the config of ${message.from}`)
    if (message.kind === 'hello') this.#answer(message, 'wrongAddress')
  }

  #onStranger(message: Exclude<Message, { kind: 'otherVersion' }>): void {
    this.#counters.messagesFromStrangers++
    const what = `${this.#self} hears from ${message.from}, which is not a peer`
    this.#seldom.say('stranger', `${what}: add it to the config here, or correct the config there`)
    if (message.kind === 'hello') this.#answer(message, 'notAPeer')
  }

  #answer({ from, to, answerTo }: Incoming<'hello'>, verdict: 'welcome' | 'wrongAddress' | 'notAPeer'): void {
    if (verdict !== 'welcome' && ++this.#refusals > refusalsMax) return
    const head = { from: this.#self, to: from, life: this.#life, link: this.#server.number }
    this.#server.publish(answerTo, encodeAnswer(head, verdict, to))
  }

  #onRefusal({ from, verdict, wanted }: Incoming<'answer'>): void {
    const link = this.#links.get(wanted)
    if (link === undefined) return
    link.counters.linksMisdirected++
    const why =
      verdict === 'notAPeer'
        ? `${from} does not know ${this.#self}: add ${this.#self} to its config`
        : `${from} is there: correct the address of ${wanted} in the config of ${this.#self}`
    this.#seldom.say(`refused by ${wanted}`, `${this.#self} asked for ${wanted}: ${why}`)
  }
}

/** Two nodes on one subject would hear each other's frames. */
function requireOwnSubjects(places: ReadonlyMap<NodeId, Address>): void {
  const owners = new Map<string, NodeId>()
  for (const [node, { subject, text }] of places) {
    const owner = owners.get(subject)
    if (owner !== undefined)
      throw new TransportError('invalid_options', `${owner} and ${node} have one subject, ${text}: give each node its own`)
    owners.set(subject, node)
  }
}
