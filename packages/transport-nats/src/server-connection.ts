/**
 * This node's one connection to its NATS servers: dialled for ever, left when it does not answer, forgotten whole when it is
 * lost. What is published without a connection is refused here, so nothing stale waits anywhere.
 *
 *   pausing ──▶ dialling ──connected, subscribed──▶ up
 *      ▲────────────┴───── lost, stale, refused ─────┘
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bytes } from '@synod/codec'
import type { NodeId } from '@synod/transport'
import { errors, type Msg, type NatsConnection } from '@nats-io/transport-node'
import type { Address } from './address.ts'
import type { Counters } from './counters.ts'
import { Attempt } from './dial.ts'
import type { NatsOptions } from './nats-options.ts'
import type { Seldom } from './seldom.ts'

const reconnectMsMin = 25
const reconnectMsMax = 250
/** A connection that lived so long was a good one: the next attempt follows at once. */
const stableMs = 1000
/** A server that takes less is of no use: the layer above could not split its largest message into few enough frames. */
const payloadBytesMin = 8 * 1024
/** What a server takes when nobody configured it. */
const payloadBytesUsual = 1024 * 1024
/** nats.js cannot read a larger message. */
const payloadBytesMax = 64 * 1024 * 1024

export interface ServerConnectionOptions {
  readonly self: NodeId
  readonly address: Address
  readonly options: NatsOptions
  readonly counters: Counters
  readonly seldom: Seldom
  readonly onUp: () => void
  readonly onDown: () => void
  readonly onMessage: (message: Bytes) => void
}

export class ServerConnection {
  readonly #with: ServerConnectionOptions
  readonly #closing = new AbortController()
  readonly #firstAttempt = Promise.withResolvers<void>()
  readonly #running: Promise<void>
  #attempt: Attempt | undefined
  #connection: NatsConnection | undefined
  #payloadBytes = payloadBytesUsual
  #openings = 0

  constructor(options: ServerConnectionOptions) {
    this.#with = options
    this.#running = this.#run()
  }

  /** Resolves when the first attempt to connect has ended, one way or the other. */
  get attempted(): Promise<void> {
    return this.#firstAttempt.promise
  }

  /** Counts connections, from 1. */
  get number(): number {
    return this.#openings
  }

  /** The largest message that the server takes, as of the last connection. */
  get payloadBytesMax(): number {
    return this.#payloadBytes
  }

  /** Hands a message to the client, to be written in this turn. False: there is no connection, or it takes no message so large. */
  publish(subject: string, message: Bytes): boolean {
    const connection = this.#connection
    if (connection === undefined || connection.isClosed()) return false
    if (message.length > this.#readPayloadBytes(connection)) return false
    connection.publish(subject, message)
    return true
  }

  /** Calls back when the server has taken everything that was published before; never, when the connection is lost first. */
  confirm(taken: () => void): void {
    const connection = this.#connection
    // A connection that is lost rejects: whoever waits is told by `onDown`.
    connection?.flush().then(
      () => this.#connection === connection && taken(),
      () => undefined,
    )
  }

  /** Resolves when the socket is gone. What was published in this turn may still leave. */
  async close(): Promise<void> {
    this.#closing.abort()
    if (this.#connection === undefined) this.#attempt?.abandon()
    // The client writes at the end of a turn; `close` ends its socket without waiting for more.
    else await this.#connection.close()
    await this.#running
  }

  async #run(): Promise<void> {
    let failures = 0
    while (!this.#closing.signal.aborted) {
      const attempt = new Attempt(this.#with.address.servers, `synod ${this.#with.self}`, this.#with.options)
      this.#attempt = attempt
      const startedAt = performance.now()
      const connection = await attempt.connection.catch((error: unknown) => this.#onDialFailed(error))
      if (connection !== undefined) await this.#serve(connection, attempt)
      this.#firstAttempt.resolve()
      failures = connection !== undefined && performance.now() - startedAt > stableMs ? 0 : failures + 1
      const pause = Math.min(reconnectMsMax, reconnectMsMin * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2)
      // Closing cuts the pause short; the loop looks for itself.
      await sleep(pause, undefined, { signal: this.#closing.signal }).catch(() => undefined)
    }
    this.#firstAttempt.resolve()
  }

  /** Until the connection is lost or closed. */
  async #serve(connection: NatsConnection, attempt: Attempt): Promise<void> {
    const { counters, seldom, self, address } = this.#with
    const payloadBytes = this.#readPayloadBytes(connection)
    if (this.#closing.signal.aborted || payloadBytes < payloadBytesMin) {
      await connection.close()
      if (payloadBytes < payloadBytesMin)
        seldom.say('payload', `${self}: NATS at ${where(connection)} takes messages of ${payloadBytes} bytes only: raise its max_payload`)
      return
    }
    this.#connection = connection
    this.#openings++
    counters.connectionsOpened++
    const watching = this.#watch(connection, attempt)
    connection.subscribe(address.subject, { callback: (error, message) => this.#onMessage(connection, error, message) })
    this.#with.onUp()
    this.#firstAttempt.resolve()
    await connection.closed()
    this.#connection = undefined
    counters.connectionsClosed++
    this.#with.onDown()
    await watching
  }

  async #watch(connection: NatsConnection, attempt: Attempt): Promise<void> {
    const { counters, seldom, self } = this.#with
    for await (const status of connection.status()) {
      if (status.type === 'staleConnection') {
        counters.connectionsSilent++
        attempt.abandon()
      } else if (status.type === 'error') {
        counters.serverErrors++
        seldom.say('server', `${self}: NATS at ${where(connection)} says: ${status.error.message}`)
      }
    }
  }

  #onMessage(connection: NatsConnection, error: Error | null, message: Msg): void {
    const { seldom, self, address, onMessage } = this.#with
    if (error !== null) {
      seldom.say('subscribe', `${self} may not hear on ${address.subject} (${error.message}): grant it on the NATS server`)
      void connection.close()
      return
    }
    if (connection !== this.#connection) return
    try {
      onMessage(message.data)
    } catch (thrown) {
      // nats.js would print it and never read again. What a listener throws is a broken invariant: the process must know.
      queueMicrotask(() => {
        throw thrown
      })
    }
  }

  #onDialFailed(error: unknown): undefined {
    if (this.#closing.signal.aborted) return
    const { counters, seldom, self, address } = this.#with
    counters.dialsFailed++
    const servers = address.servers.join(', ')
    if (error instanceof errors.AuthorizationError)
      seldom.say('dial', `${self}: NATS at ${servers} does not let it in: correct user, password or token in transport.options`)
    else seldom.say('dial', `${self} cannot connect to NATS at ${servers} (${messageOf(error)}), and goes on trying`)
  }

  #readPayloadBytes(connection: NatsConnection): number {
    this.#payloadBytes = Math.min(connection.info?.max_payload ?? payloadBytesUsual, payloadBytesMax)
    return this.#payloadBytes
  }
}

function where(connection: NatsConnection): string {
  return connection.getServer()
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
