/**
 * The listening side: takes connections, bounds how many there are, and hands on frames. Strangers (who have not greeted)
 * are at most `strangersMax`: one more and the oldest goes, so a flood of idle connections cannot keep a peer out, which
 * greets within a round trip. Links with the name of one peer are at most four, which is enough for two instances of a node
 * and what a crash left behind.
 */
import { createServer, type Server, type Socket } from 'node:net'
import type { Bytes } from '@synod/codec'
import { TransportError, type NodeId } from '@synod/transport'
import type { Address } from './address.ts'
import type { Counters, PeerCounters } from './counters.ts'
import { IncomingConnection } from './incoming-connection.ts'
import { keepAliveMs } from './outgoing-link.ts'
import type { TcpOptions } from './tcp-options.ts'

const linksPerPeerMax = 4

export interface IncomingOptions {
  readonly self: NodeId
  readonly address: Address
  readonly isPeer: (node: NodeId) => boolean
  readonly options: TcpOptions
  readonly counters: Counters
  readonly countersOf: (peer: NodeId) => PeerCounters | undefined
  readonly warn: (message: string) => void
  readonly onLink: (from: NodeId) => void
  readonly onFrame: (from: NodeId, frame: Bytes) => boolean
}

export class Incoming {
  readonly #with: IncomingOptions
  readonly #server: Server
  readonly #strangers = new Set<IncomingConnection>()
  readonly #links = new Map<NodeId, Set<IncomingConnection>>()

  private constructor(options: IncomingOptions) {
    this.#with = options
    this.#server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs }, (socket) => this.#accept(socket))
  }

  /** Resolves when it listens. Throws a TransportError: `address_in_use`, or `unavailable` with the system's reason. */
  static async listen(options: IncomingOptions): Promise<Incoming> {
    const incoming = new Incoming(options)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    incoming.#server.once('error', reject)
    incoming.#server.listen({ host: options.address.host, port: options.address.port, exclusive: true }, resolve)
    try {
      await promise
    } catch (error) {
      throw cannotListen(options, error)
    }
    incoming.#server.off('error', reject)
    // Too many open files, for one: the next connection may be taken again.
    incoming.#server.on('error', () => options.counters.acceptErrors++)
    return incoming
  }

  tick(): void {
    for (const links of this.#links.values()) for (const link of links) link.tick()
  }

  close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    for (const stranger of this.#strangers) stranger.destroy()
    for (const links of this.#links.values()) for (const link of links) link.destroy()
    return promise
  }

  #accept(socket: Socket): void {
    const { counters } = this.#with
    counters.accepted++
    if (this.#strangers.size >= this.#with.options.strangersMax) {
      const [oldest] = this.#strangers
      counters.strangersEvicted++
      this.#strangers.delete(oldest!)
      oldest!.destroy()
    }
    const connection = new IncomingConnection(socket, {
      ...this.#with,
      onWelcome: (from, welcome) => this.#onWelcome(from, welcome),
      onClose: (closed) => this.#forget(closed),
    })
    this.#strangers.add(connection)
  }

  #onWelcome(from: NodeId, link: IncomingConnection): void {
    this.#strangers.delete(link)
    let links = this.#links.get(from)
    if (links === undefined) this.#links.set(from, (links = new Set()))
    if (links.size >= linksPerPeerMax) {
      const [oldest] = links
      this.#with.counters.linksSuperseded++
      links.delete(oldest!)
      oldest!.destroy()
    }
    links.add(link)
    this.#with.onLink(from)
  }

  #forget(connection: IncomingConnection): void {
    this.#strangers.delete(connection)
    if (connection.from !== undefined) this.#links.get(connection.from)?.delete(connection)
  }
}

function cannotListen({ self, address }: IncomingOptions, cause: unknown): TransportError {
  const reason = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (reason === 'EADDRINUSE')
    return new TransportError(
      'address_in_use',
      `${self} cannot listen on ${address.text}: another process does; stop it, or change the address of ${self}`,
      { cause },
    )
  const message = `${self} cannot listen on ${address.text} (${String(reason ?? cause)}): its address must be one of this machine`
  return new TransportError('unavailable', message, { cause })
}
