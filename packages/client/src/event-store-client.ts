/**
 * The client behind `connect`: lanes of requests (appends, linearizable reads, local reads; calls travel with the reads), what lives long
 * (subscriptions, memberships), the connections they share, and one ticker, which runs while anything is open or connected.
 */
import { toStart, toStream, toFilter } from './arguments.ts'
import { CallRequest, type Call } from './call-request.ts'
import type {
  Appended,
  AppendOptions,
  AtomicallyAppended,
  AtomicWrites,
  Client,
  QueryOptions,
  QueryResult,
  ReadAllOptions,
  ReadOptions,
  SubscribeOptions,
  SubscriptionMessage,
} from './client.ts'
import { ClientAppends } from './client-appends.ts'
import { BusyError, ClientClosedError, InvalidArgumentError } from './client-error.ts'
import { ClientReads } from './client-reads.ts'
import { zeroCounters, type ClientStatus } from './client-status.ts'
import { ClusterConnections } from './cluster-connections.ts'
import type { ConsumerGroups } from './consumer-groups.ts'
import { decideOnQuery, decideOnStream, type Decided, type DecideOptions, type QueryDecider, type StreamDecider } from './decision.ts'
import type { EventCodec } from './event-codec.ts'
import type { EventFilter, EventQuery } from './event-query.ts'
import { EventSubscription } from './event-subscription.ts'
import type { NewEvent, RecordedEvent } from './event-types.ts'
import { GroupClient } from './group-client.ts'
import { GroupMembership } from './group-membership.ts'
import type { LivingRequest, LongRequestHome } from './long-request.ts'
import type { ClientLimits } from './options.ts'
import { PageRequest } from './page-request.ts'
import type { PendingRequest } from './pending-request.ts'
import { RequestLane, type LaneLimits } from './request-lane.ts'
import { StreamCalls } from './stream-calls.ts'
import type {
  DeleteStreamOptions,
  MetadataOptions,
  StreamInfo,
  StreamInfoOptions,
  StreamMetadata,
  StreamMetadataState,
} from './stream-facts.ts'
import { Ticker, tickMilliseconds } from './ticker.ts'

/** Memberships in groups counted with them. */
const subscriptionsMax = 1024
/** Pages and calls at a time, linearizable and local each; 8 MiB each at most. */
const pagesInFlightMax = 64
const pagesWaitingMax = 16_384
/** For so long after an append the leader is worth a connection. */
const leaderTicks = 10_000 / tickMilliseconds

export class EventStoreClient implements Client {
  readonly groups: ConsumerGroups
  readonly #limits: ClientLimits
  readonly #codec: EventCodec
  readonly #counters = zeroCounters()
  readonly #ticker = new Ticker(() => this.#tick())
  readonly #connections: ClusterConnections
  readonly #appendLane: RequestLane
  readonly #linearizableReads: RequestLane
  readonly #localReads: RequestLane
  readonly #living = new Set<LivingRequest>()
  readonly #home: LongRequestHome
  readonly #appends: ClientAppends
  readonly #reads: ClientReads
  readonly #streams: StreamCalls
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
    this.#appendLane = this.#lane(() => this.#connections.serving(), {
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
    this.#home = this.#longRequestHome()
    this.#appends = new ClientAppends(codec, {
      timeout: limits.appendTimeout,
      counters: this.#counters,
      isClosed: () => this.#closing !== undefined,
      submit: (request) => this.#submitAppend(request),
    })
    this.#reads = new ClientReads(codec, (query, signal) => {
      const request = new PageRequest(query, signal, limits.readTimeout, this.#counters)
      return this.#submit(request, query.consistency === 'local', signal)
    })
    const ask = (call: Call, signal: AbortSignal | undefined): Promise<string> =>
      this.#submit(new CallRequest(call, signal, limits.readTimeout), call.isLocal === true, signal).promise
    this.#streams = new StreamCalls(codec, ask)
    this.groups = new GroupClient(codec, ask, (group, { consumer, signal }) => {
      const membership = { group, consumer, signal, bytesMax: limits.subscriptionBytesMax, timeout: limits.readTimeout }
      return new GroupMembership(membership, this.#codec, this.#home)
    })
  }

  append(stream: string, events: NewEvent | readonly NewEvent[], options: AppendOptions = {}): Promise<Appended> {
    return this.#appends.append(stream, events, options)
  }

  appendAtomically(writes: AtomicWrites, options: { readonly signal?: AbortSignal } = {}): Promise<AtomicallyAppended> {
    return this.#appends.appendAtomically(writes, options)
  }

  decide<S>(source: string | EventQuery, decider: StreamDecider<S> | QueryDecider<S>, options: DecideOptions = {}): Promise<Decided<S>> {
    const store = {
      append: this.append.bind(this),
      appendAtomically: this.appendAtomically.bind(this),
      streamInfo: this.streamInfo.bind(this),
      readStream: this.#reads.readStream.bind(this.#reads),
      readQuery: this.#reads.readQuery.bind(this.#reads),
    }
    // The overloads say which goes with which.
    return typeof source === 'string'
      ? decideOnStream(store, source, decider as StreamDecider<S>, options)
      : decideOnQuery(store, source, decider as QueryDecider<S>, options)
  }

  readStream(stream: string, options: ReadOptions = {}): AsyncIterable<RecordedEvent> {
    return this.#reads.events(stream, options)
  }

  readAll(options: ReadAllOptions = {}): AsyncIterable<RecordedEvent> {
    return this.#reads.events(undefined, options)
  }

  query(filter: EventFilter, options: QueryOptions = {}): Promise<QueryResult> {
    return this.#reads.query(filter, options)
  }

  streamInfo(stream: string, options: StreamInfoOptions = {}): Promise<StreamInfo> {
    return this.#streams.streamInfo(stream, options)
  }

  streamMetadata(stream: string, options: MetadataOptions = {}): Promise<StreamMetadataState> {
    return this.#streams.streamMetadata(stream, options)
  }

  setStreamMetadata(
    stream: string,
    metadata: StreamMetadata,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<StreamMetadataState> {
    return this.#streams.setStreamMetadata(stream, metadata, options)
  }

  deleteStream(stream: string, options: DeleteStreamOptions = {}): Promise<StreamMetadataState> {
    return this.#streams.deleteStream(stream, options)
  }

  subscribe(options: SubscribeOptions = {}): AsyncIterable<SubscriptionMessage> {
    const { stream, from, after, signal } = options
    if (stream !== undefined) toStream(stream)
    const filter = toFilter(options.filter)
    if (stream !== undefined && filter !== undefined) {
      throw new InvalidArgumentError('stream and filter exclude each other: a filter is for all events')
    }
    const { subscriptionBytesMax, readTimeout } = this.#limits
    const range = { stream, filter, start: toStart(from, after), bytesMax: subscriptionBytesMax, timeout: readTimeout, signal }
    return { [Symbol.asyncIterator]: () => new EventSubscription(range, this.#codec, this.#home) }
  }

  status(): ClientStatus {
    return {
      isClosed: this.#closing !== undefined,
      cluster: this.#connections.cluster,
      leader: this.#connections.leader,
      connections: this.#connections.describe(),
      appendsInFlight: this.#appendLane.inFlight,
      appendBytesInFlight: this.#appendLane.bytesInFlight,
      appendsWaiting: this.#appendLane.open - this.#appendLane.inFlight,
      subscriptions: this.#living.size,
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
    for (const request of this.#living) request.fail(closed())
    this.#linearizableReads.failAll(closed)
    this.#localReads.failAll(closed)
    await this.#appendLane.drain()
    this.#connections.close()
    this.#ticker.stop()
  }

  #submitAppend(request: PendingRequest<unknown>): void {
    this.#ticker.start()
    this.#wantsLeaderUntil = this.#ticker.now + leaderTicks
    this.#appendLane.submit(request)
  }

  #submit<R extends PendingRequest<unknown>>(request: R, isLocal: boolean, signal: AbortSignal | undefined): R {
    if (signal?.aborted) request.fail(signal.reason)
    else if (this.#closing !== undefined) request.fail(new ClientClosedError())
    else {
      this.#ticker.start()
      const lane = isLocal ? this.#localReads : this.#linearizableReads
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

  #longRequestHome(): LongRequestHome {
    return {
      now: () => this.#ticker.now,
      target: () => this.#connections.any(),
      serving: () => this.#connections.serving(),
      suspect: (connection, problem) => this.#connections.suspect(connection, problem),
      lastProblem: () => this.#connections.lastProblem,
      onResumed: () => this.#counters.resumptions++,
      onEvents: (count) => (this.#counters.eventsReceived += count),
      enter: (request) => {
        if (this.#closing !== undefined) return new ClientClosedError()
        if (this.#living.size >= subscriptionsMax) return new BusyError(`${subscriptionsMax} subscriptions are open: end some of them`)
        this.#living.add(request)
        this.#ticker.start()
        return undefined
      },
      leave: (request) => this.#living.delete(request),
    }
  }

  get #isBusy(): boolean {
    const requests = this.#appendLane.open + this.#linearizableReads.open + this.#localReads.open
    return requests + this.#living.size > 0
  }

  #wake(): void {
    this.#appendLane.wake()
    this.#linearizableReads.wake()
    this.#localReads.wake()
    for (const request of this.#living) request.wake()
  }

  #pump(): void {
    this.#appendLane.pump()
    this.#linearizableReads.pump()
    this.#localReads.pump()
    for (const request of this.#living) request.place()
  }

  #tick(): void {
    this.#connections.tick()
    this.#appendLane.tick()
    this.#linearizableReads.tick()
    this.#localReads.tick()
    for (const request of this.#living) request.tick()
    this.#pump()
    if (!this.#isBusy && this.#connections.isEmpty) this.#ticker.stop()
  }
}
