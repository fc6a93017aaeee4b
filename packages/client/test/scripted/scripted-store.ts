/** The events that the scripted nodes of a test share: as small as can be, and right about revisions, positions and ids. */
import type { ClientMessage, EventFilter, Expected, NodeMessage, QueryItem, StoredRecord } from '@synod/client-protocol'
import type { Bytes } from '@synod/codec'
import { decodeRecord, formatUuid, recordIdOffset, stampRecord } from '@synod/event-record'

type AppendMessage = Extract<ClientMessage, { readonly kind: 'append' }>
type AtomicMessage = Extract<ClientMessage, { readonly kind: 'appendAtomically' }>
type ReadMessage = Extract<ClientMessage, { readonly kind: 'read' }>
type QueryMessage = Extract<ClientMessage, { readonly kind: 'query' }>

export class ScriptedStore {
  readonly events: StoredRecord[] = []
  readonly #streams = new Map<string, StoredRecord[]>()
  readonly #byId = new Map<string, StoredRecord>()
  readonly #listeners = new Set<() => void>()

  /** Called after each append. */
  onAppended(listener: () => void): void {
    this.#listeners.add(listener)
  }

  stream(name: string): readonly StoredRecord[] {
    return this.#streams.get(name) ?? []
  }

  append({ request, stream, expected, records }: AppendMessage): NodeMessage {
    const known = records.map((record) => this.#byId.get(idOf(record)))
    const last = known.at(-1)
    if (known.every((event) => event?.stream === stream) && last !== undefined) {
      return { kind: 'appended', request, revision: last.revision, position: last.position }
    }
    if (known.some((event) => event !== undefined)) {
      return { kind: 'refused', request, code: 'event_id_conflict', message: 'ids', details: '{}' }
    }
    const events = this.stream(stream)
    if (!isAsExpected(expected, events.length)) {
      const actual = events.length === 0 ? 'noStream' : events.length - 1
      return {
        kind: 'refused',
        request,
        code: 'wrong_expected_revision',
        message: 'no',
        details: JSON.stringify({ stream, expected, actual }),
      }
    }
    this.#write(stream, records)
    for (const listener of this.#listeners) listener()
    return { kind: 'appended', request, revision: this.stream(stream).length - 1, position: this.events.length }
  }

  appendAtomically({ request, writes, checks, condition }: AtomicMessage): NodeMessage {
    const known = writes.map(({ records }) => records.map((record) => this.#byId.get(idOf(record))))
    if (known.flat().every((event) => event !== undefined)) {
      const revisions = known.map((events) => events.at(-1)?.revision ?? 0)
      return { kind: 'atomicallyAppended', request, position: known.at(-1)?.at(-1)?.position ?? 0, revisions }
    }
    const violations: unknown[] = []
    for (const { stream, expected } of [...writes, ...checks]) {
      const { length } = this.stream(stream)
      if (isAsExpected(expected, length)) continue
      violations.push({ kind: 'revision', stream, expected, actual: length === 0 ? 'noStream' : length - 1 })
    }
    const match = this.events.find(
      (event) =>
        event.position > (condition?.after ?? 0) && passes(event, condition?.failIfEventsMatch ?? { items: [{ types: ['none'] }] }),
    )
    const code = violations.length > 0 ? 'wrong_expected_revision' : 'condition_failed'
    if (match !== undefined) violations.push({ kind: 'condition', position: match.position })
    if (violations.length > 0) return { kind: 'refused', request, code, message: 'no', details: JSON.stringify({ violations }) }
    const revisions = writes.map(({ stream, records }) => this.#write(stream, records))
    for (const listener of this.#listeners) listener()
    return { kind: 'atomicallyAppended', request, position: this.events.length, revisions }
  }

  /** Looks at no more than so many events a page, so that pages without a match are seen too. */
  query({ request, filter, from, direction, limit }: QueryMessage, scanMax = 16): NodeMessage {
    const isForward = direction === 'forward'
    const events: StoredRecord[] = []
    let at = isForward ? Math.max(1, from ?? 1) : Math.min(from ?? this.events.length, this.events.length)
    let considered = isForward ? at - 1 : at + 1
    for (let scanned = 0; scanned < scanMax && events.length < limit; scanned++) {
      const event = this.events[at - 1]
      if (event === undefined) break
      if (passes(event, filter)) events.push(event)
      considered = at
      at += isForward ? 1 : -1
    }
    return { kind: 'queryPage', request, events, considered, isEnd: this.events[at - 1] === undefined }
  }

  read({ request, stream, from, direction, limit }: ReadMessage): NodeMessage {
    const all = stream === undefined ? this.events : this.stream(stream)
    if (stream !== undefined && all.length === 0) {
      return { kind: 'refused', request, code: 'stream_not_found', message: 'none', details: '{}' }
    }
    const first = Math.max(0, (from ?? 0) - (stream === undefined ? 1 : 0))
    if (direction === 'forward') return { kind: 'page', request, events: all.slice(first, first + limit) }
    const end = from === undefined ? all.length : first + 1
    return { kind: 'page', request, events: all.slice(Math.max(0, end - limit), end).toReversed() }
  }

  /** The revision of the last one. */
  #write(stream: string, records: readonly Bytes[]): number {
    const events = this.#streams.get(stream) ?? []
    this.#streams.set(stream, events)
    for (const view of records) {
      const record = new Uint8Array(view) // a Buffer’s slice would share its bytes
      stampRecord(record, Date.parse('2026-11-23T09:00:00.000Z'))
      const event = { stream, revision: events.length, position: this.events.length + 1, record }
      events.push(event)
      this.events.push(event)
      this.#byId.set(idOf(record), event)
    }
    return events.length - 1
  }
}

export function passes({ stream, record }: StoredRecord, { items = [], prefixes = [], categories = [] }: EventFilter): boolean {
  const { type, tags } = decodeRecord(record)
  const matches = (item: QueryItem): boolean =>
    (item.types === undefined || item.types.includes(type)) && (item.tags ?? []).every((tag) => tags.includes(tag))
  return (
    (items.length === 0 || items.some(matches)) &&
    (prefixes.length === 0 || prefixes.some((prefix) => stream.startsWith(prefix))) &&
    (categories.length === 0 || categories.includes(stream.split('-')[0] ?? ''))
  )
}

function idOf(record: Bytes): string {
  return formatUuid(record.subarray(recordIdOffset, recordIdOffset + 16))
}

function isAsExpected(expected: Expected, length: number): boolean {
  if (expected === 'any') return true
  if (expected === 'noStream') return length === 0
  return expected === 'streamExists' ? length > 0 : expected === length - 1
}
