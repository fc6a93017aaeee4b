/** The HTTP layer over a store whose answers a test decides: for what a healthy cluster does not do on demand. */
import { pino } from 'pino'
import { encodeRecord, parseUuid } from '@synod/event-record'
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
} from '@synod/events'
import { nodeConfigSchema, openHttpServer, type HttpLimits } from '@synod/event-store'
import { ScriptedGroups, ScriptedRetention } from './scripted-parts.ts'

export const stored: RecordedEvent = storedWith(Buffer.from('{"big": 12345678901234567890,\n"text":"\\n"}'))

export function storedWith(data: Uint8Array): RecordedEvent {
  const id = parseUuid('00000000-0000-4000-8000-000000000001') ?? new Uint8Array(16)
  const record = encodeRecord({ type: 'Landed', data, tags: ['x', 'y"z'] }, id, Date.UTC(2026, 10, 23))
  return { stream: 'a/b ü', revision: 7, position: 42, record }
}

export class ScriptedStore implements EventStore {
  readonly appends: AppendRequest[] = []
  readonly recordAppends: AppendRecordsRequest[] = []
  readonly reads: (ReadOptions & { readonly stream?: string })[] = []
  readonly subscriptions: SubscribeOptions[] = []
  readonly atomicAppends: (AtomicAppendRequest | AtomicRecordsRequest)[] = []
  readonly queries: QueryOptions[] = []
  readonly infos: (StreamInfoOptions & { readonly stream: string })[] = []
  readonly retention = new ScriptedRetention()
  readonly groups = new ScriptedGroups()
  onAppendAtomically: (this: void, signal: AbortSignal) => Promise<AtomicallyAppended> = async () => ({
    position: 9,
    streams: [
      { stream: 'a', revision: 1 },
      { stream: 'b', revision: 4 },
    ],
  })
  onQuery: (this: void, options: QueryOptions) => Promise<QueryPage> = async () => ({ events: [stored], considered: 42, isEnd: true })
  onStreamInfo: (this: void, options: StreamInfoOptions) => Promise<StreamInfo> = async () => ({
    stream: stored.stream,
    firstRevision: 2,
    lastRevision: 7,
    length: 6,
    lastEvent: stored,
  })
  onAppend: (this: void, signal: AbortSignal) => Promise<Appended> = async () => ({ revision: 1, position: 2 })
  onAppendRecords: (this: void, request: AppendRecordsRequest, signal: AbortSignal) => Promise<Appended> = (_, signal) =>
    this.onAppend(signal)
  onRead: (this: void, signal: AbortSignal) => Promise<readonly RecordedEvent[]> = async () => [stored]
  onSubscribe: (this: void, options: SubscribeOptions) => AsyncIterable<SubscriptionMessage> = async function* () {
    yield { kind: 'events', events: [stored] }
    yield { kind: 'caughtUp', position: 42 }
  }

  append(request: AppendRequest, options: { readonly signal?: AbortSignal } = {}): Promise<Appended> {
    this.appends.push(request)
    return this.onAppend(options.signal ?? new AbortController().signal)
  }

  appendRecords(request: AppendRecordsRequest, options: { readonly signal?: AbortSignal } = {}): Promise<Appended> {
    this.recordAppends.push(request)
    return this.onAppendRecords(request, options.signal ?? new AbortController().signal)
  }

  readStream(stream: string, options: ReadOptions): Promise<readonly RecordedEvent[]> {
    this.reads.push({ stream, ...options })
    return this.onRead(options.signal ?? new AbortController().signal)
  }

  readAll(options: ReadOptions): Promise<readonly RecordedEvent[]> {
    this.reads.push(options)
    return this.onRead(options.signal ?? new AbortController().signal)
  }

  appendAtomically(request: AtomicAppendRequest, options: { readonly signal?: AbortSignal } = {}): Promise<AtomicallyAppended> {
    this.atomicAppends.push(request)
    return this.onAppendAtomically(options.signal ?? new AbortController().signal)
  }

  appendRecordsAtomically(request: AtomicRecordsRequest, options: { readonly signal?: AbortSignal } = {}): Promise<AtomicallyAppended> {
    this.atomicAppends.push(request)
    return this.onAppendAtomically(options.signal ?? new AbortController().signal)
  }

  query(options: QueryOptions): Promise<QueryPage> {
    this.queries.push(options)
    return this.onQuery(options)
  }

  streamInfo(stream: string, options: StreamInfoOptions): Promise<StreamInfo> {
    this.infos.push({ stream, ...options })
    return this.onStreamInfo(options)
  }

  subscribe(options: SubscribeOptions): AsyncIterable<SubscriptionMessage> {
    this.subscriptions.push(options)
    return this.onSubscribe(options)
  }

  position(): number {
    return 42
  }

  async close(): Promise<void> {}
}

export interface Served extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly store: ScriptedStore
  state: 'serving' | 'unavailable' | 'wiped' | 'foreign'
  leader: string | null
  /** What the server counts of its clients' connections. */
  connections(): Readonly<Record<string, number>>
  /** Tells those who listen that the state is another. */
  changed: () => void
  close(): Promise<void>
}

export async function serve(limits: Partial<HttpLimits> = {}, more: { readonly origins?: readonly string[] } = {}): Promise<Served> {
  const store = new ScriptedStore()
  const served = { store, state: 'serving' as Served['state'], leader: 'n1' as string | null, changed: (): void => {} }
  const server = await openHttpServer({
    host: '127.0.0.1',
    port: 0,
    ...more,
    limits: { ...nodeConfigSchema.shape.limits.parse({}), ...limits },
    logger: pino({ level: 'silent' }),
    node: {
      id: 'n1',
      cluster: '0'.repeat(32),
      members: [
        { id: 'n1', url: 'http://127.0.0.1:1' },
        { id: 'n2', url: 'http://127.0.0.1:1' },
      ],
      transport: 'none',
      status: () => ({
        state: served.state,
        ...(served.state !== 'serving' && { why: 'no quorum answers' }),
        role: 'leader',
        leader: served.leader,
        protocol: 'none',
        mode: 'multi',
        epoch: 1,
        decidedSlot: 3,
        appliedSlot: 2,
        position: 42,
      }),
      store: () => store,
      onChange: (listener) => {
        served.changed = listener
        return () => {}
      },
    },
  })
  const close = (): Promise<void> => server.close()
  const { port } = server
  return Object.assign(served, {
    url: `http://127.0.0.1:${port}`,
    port,
    connections: () => server.connections(),
    close,
    [Symbol.asyncDispose]: close,
  })
}

export interface Answer {
  readonly status: number
  readonly body: Record<string, unknown>
  readonly headers: Headers
}

export async function ask(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, init)
  const text = await response.text()
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>), headers: response.headers }
}

export function post(url: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): Promise<Answer> {
  return ask(url, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } })
}
