/**
 * Subscriptions, and consumers of groups: the store's messages, as they come. Events go in batches, each when the client has
 * given credit for it and the connection has room (credit-room.ts).
 */
import type { ClientMessage, NodeMessage, RequestNumber, Start } from '@synod/client-protocol'
import type { EventStore, GroupConsumer, GroupMessage, SubscribeOptions, SubscriptionMessage } from '@synod/events'
import { busy, unavailable } from '../http/http-error.ts'
import { serving } from '../http/serving.ts'
import type { ConnectionParts } from './connection-parts.ts'
import { CreditRoom } from './credit-room.ts'
import { checkFilterSize } from './filter-size.ts'
import type { OpenRequest } from './open-requests.ts'
import { tooManyRequests } from './refusal.ts'

type Of<K extends ClientMessage['kind']> = Extract<ClientMessage, { kind: K }>

export type SubscribeMessage = Of<'subscribe' | 'subscribeFiltered' | 'consume'>

export class Subscriptions {
  readonly #parts: ConnectionParts
  readonly #open = new Set<Feed>()

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
      if (message.kind === 'subscribeFiltered') checkFilterSize(message.filter)
      const store = message.kind === 'consume' ? serving(node) : node.store()
      const controller = subscriptions.open()
      const feed =
        message.kind === 'consume' ? new Consumption(this.#parts, message, controller) : new Subscription(this.#parts, message, controller)
      requests.open(request, feed)
      this.#open.add(feed)
      void feed.run(store).finally(() => {
        this.#open.delete(feed)
        subscriptions.close(controller)
      })
    } catch (error) {
      refuse(request, error)
    }
  }

  /** Of a request that is no open subscription it is ignored: its end and the credit may have crossed. */
  credit({ request, bytes }: Of<'credit'>): void {
    const open = this.#parts.requests.get(request)
    if (open instanceof Feed) open.room.credit(bytes)
  }

  /** As of credit. */
  settle(message: Of<'acknowledge' | 'reject'>): void {
    const open = this.#parts.requests.get(message.request)
    if (open instanceof Consumption) open.settle(message)
  }

  /** Each ends with a refusal: its client resumes elsewhere. */
  endAll(): void {
    for (const feed of this.#open) feed.end()
  }
}

/** An endless answer. */
abstract class Feed implements OpenRequest {
  readonly room: CreditRoom
  readonly #parts: ConnectionParts
  readonly #request: RequestNumber
  readonly #controller: AbortController
  /** What to do when the node stops. */
  readonly #advice: string

  constructor(parts: ConnectionParts, { request, creditBytes }: SubscribeMessage, controller: AbortController, advice: string) {
    this.#parts = parts
    this.#request = request
    this.#controller = controller
    this.#advice = advice
    this.room = new CreditRoom(parts.outbox, creditBytes, controller.signal)
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
    let why: unknown = unavailable(`this node is stopping: ${this.#advice}`)
    try {
      for await (const message of this.messages(store, { room: () => this.room.ask(), signal: this.#controller.signal })) {
        // The client may have cancelled it while the message was made.
        if (!requests.isOpen(this.#request, this)) break
        this.#send(message)
      }
    } catch (error) {
      why = error
    }
    this.room.release()
    if (requests.close(this.#request, this)) refuse(this.#request, why)
  }

  protected abstract messages(store: EventStore, options: FeedOptions): AsyncIterable<SubscriptionMessage | GroupMessage>

  #send(message: SubscriptionMessage | GroupMessage): void {
    const request = this.#request
    this.#parts.outbox.add(toNodeMessage(request, message))
    if (message.kind !== 'events') return
    let bytes = 0
    for (const { record } of message.events) bytes += record.length
    this.room.spend(bytes)
  }
}

type FeedOptions = Required<Pick<SubscribeOptions, 'room' | 'signal'>>

function toNodeMessage(request: RequestNumber, message: SubscriptionMessage | GroupMessage): NodeMessage {
  if (message.kind !== 'events') return { ...message, request }
  if ('generation' in message) return { kind: 'groupEvents', request, generation: message.generation, events: message.events }
  return { kind: 'events', request, events: message.events }
}

class Subscription extends Feed {
  readonly #options: SubscribeOptions

  constructor(parts: ConnectionParts, message: Of<'subscribe' | 'subscribeFiltered'>, controller: AbortController) {
    super(parts, message, controller, 'subscribe at another one, after the last event that came')
    const { start } = message
    if (message.kind === 'subscribeFiltered') this.#options = { filter: message.filter, ...startOptions(start) }
    else this.#options = { ...(message.stream !== undefined && { stream: message.stream }), ...startOptions(start) }
  }

  protected messages(store: EventStore, options: FeedOptions): AsyncIterable<SubscriptionMessage> {
    return store.subscribe({ ...this.#options, ...options })
  }
}

/** A consumer of a group. */
class Consumption extends Feed {
  readonly #message: Of<'consume'>
  #consumer: GroupConsumer | undefined

  constructor(parts: ConnectionParts, message: Of<'consume'>, controller: AbortController) {
    super(parts, message, controller, 'consume at another one; what is not settled comes again')
    this.#message = message
  }

  /** What comes of it is told by the group. */
  settle(message: Of<'acknowledge' | 'reject'>): void {
    if (message.kind === 'acknowledge') this.#consumer?.acknowledge(message.generation, message.positions)
    else this.#consumer?.reject(message.generation, message.position, message.rejection, message.reason)
  }

  protected messages(store: EventStore, options: FeedOptions): AsyncIterable<GroupMessage> {
    const { group, consumer } = this.#message
    this.#consumer = store.groups.consume(group, { ...options, ...(consumer !== undefined && { consumer }) })
    return this.#consumer.messages()
  }
}

function startOptions(start: Start): SubscribeOptions {
  if (start.kind === 'beginning') return {}
  return start.kind === 'from' ? { from: start.from } : { afterPosition: start.position }
}
