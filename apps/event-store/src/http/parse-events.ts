/** The body of an append: strictly an array of `{id?, type, data, metadata?, tags?}`; a refusal names the event and the field. */
import type { Bytes } from '@synod/codec'
import type { ProposedEvent } from '@synod/events'
import { nearestName } from '../config/nearest-name.ts'
import { invalidArgument, tooLarge, type HttpError } from './http-error.ts'
import { jsonDepth, membersOfObjects, type JsonMember } from './json-members.ts'

const fields = ['id', 'type', 'data', 'metadata', 'tags'] as const
const shape = 'an array of {id?, type, data, metadata?, tags?}'
const eventsMax = 4096
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws HttpError 400 `invalid_argument`, 413 `too_large` */
export function parseEvents(body: Bytes, jsonDepthMax: number): ProposedEvent[] {
  if (body.length === 0) throw invalidArgument(`the body is empty: it must be ${shape}`)
  if (jsonDepth(body, jsonDepthMax) > jsonDepthMax) {
    throw invalidArgument(`the body nests deeper than ${jsonDepthMax} levels: flatten it`)
  }
  const events = parse(body)
  if (!Array.isArray(events)) throw invalidArgument(`the body must be ${shape}, not ${nameOf(events)}`)
  if (events.length === 0) throw invalidArgument('the body has no events: an append needs at least one')
  if (events.length > eventsMax) throw tooLarge(`${events.length} events: an append takes at most ${eventsMax}, split it`)
  for (const [index, event] of events.entries()) {
    if (typeof event !== 'object' || event === null || Array.isArray(event)) {
      throw invalidArgument(`event ${index} must be an object, not ${nameOf(event)}`, { event: index })
    }
  }
  return membersOfObjects(body).map((members, index) => toEvent(index, events[index] as Record<string, unknown>, members))
}

function parse(body: Bytes): unknown {
  let text: string
  try {
    text = utf8.decode(body)
  } catch {
    throw invalidArgument('the body is not UTF-8')
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalidArgument(`the body is not JSON: ${(error as Error).message.slice(0, 200)}`)
  }
}

function toEvent(index: number, event: Record<string, unknown>, members: readonly JsonMember[]): ProposedEvent {
  const texts = new Map<string, Bytes>()
  for (const { key, value } of members) {
    const name = String(JSON.parse(utf8.decode(key)))
    if (!fields.some((field) => field === name)) {
      const near = nearestName(name, fields)
      const hint = near === undefined ? `an event has ${fields.join(', ')}` : `did you mean ${near}?`
      throw wrong(index, name.slice(0, 64), `is unknown; ${hint}`)
    }
    if (texts.has(name)) throw wrong(index, name, 'stands there twice')
    texts.set(name, value)
  }
  const { id, type, metadata, tags } = event
  const data = texts.get('data')
  if (typeof type !== 'string' || type === '') throw wrong(index, 'type', `must be a string that is not empty, not ${nameOf(type)}`)
  if (!type.isWellFormed()) throw wrong(index, 'type', 'holds half a surrogate pair')
  if (data === undefined) throw wrong(index, 'data', 'is missing: it may be any JSON, null too')
  if (id !== undefined && (typeof id !== 'string' || !uuid.test(id))) throw wrong(index, 'id', `must be a UUID, not ${nameOf(id)}`)
  const metadataText = texts.get('metadata')
  return {
    type,
    data,
    ...(id !== undefined && { id }),
    // null and absent are the same: an answer shows both as null.
    ...(metadataText !== undefined && metadata !== null && { metadata: metadataText }),
    ...(tags !== undefined && { tags: toTags(index, tags) }),
  }
}

function toTags(index: number, tags: unknown): readonly string[] {
  if (!Array.isArray(tags)) throw wrong(index, 'tags', `must be an array of strings, not ${nameOf(tags)}`)
  return tags.map((tag: unknown) => {
    if (typeof tag !== 'string') throw wrong(index, 'tags', `must be an array of strings; one of them is ${nameOf(tag)}`)
    if (!tag.isWellFormed()) throw wrong(index, 'tags', 'holds half a surrogate pair')
    return tag
  })
}

function wrong(event: number, field: string, what: string): HttpError {
  return invalidArgument(`event ${event}: ${field} ${what}`, { event, field })
}

function nameOf(value: unknown): string {
  if (value === undefined) return 'absent'
  if (value === null) return 'null'
  if (value === '') return 'an empty string'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `the ${typeof value} ${JSON.stringify(value).slice(0, 64)}`
}
