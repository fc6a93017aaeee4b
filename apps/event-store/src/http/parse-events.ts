/** The body of an append: strictly an array of `{id?, type, data, metadata?, tags?}`; a refusal names the event and the field. */
import type { Bytes } from '@synod/codec'
import type { ProposedEvent } from '@synod/events'
import { nearestName } from '../config/nearest-name.ts'
import { invalidArgument, tooLarge, type HttpError } from './http-error.ts'
import { nameOf, parseBody } from './json-body.ts'
import { membersOfObjects, type JsonMember } from './json-members.ts'

const fields = ['id', 'type', 'data', 'metadata', 'tags'] as const
const shape = 'an array of {id?, type, data, metadata?, tags?}'
const eventsMax = 4096
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws HttpError 400 `invalid_argument`, 413 `too_large` */
export function parseEvents(body: Bytes, jsonDepthMax: number): ProposedEvent[] {
  return eventsOf(parseBody(body, jsonDepthMax, shape), body, {})
}

/** `bytes` is the text that `events` was read from. Of one write of several, `write` says which. @throws HttpError 400, 413 */
export function eventsOf(events: unknown, bytes: Bytes, { write }: { readonly write?: number }): ProposedEvent[] {
  const wrong: Wrong = (index, field, what) => {
    const place = write === undefined ? '' : `write ${write}: `
    const details = { ...(write !== undefined && { write }), event: index, ...(field !== '' && { field }) }
    return invalidArgument(`${place}event ${index}${field === '' ? '' : `: ${field}`} ${what}`, details)
  }
  const whole = write === undefined ? 'the body' : `write ${write}: events`
  if (!Array.isArray(events)) throw invalidArgument(`${whole} must be ${shape}, not ${nameOf(events)}`)
  if (events.length === 0)
    throw invalidArgument(write === undefined ? 'the body has no events: an append needs at least one' : `${whole} is empty`)
  checkEventCount(events.length)
  for (const [index, event] of events.entries()) {
    if (typeof event !== 'object' || event === null || Array.isArray(event))
      throw wrong(index, '', `must be an object, not ${nameOf(event)}`)
  }
  return membersOfObjects(bytes).map((members, index) => toEvent(index, events[index] as Record<string, unknown>, members, wrong))
}

/** Of a whole request. @throws HttpError 413 */
export function checkEventCount(count: number): void {
  if (count > eventsMax) throw tooLarge(`${count} events: an append takes at most ${eventsMax}, split it`)
}

/** Says which event, and which of its fields; none: the event itself. */
type Wrong = (event: number, field: string, what: string) => HttpError

function toEvent(index: number, event: Record<string, unknown>, members: readonly JsonMember[], wrong: Wrong): ProposedEvent {
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
    ...(tags !== undefined && { tags: toTags(index, tags, wrong) }),
  }
}

function toTags(index: number, tags: unknown, wrong: Wrong): readonly string[] {
  if (!Array.isArray(tags)) throw wrong(index, 'tags', `must be an array of strings, not ${nameOf(tags)}`)
  return tags.map((tag: unknown) => {
    if (typeof tag !== 'string') throw wrong(index, 'tags', `must be an array of strings; one of them is ${nameOf(tag)}`)
    if (!tag.isWellFormed()) throw wrong(index, 'tags', 'holds half a surrogate pair')
    return tag
  })
}
