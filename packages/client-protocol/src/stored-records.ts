/**
 * Events in a node's message: names once each, as a page of one stream has one.
 *
 *   events = [name string]… · [stream u32 (place among the names) · revision u53 · position u53 · record bytes · more]…
 */
import { MalformedError, type ByteReader, type ByteWriter } from '@synod/codec'
import type { StoredRecord } from './messages.ts'

/** Stream, revision, position and length of an event in a page. */
export const storedRecordHeadBytes = 24

/** `more` writes what stands behind each. */
export function writeEvents<E extends StoredRecord>(writer: ByteWriter, events: readonly E[], more?: (event: E) => void): void {
  const places = new Map<string, number>()
  for (const { stream } of events) if (!places.has(stream)) places.set(stream, places.size)
  writer.u32(places.size)
  for (const name of places.keys()) writer.string(name)
  writer.u32(events.length)
  for (const event of events) {
    const { stream, revision, position, record } = event
    writer
      .u32(places.get(stream) ?? 0)
      .u53(revision)
      .u53(position)
      .bytes(record)
    more?.(event)
  }
}

export function readEvents(body: ByteReader): StoredRecord[]
/** `more` reads what stands behind each: so many bytes. */
export function readEvents<M extends object>(body: ByteReader, more: () => M, moreBytes: number): (StoredRecord & M)[]
export function readEvents(body: ByteReader, more?: () => object, moreBytes = 0): StoredRecord[] {
  const names = Array.from({ length: body.count(4) }, () => body.string())
  return Array.from({ length: body.count(storedRecordHeadBytes + moreBytes) }, () => {
    const place = body.u32()
    const stream = names[place]
    if (stream === undefined) throw new MalformedError(`stream ${place} of ${names.length}`)
    const stored = { stream, revision: body.u53(), position: body.u53(), record: body.bytes() }
    return more === undefined ? stored : { ...stored, ...more() }
  })
}
