/**
 * Subscriptions: the store's messages, as they come. Events go in batches, each when the client has given credit for it and
 * the connection has room; until then the store waits, and the page of a reader that takes nothing is nobody's memory.
 */
import type { ClientMessage, RequestNumber, Start } from '@synod/client-protocol'
import type { EventStore, SubscribeOptions, SubscriptionMessage } from '@synod/events'
import { busy, unavailable } from '../http/http-error.ts'
import type { ConnectionParts } from './connection-parts.ts'
import type { OpenRequest } from './open-requests.ts'
import { tooManyRequests } from './refusal.ts'

export type SubscribeMessage = Extract<ClientMessage, { kind: 'subscribe' }>

/** Bytes of records in a message: enough for hundreds of events, and others get their turn. */
const batchBytesMax = 65_536

export class Subscriptions {
  readonly #parts: ConnectionParts
  readonly #open = new Set<Subscription>()

  constructor(parts: ConnectionParts) {
    this.#parts = parts
  }

  get size(): number {
    return this.#open.size
  }

  begin(message: SubscribeMessage): void {
    const { requests, refuse, limits, subscriptions, node } = this.#parts
    const { connectionRequestsMax, connectionSubscriptionsMax } = limits
    const { request } = message
    try {
      if (requests.size >= connectionRequestsMax) throw tooManyRequests(connectionRequestsMax)
      if (this.#open.size >= connectionSubscriptionsMax)
        throw busy(`${connectionSubscriptionsMax} subscriptions are open on this connection: open another connection, or end some`)
      const store = node.store()
      const controller = subscriptions.open()
      const subscription = new Subscription(this.#parts, message, controller)
      requests.open(request, subscription)
      this.#open.add(subscription)
      void subscription.run(store).finally(() => {
        this.#open.delete(subscription)
        subscriptions.close(controller)
      })
    } catch (error) {
      refuse(request, error)
    }
  }

  /** Of a request that is no open subscription it is ignored: its end and the credit may have crossed. */
  credit(request: RequestNumber, bytes: number): void {
    const open = this.#parts.requests.get(request)
    if (open instanceof Subscription) open.credit(bytes)
  }

  /** Each ends with a refusal: its client resumes elsewhere. */
  endAll(): void {
    for (const subscription of this.#open) subscription.end()
  }
}

class Subscription implements OpenRequest {
  readonly #parts: ConnectionParts
  readonly #request: RequestNumber
  readonly #options: SubscribeOptions
  readonly #controller: AbortController
  /** Bytes of records that the client takes; below zero by a part of one event at most. */
  #credit: number
  #reserved = 0
  /** Set while the store waits for room. */
  #wait: { readonly resolve: (bytes: number) => void; forget: () => void } | undefined

  constructor(parts: ConnectionParts, { request, stream, start, creditBytes }: SubscribeMessage, controller: AbortController) {
    this.#parts = parts
    this.#request = request
    this.#controller = controller
    this.#credit = creditBytes
    const { signal } = controller
    this.#options = { ...(stream !== undefined && { stream }), ...startOptions(start), room: () => this.#room(), signal }
    signal.addEventListener('abort', () => this.#stopWaiting(0), { once: true })
  }

  credit(bytes: number): void {
    this.#credit += bytes
    if (this.#wait !== undefined) this.#tryRoom()
  }

  cancel(): void {
    this.#controller.abort()
  }

  end(): void {
    this.#controller.abort()
  }

  /** Never rejects: what goes wrong is told to the client. */
  async run(store: EventStore): Promise<void> {
    const { requests, refuse } = this.#parts
    let why: unknown = unavailable('this node is stopping: subscribe at another one, after the last event that came')
    try {
      for await (const message of store.subscribe(this.#options)) {
        // The client may have cancelled it while the message was made.
        if (!requests.isOpen(this.#request, this)) break
        this.#send(message)
      }
    } catch (error) {
      why = error
    }
    this.#unreserve()
    if (requests.close(this.#request, this)) refuse(this.#request, why)
  }

  #send(message: SubscriptionMessage): void {
    const request = this.#request
    if (message.kind !== 'events') return this.#parts.outbox.add({ ...message, request })
    this.#parts.outbox.add({ kind: 'events', request, events: message.events })
    for (const { record } of message.events) this.#credit -= record.length
    this.#unreserve()
  }

  /** Asked by the store before each batch. */
  #room(): number | Promise<number> {
    this.#unreserve()
    if (this.#credit > 0 && this.#parts.outbox.hasRoom) return this.#reserve()
    if (this.#controller.signal.aborted) return 0
    const { promise, resolve } = Promise.withResolvers<number>()
    this.#wait = { resolve, forget: () => {} }
    this.#tryRoom()
    return promise
  }

  #tryRoom(): void {
    if (this.#wait === undefined || this.#credit <= 0) return
    this.#wait.forget()
    if (this.#parts.outbox.hasRoom) this.#stopWaiting(this.#reserve())
    else this.#wait.forget = this.#parts.outbox.whenRoom(() => this.#tryRoom())
  }

  #stopWaiting(bytes: number): void {
    const wait = this.#wait
    this.#wait = undefined
    wait?.forget()
    wait?.resolve(bytes)
  }

  #reserve(): number {
    this.#reserved = Math.min(this.#credit, batchBytesMax)
    this.#parts.outbox.reserve(this.#reserved)
    return this.#reserved
  }

  #unreserve(): void {
    const bytes = this.#reserved
    if (bytes === 0) return
    this.#reserved = 0
    this.#parts.outbox.unreserve(bytes)
  }
}

function startOptions(start: Start): SubscribeOptions {
  if (start.kind === 'beginning') return {}
  return start.kind === 'from' ? { from: start.from } : { afterPosition: start.position }
}
