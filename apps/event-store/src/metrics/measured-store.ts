/** An EventStore whose appends and reads are timed, whoever calls it: HTTP, or a client's connection. */
import {
  EventStoreError,
  type Appended,
  type AppendRecordsRequest,
  type AppendRequest,
  type AtomicallyAppended,
  type AtomicAppendRequest,
  type AtomicRecordsRequest,
  type ConsumerGroups,
  type EventStore,
  type QueryOptions,
  type QueryPage,
  type ReadOptions,
  type RecordedEvent,
  type StreamInfo,
  type StreamInfoOptions,
  type StreamRetention,
  type SubscribeOptions,
  type SubscriptionMessage,
} from '@synod/events'
import type { NodeMetrics } from './node-metrics.ts'

export class MeasuredStore implements EventStore {
  readonly #inner: EventStore
  readonly #metrics: Pick<NodeMetrics, 'appended' | 'appendedConditionally' | 'read'>

  constructor(inner: EventStore, metrics: Pick<NodeMetrics, 'appended' | 'appendedConditionally' | 'read'>) {
    this.#inner = inner
    this.#metrics = metrics
  }

  append(request: AppendRequest, options?: { readonly signal?: AbortSignal }): Promise<Appended> {
    return this.#timedAppend(() => this.#inner.append(request, options))
  }

  appendRecords(request: AppendRecordsRequest, options?: { readonly signal?: AbortSignal }): Promise<Appended> {
    return this.#timedAppend(() => this.#inner.appendRecords(request, options))
  }

  readStream(stream: string, options: ReadOptions): Promise<readonly RecordedEvent[]> {
    return this.#timed('stream', options, () => this.#inner.readStream(stream, options))
  }

  readAll(options: ReadOptions): Promise<readonly RecordedEvent[]> {
    return this.#timed('all', options, () => this.#inner.readAll(options))
  }

  appendAtomically(request: AtomicAppendRequest, options?: { readonly signal?: AbortSignal }): Promise<AtomicallyAppended> {
    return this.#counted(
      request,
      this.#timedAppend(() => this.#inner.appendAtomically(request, options)),
    )
  }

  appendRecordsAtomically(request: AtomicRecordsRequest, options?: { readonly signal?: AbortSignal }): Promise<AtomicallyAppended> {
    return this.#counted(
      request,
      this.#timedAppend(() => this.#inner.appendRecordsAtomically(request, options)),
    )
  }

  query(options: QueryOptions): Promise<QueryPage> {
    return this.#timed('all', options, () => this.#inner.query(options))
  }

  streamInfo(stream: string, options: StreamInfoOptions): Promise<StreamInfo> {
    return this.#timed('stream', options, () => this.#inner.streamInfo(stream, options))
  }

  get retention(): StreamRetention {
    return this.#inner.retention
  }

  get groups(): ConsumerGroups {
    return this.#inner.groups
  }

  /** Not counted message by message: what is open is counted inside. */
  subscribe(options: SubscribeOptions): AsyncIterable<SubscriptionMessage> {
    return this.#inner.subscribe(options)
  }

  position(): number {
    return this.#inner.position()
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  #counted<T>({ condition }: Pick<AtomicAppendRequest, 'condition'>, appended: Promise<T>): Promise<T> {
    if (condition === undefined) return appended
    appended.then(
      () => this.#metrics.appendedConditionally('appended'),
      (error: unknown) => this.#metrics.appendedConditionally(codeOf(error)),
    )
    return appended
  }

  #timedAppend<T>(run: () => Promise<T>): Promise<T> {
    const begun = performance.now()
    const appended = run()
    appended.then(
      () => this.#metrics.appended('appended', performance.now() - begun),
      (error: unknown) => this.#metrics.appended(codeOf(error), performance.now() - begun),
    )
    return appended
  }

  #timed<T>(what: 'stream' | 'all', { consistency }: Pick<ReadOptions, 'consistency'>, run: () => Promise<T>): Promise<T> {
    const begun = performance.now()
    const page = run()
    page.then(
      () => this.#metrics.read(what, consistency, 'ok', performance.now() - begun),
      (error: unknown) => this.#metrics.read(what, consistency, codeOf(error), performance.now() - begun),
    )
    return page
  }
}

function codeOf(error: unknown): string {
  return error instanceof EventStoreError ? error.code : 'internal'
}
