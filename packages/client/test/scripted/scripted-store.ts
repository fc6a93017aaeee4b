/** The events that the scripted nodes of a test share: as small as can be, and right about revisions, positions and ids. */
import type { ClientMessage, Expected, NodeMessage, StoredRecord } from '@synod/client-protocol'
import { formatUuid, recordIdOffset, stampRecord } from '@synod/event-record'

type AppendMessage = Extract<ClientMessage, { readonly kind: 'append' }>
type ReadMessage = Extract<ClientMessage, { readonly kind: 'read' }>

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
    const ids = records.map((record) => formatUuid(record.subarray(recordIdOffset, recordIdOffset + 16)))
    const known = ids.map((id) => this.#byId.get(id))
    const last = known.at(-1)
    if (known.every((event) => event?.stream === stream) && last !== undefined) {
      return { kind: 'appended', request, revision: last.revision, position: last.position }
    }
    if (known.some((event) => event !== undefined)) {
      return { kind: 'refused', request, code: 'event_id_conflict', message: 'ids', details: '{}' }
    }
    const events = this.#streams.get(stream) ?? []
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
    this.#streams.set(stream, events)
    for (const [index, view] of records.entries()) {
      const record = new Uint8Array(view) // a Buffer’s slice would share its bytes
      stampRecord(record, Date.parse('2026-11-23T09:00:00.000Z'))
      const event = { stream, revision: events.length, position: this.events.length + 1, record }
      events.push(event)
      this.events.push(event)
      this.#byId.set(ids[index] ?? '', event)
    }
    for (const listener of this.#listeners) listener()
    return { kind: 'appended', request, revision: events.length - 1, position: this.events.length }
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
}

function isAsExpected(expected: Expected, length: number): boolean {
  if (expected === 'any') return true
  if (expected === 'noStream') return length === 0
  return expected === 'streamExists' ? length > 0 : expected === length - 1
}
