/**
 * The client behind `connect`: three lanes of requests (appends, linearizable reads, local reads), the subscriptions, the connections they
 * share, and one ticker, which runs while anything is open or connected.
 */
import type { Bytes } from '@synod/codec'
import { AppendRequest } from './append-request.ts'
import type { Appended, AppendOptions, Client, Expected, ReadOptions, SubscribeOptions, SubscriptionMessage } from './client.ts'
import { BusyError, ClientClosedError, InvalidArgumentError, TooLargeError } from './client-error.ts'
import { zeroCounters, type ClientStatus } from './client-status.ts'
import { ClusterConnections } from './cluster-connections.ts'
import type { EventCodec } from './event-codec.ts'
import { EventReading } from './event-reading.ts'
import { EventSubscription, type SubscriptionHome } from './event-subscription.ts'
import type { NewEvent, RecordedEvent } from './event-types.ts'
import { messageBytesMax } from './node-connection.ts'
import type { ClientLimits } from './options.ts'
import { PageRequest, type PageQuery } from './page-request.ts'
import { toExpected, toFrom, toLimit, toStart, toStream, toWord } from './arguments.ts'
import { RequestLane, type LaneLimits } from './request-lane.ts'
import { Ticker, tickMilliseconds } from './ticker.ts'

const subscriptionsMax = 1024
/** Pages asked for at a time, linearizable and local each; 8 MiB each at most. */
const pagesInFlightMax = 64
const pagesWaitingMax = 16_384
/** For so long after an append the leader is worth a connection. */
const leaderTicks = 10_000 / tickMilliseconds

export class EventStoreClient implements Client {
  readonly #limits: ClientLimits
  readonly #codec: EventCodec
  readonly #counters = zeroCounters()
  readonly #ticker = new Ticker(() => this.#tick())
  readonly #connections: ClusterConnections
  readonly #appends: RequestLane
  readonly #linearizableReads: RequestLane
  readonly #localReads: RequestLane
  readonly #subscriptions = new Set<EventSubscription>()
  readonly #home: SubscriptionHome
  #wantsLeaderUntil = 0
  #closing: Promise<void> | undefined

  constructor(nodes: readonly string[], limits: ClientLimits, codec: EventCodec) {
    this.#limits = limits
    this.#codec = codec
    this.#connections = new ClusterConnections(
      nodes,
      this.#ticker,
      this.#counters,
      () => ({ any: this.#isBusy, leader: this.#ticker.now < this.#wantsLeaderUntil }),
      (servesAgain) => (servesAgain ? this.#wake() : this.#pump()),
    )
    this.#appends = this.#lane(() => this.#connections.serving(), {
      timeoutMilliseconds: limits.appendTimeout,
      inFlightMax: limits.appendsInFlightMax,
      bytesInFlightMax: limits.appendBytesInFlightMax,
      waitingMax: limits.appendsWaitingMax,
      bytesWaitingMax: limits.appendBytesWaitingMax,
    })
    const reads = {
      timeoutMilliseconds: limits.readTimeout,
      inFlightMax: pagesInFlightMax,
      bytesInFlightMax: Infinity,
      waitingMax: pagesWaitingMax,
      bytesWaitingMax: Infinity,
    }
    this.#linearizableReads = this.#lane(() => this.#connections.serving(), reads)
    this.#localReads = this.#lane(() => this.#connections.any(), reads)
    this.#home = this.#subscriptionHome()
  }

  append(stream: string, events: NewEvent | readonly NewEvent[], options: AppendOptions = {}): Promise<Appended> {
    try {
      const expected = toExpected(options.expected)
      toStream(stream)
      options.signal?.throwIfAborted()
      if (this.#closing !== undefined) throw new ClientClosedError()
      const list = Array.isArray(events) ? (events as readonly NewEvent[]) : [events as NewEvent]
      if (list.length === 0) throw new InvalidArgumentError('an append needs at least one event')
      const records = this.#codec.encode(list)
      return records instanceof Promise
        ? records.then((checked) => this.#append(stream, expected, checked, options.signal))
        : this.#append(stream, expected, records, options.signal)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  readStream(stream: string, options: ReadOptions = {}): AsyncIterable<RecordedEvent> {
    return this.#read(stream, options)
  }

  readAll(options: ReadOptions = {}): AsyncIterable<RecordedEvent> {
    return this.#read(undefined, options)
  }

  subscribe(options: SubscribeOptions = {}): AsyncIterable<SubscriptionMessage> {
    const { stream, from, after, signal } = options
    if (stream !== undefined) toStream(stream)
    const { subscriptionBytesMax, readTimeout } = this.#limits
    const range = { stream, start: toStart(from, after), bytesMax: subscriptionBytesMax, timeout: readTimeout, signal }
    return { [Symbol.asyncIterator]: () => new EventSubscription(range, this.#codec, this.#home) }
  }

  status(): ClientStatus {
    return {
      isClosed: this.#closing !== undefined,
      cluster: this.#connections.cluster,
      leader: this.#connections.leader,
      connections: this.#connections.describe(),
      appendsInFlight: this.#appends.inFlight,
      appendBytesInFlight: this.#appends.bytesInFlight,
      appendsWaiting: this.#appends.open - this.#appends.inFlight,
      subscriptions: this.#subscriptions.size,
      lastProblem: this.#connections.lastProblem,
      counters: { ...this.#counters },
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    const closed = (): Error => new ClientClosedError()
    for (const subscription of this.#subscriptions) subscription.fail(closed())
    this.#linearizableReads.failAll(closed)
    this.#localReads.failAll(closed)
    await this.#appends.drain()
    this.#connections.close()
    this.#ticker.stop()
  }

  #append(stream: string, expected: Expected, records: readonly Bytes[], signal: AbortSignal | undefined): Promise<Appended> {
    const bytes = records.reduce((sum, record) => sum + record.length, 0)
    if (bytes > messageBytesMax)
      throw new TooLargeError(`an append of ${bytes} bytes: at most ${messageBytesMax} fit into a message, split it`)
    const request = new AppendRequest(stream, expected, records, bytes, signal, this.#limits.appendTimeout, this.#counters)
    // A check that takes its time may have seen either come.
    if (signal?.aborted) request.fail(signal.reason)
    else if (this.#closing !== undefined) request.fail(new ClientClosedError())
    else {
      this.#ticker.start()
      this.#wantsLeaderUntil = this.#ticker.now + leaderTicks
      this.#appends.submit(request)
    }
    return request.promise
  }

  #read(stream: string | undefined, options: ReadOptions): AsyncIterable<RecordedEvent> {
    if (stream !== undefined) toStream(stream)
    const { signal } = options
    const range = {
      stream,
      from: toFrom(options.from, 'from'),
      direction: toWord(options.direction, 'direction', ['forward', 'backward']),
      consistency: toWord(options.consistency, 'consistency', ['linearizable', 'local']),
      limit: toLimit(options.limit),
      signal,
    }
    return { [Symbol.asyncIterator]: () => new EventReading(range, this.#codec, (query) => this.#ask(query, signal)) }
  }

  #ask(query: PageQuery, signal: AbortSignal | undefined): PageRequest {
    const request = new PageRequest(query, signal, this.#limits.readTimeout, this.#counters)
    if (signal?.aborted) request.fail(signal.reason)
    else if (this.#closing !== undefined) request.fail(new ClientClosedError())
    else {
      this.#ticker.start()
      const lane = query.consistency === 'local' ? this.#localReads : this.#linearizableReads
      lane.submit(request)
    }
    return request
  }

  #lane(target: () => ReturnType<ClusterConnections['serving']>, limits: LaneLimits): RequestLane {
    return new RequestLane({
      limits,
      ticker: this.#ticker,
      target,
      suspect: (connection, problem) => this.#connections.suspect(connection, problem),
      onRetry: () => this.#counters.retries++,
      lastProblem: () => this.#connections.lastProblem,
    })
  }

  #subscriptionHome(): SubscriptionHome {
    return {
      now: () => this.#ticker.now,
      target: () => this.#connections.any(),
      serving: () => this.#connections.serving(),
      suspect: (connection, problem) => this.#connections.suspect(connection, problem),
      lastProblem: () => this.#connections.lastProblem,
      onResumed: () => this.#counters.resumptions++,
      onEvents: (count) => (this.#counters.eventsReceived += count),
      enter: (subscription) => {
        if (this.#closing !== undefined) return new ClientClosedError()
        if (this.#subscriptions.size >= subscriptionsMax)
          return new BusyError(`${subscriptionsMax} subscriptions are open: end some of them`)
        this.#subscriptions.add(subscription)
        this.#ticker.start()
        return undefined
      },
      leave: (subscription) => this.#subscriptions.delete(subscription),
    }
  }

  get #isBusy(): boolean {
    const requests = this.#appends.open + this.#linearizableReads.open + this.#localReads.open
    return requests + this.#subscriptions.size > 0
  }

  #wake(): void {
    this.#appends.wake()
    this.#linearizableReads.wake()
    this.#localReads.wake()
    for (const subscription of this.#subscriptions) subscription.wake()
  }

  #pump(): void {
    this.#appends.pump()
    this.#linearizableReads.pump()
    this.#localReads.pump()
    for (const subscription of this.#subscriptions) subscription.place()
  }

  #tick(): void {
    this.#connections.tick()
    this.#appends.tick()
    this.#linearizableReads.tick()
    this.#localReads.tick()
    for (const subscription of this.#subscriptions) subscription.tick()
    this.#pump()
    if (!this.#isBusy && this.#connections.isEmpty) this.#ticker.stop()
  }
}
