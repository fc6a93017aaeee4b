/**
 * Between a caller's events and records. An event is encoded once, when it is appended, and decoded once, when it is taken; with
 * schemas it is checked at both. What is stored is what was given, not what a schema made of it: a schema that transforms does so at
 * each read. A Standard Schema may be asynchronous; then, and only then, so are these methods.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { StoredRecord } from '@synod/client-protocol'
import type { Bytes } from '@synod/codec'
import { decodeRecord, drawUuid, encodeRecord, parseUuid, type EventContent } from '@synod/event-record'
import { InvalidArgumentError, ProtocolViolationError, SchemaError } from './client-error.ts'
import type { EventSchemas, RecordedEvent } from './event-types.ts'
import { decodeText, encodeJson } from './json.ts'

/** As it comes from a caller, who may have written it in JavaScript. */
interface GivenEvent {
  readonly id?: unknown
  readonly type?: unknown
  readonly data?: unknown
  readonly metadata?: unknown
  readonly tags?: unknown
}

/** As HTTP tells an event, with every digit of its numbers (`parseExactly`). */
export interface ToldEvent {
  readonly stream: string
  readonly revision: number
  readonly position: number
  readonly id: string
  readonly type: string
  readonly data: unknown
  readonly metadata: unknown
  readonly tags: readonly string[]
  readonly recordedAt: string
}

export class EventCodec {
  readonly #schemas: EventSchemas | undefined
  readonly #skipsUndeclared: boolean
  readonly #parseJson: (text: string) => unknown

  constructor(
    schemas: EventSchemas | undefined,
    undeclared: 'refuse' | 'skip',
    parseJson: (text: string) => unknown = (text) => JSON.parse(text),
  ) {
    this.#schemas = schemas
    this.#skipsUndeclared = undeclared === 'skip'
    this.#parseJson = parseJson
  }

  /** The records of an append, ids drawn. @throws InvalidArgumentError, SchemaError; or the promise rejects */
  encode(events: readonly GivenEvent[]): readonly Bytes[] | Promise<readonly Bytes[]> {
    // Encoded before the check: a schema's answer may come later, when the caller has changed the event. Unlike map, from passes over no hole.
    const records = Array.from(events, toRecord)
    if (this.#schemas === undefined) return records
    const checks = events.map(({ type, data }, index) => this.#check(`event ${index}`, type as string, data, undefined))
    return checks.some((check) => check instanceof Promise) ? Promise.all(checks).then(() => records) : records
  }

  /** Undefined for an event that is left out. @throws SchemaError, ProtocolViolationError; or the promise rejects */
  decode(stored: StoredRecord): RecordedEvent | undefined | Promise<RecordedEvent | undefined> {
    return this.#toEvent(stored, contentOf(stored, this.#parseJson))
  }

  /** The same of an event as HTTP tells it, which stands in the answer to a call. */
  decodeJson(told: ToldEvent): RecordedEvent | undefined | Promise<RecordedEvent | undefined> {
    const { stream, revision, id, type, tags, metadata } = told
    const parse = (value: unknown): unknown => this.#parseJson(JSON.stringify(value))
    const content = {
      stream,
      id,
      type,
      tags,
      recordedAt: Date.parse(told.recordedAt),
      data: parse(told.data),
      metadata: metadata === null ? undefined : parse(metadata),
    }
    if (!Number.isFinite(content.recordedAt)) throw undecodable(told, new TypeError(`recorded at ${told.recordedAt}`))
    return this.#toEvent({ stream, revision, position: told.position }, content)
  }

  #toEvent(stored: Omit<StoredRecord, 'record'>, content: DecodedContent): RecordedEvent | undefined | Promise<RecordedEvent | undefined> {
    const { stream, id, type, tags, recordedAt } = content
    const at = { stream, revision: BigInt(stored.revision), position: BigInt(stored.position) }
    if (this.#schemas !== undefined && this.#skipsUndeclared && !Object.hasOwn(this.#schemas, type)) return undefined
    const finish = (data: unknown): RecordedEvent => ({
      stream,
      revision: at.revision,
      position: at.position,
      id,
      type,
      data,
      metadata: content.metadata,
      tags,
      recordedAt: new Date(recordedAt),
    })
    if (this.#schemas === undefined) return finish(content.data)
    const data = this.#check(`the event at revision ${stored.revision} of stream ${JSON.stringify(stream)}`, type, content.data, at)
    return data instanceof Promise ? data.then(finish) : finish(data)
  }

  /** What the schema makes of the data. */
  #check(what: string, type: string, data: unknown, at: SchemaError['at']): unknown {
    const schema = this.#schemas !== undefined && Object.hasOwn(this.#schemas, type) ? this.#schemas[type] : undefined
    if (schema === undefined) {
      const advice = at === undefined ? 'add it to events' : `add it to events, or connect with undeclared: 'skip'`
      throw new SchemaError(`${what} is of type ${JSON.stringify(type)}, which is not declared: ${advice}`, type, [], at)
    }
    const finish = (result: StandardSchemaV1.Result<unknown>): unknown => {
      if (result.issues === undefined) return result.value
      throw new SchemaError(`the data of ${what} is no ${type}: ${textOf(result.issues)}`, type, result.issues, at)
    }
    const result = schema['~standard'].validate(data)
    return result instanceof Promise ? result.then(finish) : finish(result)
  }
}

function toRecord(event: GivenEvent, index: number): Bytes {
  if (typeof event !== 'object' || event === null)
    throw new InvalidArgumentError(`event ${index} must be an object {type, data}, not ${String(event)}`)
  const { id, type, data, metadata, tags } = event
  if (typeof type !== 'string' || type === '') throw new InvalidArgumentError(`event ${index}: type must be a string that is not empty`)
  const idBytes = id === undefined ? drawUuid() : typeof id === 'string' ? parseUuid(id) : undefined
  if (idBytes === undefined) throw new InvalidArgumentError(`event ${index}: id must be a UUID, not ${JSON.stringify(id)}`)
  if (tags !== undefined && !(Array.isArray(tags) && tags.every((tag) => typeof tag === 'string'))) {
    throw new InvalidArgumentError(`event ${index}: tags must be a list of strings`)
  }
  const json = {
    type,
    data: jsonOf(data, index, 'data'),
    // null and absent are the same.
    ...(metadata !== undefined && metadata !== null && { metadata: jsonOf(metadata, index, 'metadata') }),
    ...(tags !== undefined && { tags: tags as readonly string[] }),
  }
  try {
    return encodeRecord(json, idBytes, 0)
  } catch (cause) {
    throw new InvalidArgumentError(`event ${index}: its type and tags must be well-formed text (${(cause as Error).message})`, { cause })
  }
}

function jsonOf(value: unknown, index: number, field: string): Bytes {
  try {
    return encodeJson(value)
  } catch (cause) {
    throw new InvalidArgumentError(`event ${index}: ${field} cannot be carried by JSON (${(cause as Error).message.split('\n')[0]})`, {
      cause,
    })
  }
}

type DecodedContent = Omit<EventContent, 'data' | 'metadata'> & {
  readonly stream: string
  readonly data: unknown
  readonly metadata: unknown
}

function contentOf(stored: StoredRecord, parseJson: (text: string) => unknown): DecodedContent {
  const { stream, record } = stored
  try {
    const { data, metadata, ...rest } = decodeRecord(record)
    const parse = (bytes: Bytes): unknown => parseJson(decodeText(bytes))
    return { ...rest, stream, data: parse(data), metadata: metadata === undefined ? undefined : parse(metadata) }
  } catch (cause) {
    throw undecodable(stored, cause as Error)
  }
}

function undecodable({ stream, revision }: Pick<StoredRecord, 'stream' | 'revision'>, cause: Error): ProtocolViolationError {
  return new ProtocolViolationError(
    `the event at revision ${revision} of stream ${JSON.stringify(stream)} does not decode (${cause.message}): another kind of client wrote it, or a newer one`,
    { cause },
  )
}

function textOf(issues: readonly StandardSchemaV1.Issue[]): string {
  return issues
    .slice(0, 3)
    .map(({ path, message }) => {
      const keys = (path ?? []).map((part) => String(typeof part === 'object' ? part.key : part))
      return keys.length === 0 ? message : `${keys.join('.')}: ${message}`
    })
    .join('; ')
}
