/**
 * Answers are built from bytes: an event's data and metadata are JSON text already and are never parsed on the way out, so
 * that a number with twenty digits comes back as it was sent. One encoding serves reads and subscriptions alike.
 */
import type { Bytes } from '@synod/codec'
import { decodeRecord } from '@synod/event-record'
import type { QueryPage, RecordedEvent } from '@synod/events'

const lineFeed = 0x0a
const carriageReturn = 0x0d
const space = 0x20

/** `{stream, revision, position, id, type, data, metadata, tags, recordedAt}` as UTF-8 without a line break. */
export function encodeEvent({ stream, revision, position, record }: RecordedEvent): Buffer {
  const event = decodeRecord(record)
  const head =
    `{"stream":${JSON.stringify(stream)},"revision":${revision},"position":${position},` +
    `"id":${JSON.stringify(event.id)},"type":${JSON.stringify(event.type)},"data":`
  const tail = `,"tags":${JSON.stringify(event.tags)},"recordedAt":"${new Date(event.recordedAt).toISOString()}"}`
  const metadata = event.metadata === undefined ? 'null' : oneLine(event.metadata)
  return Buffer.concat([
    Buffer.from(head),
    oneLine(event.data),
    Buffer.from(',"metadata":'),
    typeof metadata === 'string' ? Buffer.from(metadata) : metadata,
    Buffer.from(tail),
  ])
}

export function encodePage(events: readonly RecordedEvent[]): Buffer {
  return encodeList('{"events":[', events.map(encodeEvent), ']}')
}

/** A page that says how far was looked, too. */
export function encodeQueryPage({ events, considered, isEnd }: QueryPage): Buffer {
  return encodeList('{"events":[', events.map(encodeEvent), `],"considered":${considered},"isEnd":${isEnd}}`)
}

/** Commas between what is JSON already. */
export function encodeList(before: string, parts: readonly Buffer[], after: string): Buffer {
  const list: Buffer[] = [Buffer.from(before)]
  for (const [index, part] of parts.entries()) {
    if (index > 0) list.push(Buffer.from(','))
    list.push(part)
  }
  list.push(Buffer.from(after))
  return Buffer.concat(list)
}

/** Inside a JSON string a line break is always escaped, so a bare one is white space, and a blank is the same document. */
function oneLine(json: Bytes): Buffer {
  const bytes = Buffer.from(json.buffer, json.byteOffset, json.byteLength)
  if (!bytes.includes(lineFeed) && !bytes.includes(carriageReturn)) return bytes
  return Buffer.from(bytes.map((byte) => (byte === lineFeed || byte === carriageReturn ? space : byte)))
}
