/**
 * The connections of a node's clients (docs/client-protocol.md): WebSockets on the HTTP server's own port. Its handshake is a
 * request like any other until it is accepted, so whatever is wrong with it is answered in HTTP's form.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { connectionPath, frameBytesMax, subprotocol } from '@synod/client-protocol'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { WebSocketServer, type WebSocket } from 'ws'
import type { HttpLimits } from '../config/node-config.ts'
import type { BytesInFlight } from '../http/bytes-in-flight.ts'
import { unavailable } from '../http/http-error.ts'
import type { OpenSubscriptions } from '../http/open-subscriptions.ts'
import { parseQuery } from '../http/query.ts'
import { graceMilliseconds } from '../http/with-deadline.ts'
import type { NodeView } from '../node/node-view.ts'
import { AwakeClock } from './awake-clock.ts'
import { Connection, type EndKind } from './connection.ts'
import type { SharedParts } from './connection-parts.ts'
import { Deadlines } from './deadlines.ts'
import { handshakeRefusal, isHandshake } from './handshake.ts'
import { SeldomLog } from './seldom-log.ts'
import { SendBudget } from './send-budget.ts'
import { isSameTopology, topologyOf, type Topology } from './topology.ts'

export interface ConnectionServerOptions {
  readonly node: NodeView
  readonly limits: HttpLimits
  readonly bytes: BytesInFlight
  readonly subscriptions: OpenSubscriptions
  readonly logger: Pick<FastifyBaseLogger, 'warn'>
  readonly onRefused: (code: string) => void
}

/** How often everything is looked at: what the log does not announce of the node's state, and whether clients are there. */
const lookMilliseconds = 100

export class ConnectionServer {
  readonly #options: ConnectionServerOptions
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: frameBytesMax,
    handleProtocols: () => subprotocol,
  })
  readonly #shared: SharedParts
  readonly #budget: SendBudget
  readonly #seldom: SeldomLog
  readonly #connections = new Set<Connection>()
  readonly #ended: Record<EndKind, number> = { malformed: 0, violation: 0, silent: 0, stalled: 0, overloaded: 0, slowFrame: 0 }
  readonly #looking: NodeJS.Timeout
  readonly #forget: () => void
  #topology: Topology
  #opened = 0
  #framesIn = 0
  #framesOut = 0
  #isStopping = false

  constructor(options: ConnectionServerOptions) {
    const { node, limits, bytes, subscriptions, logger } = options
    this.#options = options
    const answers = new Deadlines(limits.answerMillisecondsMax)
    const graces = new Deadlines(graceMilliseconds)
    this.#shared = { node, limits, bytes, subscriptions, clock: new AwakeClock(2 * lookMilliseconds), answers, graces }
    this.#budget = new SendBudget(limits.sendBytesMax, () => this.#dropSlowest())
    this.#seldom = new SeldomLog(logger)
    this.#topology = topologyOf(node, false)
    this.#forget = node.onChange(() => this.#lookAtNode())
    this.#looking = setInterval(() => this.#look(), lookMilliseconds).unref()
  }

  /** The answer to what asks for the connection and is no handshake. */
  route(app: FastifyInstance): void {
    app.get(connectionPath, { exposeHeadRoute: false }, (request, reply) => {
      parseQuery(request.raw.url ?? '', [])
      const refusal = handshakeRefusal(request.raw) ?? unavailable('this node is stopping: connect to another one')
      if (refusal.status === 426) reply.raw.setHeader('upgrade', 'websocket')
      throw refusal
    })
  }

  /** Whether `upgrade` takes it; else it goes the way of every request. */
  accepts(request: IncomingMessage): boolean {
    return !this.#isStopping && isHandshake(request) && handshakeRefusal(request) === undefined
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#server.handleUpgrade(request, socket, head, (webSocket) => this.#open(webSocket, socket))
  }

  /** Names become metric labels. */
  counters(): Readonly<Record<string, number>> {
    const open = {
      connections: this.#connections.size,
      requests: 0,
      subscriptions: 0,
      framesIn: this.#framesIn,
      framesOut: this.#framesOut,
    }
    for (const { counters } of this.#connections) for (const name of countedNames) open[name] += counters[name]
    const ended = Object.fromEntries(Object.entries(this.#ended).map(([kind, count]) => [`${kind}Ended`, count]))
    return { ...open, opened: this.#opened, sendBytes: this.#budget.bytes, sendBytesMax: this.#options.limits.sendBytesMax, ...ended }
  }

  /** Says to everybody that this node serves no more, answers what is open, then closes. */
  async close(): Promise<void> {
    if (this.#isStopping) return
    this.#isStopping = true
    this.#lookAtNode()
    await Promise.all([...this.#connections].map((connection) => connection.stop()))
    this.#forget()
    clearInterval(this.#looking)
    this.#shared.answers.close()
    this.#shared.graces.close()
  }

  #open(webSocket: WebSocket, socket: Duplex): void {
    const connection = new Connection(webSocket, {
      shared: this.#shared,
      budget: this.#budget,
      onRefused: this.#options.onRefused,
      onEnd: (kind, why) => this.#onEnd(kind, why),
      onUnforeseen: (error) => this.#seldom.tell('unforeseen', 'a request failed in a way nobody foresaw', { err: error }),
    })
    this.#opened++
    this.#lookAtNode()
    this.#connections.add(connection)
    // After the WebSocket's own listener, which tells the frames that the chunk completes.
    socket.on('data', (chunk: Buffer) => connection.onChunk(chunk.length))
    webSocket.once('close', () => {
      this.#connections.delete(connection)
      this.#framesIn += connection.counters.framesIn
      this.#framesOut += connection.counters.framesOut
    })
    connection.tell(this.#topology)
    if (this.#isStopping) void connection.stop()
  }

  #onEnd(kind: EndKind, why: string): void {
    this.#ended[kind]++
    this.#seldom.tell(kind, `a client’s connection was ended: ${why}`)
  }

  #look(): void {
    this.#shared.clock.look()
    if (this.#connections.size === 0) return
    this.#lookAtNode()
    for (const connection of this.#connections) connection.look()
  }

  #lookAtNode(): void {
    const topology = topologyOf(this.#options.node, this.#isStopping)
    if (isSameTopology(topology, this.#topology)) return
    this.#topology = topology
    for (const connection of this.#connections) connection.tell(topology)
  }

  /** Too much waits in all: the connection goes that has taken nothing for the longest time. */
  #dropSlowest(): boolean {
    let slowest: Connection | undefined
    for (const connection of this.#connections) {
      if ((connection.stalledSince ?? Infinity) < (slowest?.stalledSince ?? Infinity)) slowest = connection
    }
    slowest?.drop('stalled')
    return slowest !== undefined
  }
}

const countedNames = ['requests', 'subscriptions', 'framesIn', 'framesOut'] as const
