/** Checks what a caller gave and makes the command of it. The types promise much of this; a caller over HTTP does not. */
import { createHash, type Hash } from 'node:crypto'
import { ByteWriter, MalformedError, type Bytes } from '@synod/codec'
import { decodeRecordBody, encodeRecord, parseUuid, recordIdOffset, stampRecord, type RecordBody } from '@synod/event-record'
import type { SessionCommand } from '@synod/log'
import { digestBytes, encodeAppendCommand } from './append-command.ts'
import { plainAppendVersion } from './command-kinds.ts'
import { tooLarge, type EventLimits } from './event-limits.ts'
import type { AppendRecordsRequest, AppendRequest, Expected, ProposedEvent } from './event-store.ts'
import { EventStoreError } from './event-store-error.ts'

/** What this node adds to a request. */
export interface Added {
  readonly recordedAt: number
  readonly drawId: () => Bytes
}

/** Throws an EventStoreError `invalid_argument` or `too_large`. */
export function appendCommand(request: AppendRequest, limits: EventLimits, { recordedAt, drawId }: Added): SessionCommand {
  const { stream, events, expected, idempotencyKey, principal = '' } = request
  checkTarget(stream, expected, principal, limits)
  checkCount(events, limits)
  let bytes = 0
  const ids = events.map((event: ProposedEvent, at) => {
    bytes += checkEvent(event, at, limits)
    if (bytes > limits.requestBytesMax) throw tooLarge('bytes of a request', bytes, limits.requestBytesMax)
    return checkId(event, at)
  })
  checkNoneTwice(ids)
  const blobs = events.map((event, at) => encodeRecord(event, ids[at] ?? drawId(), recordedAt))
  const writes = [{ stream, expected, count: blobs.length }]
  if (idempotencyKey === undefined) return { version: plainAppendVersion, principal, body: encodeAppendCommand({ writes }), blobs }
  checkKey(idempotencyKey, limits)
  const hash = createHash('sha256')
  digestWrite(hash, { stream, expected, events }, ids)
  const key = { key: idempotencyKey, digest: hash.digest().subarray(0, digestBytes) }
  return { version: plainAppendVersion, principal, body: encodeAppendCommand({ writes, key }), blobs }
}

/** Of records that the caller encoded. Writes the time into them, when all is well. Throws an EventStoreError `invalid_argument` or `too_large`. */
export function recordsCommand(request: AppendRecordsRequest, limits: EventLimits, recordedAt: number): SessionCommand {
  const { stream, records, expected, principal = '' } = request
  checkTarget(stream, expected, principal, limits)
  checkCount(records, limits)
  let bytes = 0
  for (const [at, record] of records.entries()) {
    bytes += checkEvent(bodyOf(record, at), at, limits)
    if (bytes > limits.requestBytesMax) throw tooLarge('bytes of a request', bytes, limits.requestBytesMax)
  }
  if (records.length > 1) checkNoneTwice(records.map((record) => record.subarray(recordIdOffset, recordIdOffset + 16)))
  for (const record of records) stampRecord(record, recordedAt)
  const body = encodeAppendCommand({ writes: [{ stream, expected, count: records.length }] })
  return { version: plainAppendVersion, principal, body, blobs: records }
}

export function bodyOf(record: Bytes, at: number): RecordBody {
  try {
    return decodeRecordBody(record)
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    throw invalid(`event ${at} is no record: ${error.message}`)
  }
}

export function checkTarget(stream: string, expected: Expected, principal: string, limits: EventLimits): void {
  checkStreamName(stream, limits)
  if (stream.startsWith('$')) throw invalid(`stream ${JSON.stringify(stream)}: names that begin with $ are reserved`)
  checkExpected(expected)
  checkText('principal', principal, limits.principalBytesMax)
}

export function checkCount(events: readonly unknown[], limits: EventLimits): void {
  if (!Array.isArray(events) || events.length === 0) throw invalid('events must be a list of at least one event')
  if (events.length > limits.requestEventsMax) throw tooLarge('events in a request', events.length, limits.requestEventsMax)
}

/** Of reads too. Names that begin with `$` may be asked for. */
export function checkStreamName(stream: string, limits: EventLimits): void {
  checkText('stream name', stream, limits.streamNameBytesMax)
  if (stream === '') throw invalid('stream name must not be empty')
}

export function invalid(message: string): EventStoreError {
  return new EventStoreError('invalid_argument', message)
}

export function checkExpected(expected: Expected): void {
  if (expected === 'any' || expected === 'noStream' || expected === 'streamExists') return
  if (typeof expected === 'number' && Number.isSafeInteger(expected) && expected >= 0) return
  throw invalid(`expected must be any, noStream, streamExists or a revision (an integer from 0 to 2^53 - 1), not ${describe(expected)}`)
}

/** Returns its bytes. */
export function checkEvent(event: ProposedEvent | RecordBody, at: number, limits: EventLimits): number {
  if (typeof event !== 'object' || event === null) throw invalid(`event ${at} must be an object, not ${describe(event)}`)
  const { type, data, metadata, tags = [] } = event
  let bytes = checkText(`type of event ${at}`, type, limits.typeBytesMax)
  if (type === '') throw invalid(`type of event ${at} must not be empty`)
  if (type.startsWith('$')) throw invalid(`type of event ${at}, ${JSON.stringify(type)}: names that begin with $ are reserved`)
  if (!(data instanceof Uint8Array)) throw invalid(`data of event ${at} must be bytes, not ${describe(data)}`)
  if (metadata !== undefined && !(metadata instanceof Uint8Array))
    throw invalid(`metadata of event ${at} must be bytes, not ${describe(metadata)}`)
  if (!Array.isArray(tags)) throw invalid(`tags of event ${at} must be a list of texts, not ${describe(tags)}`)
  if (tags.length > limits.tagsMax) throw tooLarge(`tags of event ${at}`, tags.length, limits.tagsMax)
  for (const tag of tags as readonly string[]) {
    bytes += checkText(`a tag of event ${at}`, tag, limits.tagBytesMax)
    if (tag === '') throw invalid(`a tag of event ${at} must not be empty`)
  }
  bytes += data.length + (metadata?.length ?? 0)
  if (bytes > limits.eventBytesMax) throw tooLarge(`bytes of event ${at}`, bytes, limits.eventBytesMax)
  return bytes
}

export function checkId({ id }: ProposedEvent, at: number): Bytes | undefined {
  if (id === undefined) return undefined
  const bytes = typeof id === 'string' ? parseUuid(id) : undefined
  if (bytes === undefined) throw invalid(`id of event ${at} must be a UUID, not ${describe(id)}`)
  return bytes
}

/** Whatever the streams hold, such a request cannot be meant: "taken" would send its author looking in the wrong place. */
export function checkNoneTwice(ids: readonly (Bytes | undefined)[]): void {
  if (ids.length === 1) return
  const places = new Map<string, number>()
  for (const [at, id] of ids.entries()) {
    if (id === undefined) continue
    const key = Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1')
    const before = places.get(key)
    if (before !== undefined) throw invalid(`events ${before} and ${at} have the same id: each event needs its own`)
    places.set(key, at)
  }
}

/** Returns its length in bytes. A lone surrogate has no UTF-8: two different texts would become one. */
export function checkText(what: string, text: string, bytesMax: number): number {
  if (typeof text !== 'string') throw invalid(`${what} must be text, not ${describe(text)}`)
  if (!text.isWellFormed()) throw invalid(`${what} must be well-formed Unicode`)
  const bytes = text.length * 3 <= bytesMax ? text.length : Buffer.byteLength(text)
  if (bytes > bytesMax) throw tooLarge(`bytes of ${what}`, bytes, bytesMax)
  return bytes
}

export function checkKey(key: string, limits: EventLimits): void {
  checkText('idempotency key', key, limits.idempotencyKeyBytesMax)
  if (key === '') throw invalid('idempotency key must not be empty')
}

/** What was asked for, without what this node added: a retry has other drawn ids and another time. */
export function digestWrite(
  hash: Hash,
  { stream, expected, events }: Pick<AppendRequest, 'stream' | 'expected' | 'events'>,
  ids: readonly (Bytes | undefined)[],
): void {
  hash.update(new ByteWriter().string(stream).string(String(expected)).u32(events.length).finish())
  events.forEach(({ type, data, metadata, tags = [] }, at) => {
    const head = new ByteWriter().string(type).u32(tags.length)
    for (const tag of tags) head.string(tag)
    head
      .bytes(ids[at] ?? new Uint8Array(0))
      .u32(data.length)
      .bool(metadata !== undefined)
      .u32(metadata?.length ?? 0)
    hash.update(head.finish()).update(data)
    if (metadata !== undefined) hash.update(metadata)
  })
}

export function describe(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 64)
}
