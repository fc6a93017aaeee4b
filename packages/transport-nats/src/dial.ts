/**
 * One attempt to connect with nats.js that can be given up, with the socket it got.
 *
 * nats.js keeps sockets to itself, and that hurts in three places: an attempt that times out leaves its socket open
 * (a server that is stopped takes connections and says nothing); a connection found stale is closed only when
 * what waits in its socket has been written, which to a dead peer is never; and a closed connection lets the kernel deliver
 * what it holds, however old. So sockets are caught as Node announces them (`net.client.socket` of node:diagnostics_channel),
 * told apart by the asynchronous context of the attempt, and ended here.
 *
 * Reconnecting is off: the client would keep what is published meanwhile and deliver it late. A lost connection is
 * forgotten whole, with its buffers, and a new one is dialled by server-connection.ts.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'
import { Socket } from 'node:net'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import type { NatsOptions } from './nats-options.ts'

const attempts = new AsyncLocalStorage<Attempt>()
let listening = false

export class Attempt {
  /** Rejects with the error of nats.js, at the latest after `dialMsMax` for each server and the time that names take to resolve. */
  readonly connection: Promise<NatsConnection>
  readonly #sockets = new Set<Socket>()
  #over = false
  #abandoned = false

  /** Tries the servers in the order given. */
  constructor(servers: readonly string[], name: string, options: NatsOptions) {
    listen()
    this.connection = attempts.run(this, () => this.#connect(servers, name, options))
  }

  /** Ends every socket at once: what waits in it, here or in the kernel, is not sent. */
  abandon(): void {
    this.#abandoned = true
    for (const socket of this.#sockets) end(socket)
  }

  /** Called by Node's announcement. Only while connecting: code that runs later in this context opens sockets of its own. */
  take(socket: Socket): void {
    if (this.#over) return
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    // It is announced before it is connected; ended now, it would be connected after all.
    if (this.#abandoned) setImmediate(() => end(socket))
  }

  async #connect(servers: readonly string[], name: string, options: NatsOptions): Promise<NatsConnection> {
    const { user, password, token, dialMsMax, pingMs } = options
    try {
      return await connect({
        servers: [...servers],
        name,
        reconnect: false,
        noRandomize: true,
        ignoreClusterUpdates: true,
        noEcho: true,
        noAsyncTraces: true,
        timeout: dialMsMax,
        pingInterval: pingMs,
        maxPingOut: 2,
        ...(user !== undefined && { user }),
        ...(password !== undefined && { pass: password }),
        ...(token !== undefined && { token }),
      })
    } catch (error) {
      this.abandon()
      throw error
    } finally {
      this.#over = true
    }
  }
}

function end(socket: Socket): void {
  if (socket.connecting || socket.destroyed) socket.destroy()
  else socket.resetAndDestroy()
}

function listen(): void {
  if (listening) return
  listening = true
  subscribe('net.client.socket', (message) => {
    const { socket } = message as { socket?: unknown }
    if (socket instanceof Socket) attempts.getStore()?.take(socket)
  })
}
