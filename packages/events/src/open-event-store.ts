/** The EventStore on a log and its machine. */
import type { Bytes } from '@synod/codec'
import { drawUuid, formatUuid } from '@synod/event-record'
import type { OrderedLog } from '@synod/log'
import { checkEventLimits, eventLimits, type EventLimits } from './event-limits.ts'
import type { EventMachine } from './event-machine.ts'
import { EventReader } from './event-reader.ts'
import type {
  Appended,
  AppendRecordsRequest,
  AppendRequest,
  AtomicallyAppended,
  AtomicAppendRequest,
  AtomicRecordsRequest,
  EventStore,
  QueryOptions,
  QueryPage,
  ReadOptions,
  RecordedEvent,
  StreamInfo,
  StreamInfoOptions,
  SubscribeOptions,
  SubscriptionMessage,
} from './event-store.ts'
import { StoreGroups } from './groups/store-groups.ts'
import { StoreRetention } from './retention/store-retention.ts'
import type { StreamRetention } from './retention/stream-retention.ts'
import { StoreAppends } from './store-appends.ts'
import { StoreProposing } from './store-proposing.ts'
import { StoreReads } from './store-reads.ts'
import { StoreSubscriptions } from './store-subscriptions.ts'
import type { Verdict } from './verdict.ts'

export interface OpenEventStoreOptions {
  readonly log: OrderedLog<Verdict>
  /** The one that the log applies to. */
  readonly machine: EventMachine
  readonly limits?: Partial<EventLimits>
  /** Milliseconds since 1970, for `recordedAt`. */
  readonly now?: () => number
  /** The id of an event that came without one: 16 bytes, never the same twice. Default: a random UUID. */
  readonly drawId?: () => Bytes
  /** Names this node where groups tell of it. */
  readonly node?: string
}

/** Closing the store ends its subscriptions; the log, and with it the machine, is closed by whoever opened it, afterwards. Throws a RangeError for a limit that makes no sense. */
export function openEventStore(options: OpenEventStoreOptions): OpenedEventStore {
  return new LogEventStore(options)
}

export interface OpenedEventStore extends EventStore {
  /** What is open, held and waited for now, with its bounds; names become metric labels. */
  counters(): Readonly<Record<string, number>>
}

type Signalled = { readonly signal?: AbortSignal }

class LogEventStore implements OpenedEventStore {
  readonly retention: StreamRetention
  readonly groups: StoreGroups
  readonly #machine: EventMachine
  readonly #proposing: StoreProposing
  readonly #appends: StoreAppends
  readonly #reads: StoreReads
  readonly #subscriptions: StoreSubscriptions

  constructor({ log, machine, limits: given = {}, now = Date.now, drawId = drawUuid, node = '' }: OpenEventStoreOptions) {
    const limits = checkEventLimits({ ...eventLimits, ...given })
    const reader = new EventReader(machine.index, log)
    this.#machine = machine
    this.#proposing = new StoreProposing(log, machine.index.scheduler)
    this.#appends = new StoreAppends(this.#proposing, limits, now, drawId)
    this.#reads = new StoreReads(log, machine, limits, reader, this.#proposing)
    this.#subscriptions = new StoreSubscriptions(machine.index, limits, reader, this.#proposing)
    this.retention = new StoreRetention(this.#proposing, log, machine, limits)
    const instance = formatUuid(drawId())
    this.groups = new StoreGroups({ proposing: this.#proposing, log, machine, reader, limits, node, instance })
  }

  append(request: AppendRequest, options: Signalled = {}): Promise<Appended> {
    return this.#appends.append(request, options)
  }

  appendRecords(request: AppendRecordsRequest, options: Signalled = {}): Promise<Appended> {
    return this.#appends.appendRecords(request, options)
  }

  appendAtomically(request: AtomicAppendRequest, options: Signalled = {}): Promise<AtomicallyAppended> {
    return this.#appends.appendAtomically(request, options)
  }

  appendRecordsAtomically(request: AtomicRecordsRequest, options: Signalled = {}): Promise<AtomicallyAppended> {
    return this.#appends.appendRecordsAtomically(request, options)
  }

  readStream(stream: string, options: ReadOptions): Promise<readonly RecordedEvent[]> {
    return this.#reads.readStream(stream, options)
  }

  readAll(options: ReadOptions): Promise<readonly RecordedEvent[]> {
    return this.#reads.readAll(options)
  }

  query(options: QueryOptions): Promise<QueryPage> {
    return this.#reads.query(options)
  }

  streamInfo(stream: string, options: StreamInfoOptions): Promise<StreamInfo> {
    return this.#reads.streamInfo(stream, options)
  }

  subscribe(options: SubscribeOptions): AsyncIterable<SubscriptionMessage> {
    return this.#subscriptions.subscribe(options)
  }

  position(): number {
    return this.#machine.position()
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#subscriptions.counters(), ...this.#reads.counters(), ...this.groups.counters() }
  }

  async close(): Promise<void> {
    this.#reads.close()
    this.#subscriptions.close()
    const left = this.groups.close()
    // Consumers still have something to say.
    if (!this.groups.isIdle) await left
    this.#proposing.close()
  }
}
