/**
 * A node as the client's tests want it: a real WebSocket server that speaks the protocol over a ScriptedStore, and does the wrong
 * thing when told to. `intercept` sees each message first; what it returns true for is dealt with.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer, type WebSocket } from 'ws'
import { connectionPath, nodeFrameWriter, readClientFrame, subprotocol } from '@synod/client-protocol'
import type { ClientMessage, NodeMessage } from '@synod/client-protocol'
import { ScriptedStore } from './scripted-store.ts'
import { ScriptedSubscription } from './scripted-subscription.ts'

export class ScriptedConnection {
  readonly node: ScriptedNode
  readonly socket: WebSocket
  readonly subscriptions = new Map<number, ScriptedSubscription>()
  readonly #writer = nodeFrameWriter()
  #isFlushing = false

  constructor(node: ScriptedNode, socket: WebSocket) {
    this.node = node
    this.socket = socket
  }

  /** Goes out with the frame of this turn. */
  send(message: NodeMessage): void {
    this.#writer.add(message)
    if (this.#isFlushing) return
    this.#isFlushing = true
    queueMicrotask(() => {
      this.#isFlushing = false
      this.socket.send(this.#writer.take())
    })
  }

  refuse(request: number, code: string, details = '{}'): void {
    this.send({ kind: 'refused', request, code, message: `refused as ${code}`, details })
  }
}

export class ScriptedNode {
  readonly id: string
  readonly store: ScriptedStore
  readonly connections = new Set<ScriptedConnection>()
  /** Every message that came, in order, with the number of its frame. */
  readonly received: { readonly frame: number; readonly message: ClientMessage }[] = []
  intercept: ((message: ClientMessage, connection: ScriptedConnection) => boolean) | undefined
  isServing = true
  leader: string | undefined
  /** The other nodes, as this one tells of them. */
  members: readonly { readonly id: string; readonly url: string }[] = []
  cluster = 'c'
  greets = true
  frames = 0
  handshakes = 0
  #server: Server | undefined
  #port = 0

  constructor(id = 'n1', store = new ScriptedStore()) {
    this.id = id
    this.store = store
    this.leader = id
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Again after a `kill()`: at the same port. */
  async start(): Promise<this> {
    const server = createServer((_, response) => response.writeHead(426).end())
    const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => subprotocol })
    server.on('upgrade', (request, socket, head) => {
      this.handshakes++
      if (request.url !== connectionPath) return void socket.destroy()
      sockets.handleUpgrade(request, socket, head, (webSocket) => this.#onConnection(webSocket))
    })
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
    return this
  }

  /** As a kill -9: every socket is reset, and nobody listens. */
  async kill(): Promise<void> {
    for (const { socket } of this.connections) socket.terminate()
    this.connections.clear()
    const server = this.#server
    this.#server = undefined
    if (server !== undefined) await new Promise((resolve) => server.close(resolve))
  }

  /** Half-open: the sockets stay, and nothing is read or said any more. */
  hang(): void {
    for (const connection of this.connections) connection.socket.pause()
    this.intercept = () => true
  }

  announce(): void {
    for (const connection of this.connections) this.#greet(connection)
  }

  messages<K extends ClientMessage['kind']>(kind: K): Extract<ClientMessage, { readonly kind: K }>[] {
    return this.received.flatMap(({ message }) => (message.kind === kind ? [message as Extract<ClientMessage, { readonly kind: K }>] : []))
  }

  #onConnection(socket: WebSocket): void {
    const connection = new ScriptedConnection(this, socket)
    this.connections.add(connection)
    socket.on('close', () => {
      this.connections.delete(connection)
      for (const subscription of connection.subscriptions.values()) subscription.end()
    })
    socket.on('message', (data: Buffer) => {
      this.frames++
      for (const message of readClientFrame(data)) this.#onMessage(message, connection)
    })
    if (this.greets) this.#greet(connection)
  }

  #greet(connection: ScriptedConnection): void {
    const { id, cluster, leader, isServing, url } = this
    const members = this.members.length > 0 ? this.members : [{ id, url }]
    connection.send({ kind: 'topology', cluster, node: id, members, ...(leader !== undefined && { leader }), isServing })
  }

  #onMessage(message: ClientMessage, connection: ScriptedConnection): void {
    this.received.push({ frame: this.frames, message })
    if (this.intercept?.(message, connection) === true) return
    switch (message.kind) {
      case 'append':
        if (!this.isServing) return connection.refuse(message.request, 'unavailable')
        return connection.send(this.store.append(message))
      case 'appendAtomically':
        if (!this.isServing) return connection.refuse(message.request, 'unavailable')
        return connection.send(this.store.appendAtomically(message))
      case 'read':
        return connection.send(this.store.read(message))
      case 'query':
        return connection.send(this.store.query(message))
      case 'subscribe':
      case 'subscribeFiltered':
        connection.subscriptions.set(message.request, new ScriptedSubscription(message, connection, this.store))
        return
      case 'credit':
        return connection.subscriptions.get(message.request)?.credit(message.bytes)
      case 'cancel':
        connection.subscriptions.get(message.request)?.end()
        connection.subscriptions.delete(message.request)
        return
      case 'ping':
        connection.send({ kind: 'pong' })
    }
  }
}

/** Several nodes over one store that know each other; the first one leads. */
export async function startNodes(count: number): Promise<ScriptedNode[]> {
  const store = new ScriptedStore()
  const nodes = await Promise.all(Array.from({ length: count }, (_, index) => new ScriptedNode(`n${index + 1}`, store).start()))
  const members = nodes.map(({ id, url }) => ({ id, url }))
  for (const node of nodes) {
    node.members = members
    node.leader = 'n1'
  }
  return nodes
}
