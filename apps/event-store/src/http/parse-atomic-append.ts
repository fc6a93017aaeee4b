/**
 * The body of `POST /append`: `{writes: [{stream, expected?, events}], checks?, condition?}`, strictly. Events are those of an
 * append to one stream, kept byte for byte; a refusal names the write, the event and the field.
 */
import { z } from 'zod'
import type { Bytes } from '@synod/codec'
import type { AppendCondition, AtomicAppendRequest, StreamCheck, StreamEvents } from '@synod/events'
import { expectedShape as expected } from './expected-shape.ts'
import { invalidArgument } from './http-error.ts'
import { parseBody, shapedAs, textsOf } from './json-body.ts'
import { membersOfObject, membersOfObjects } from './json-members.ts'
import { checkEventCount, eventsOf } from './parse-events.ts'

const shape = '{writes: [{stream, expected?, events}], checks?: [{stream, expected}], condition?: {failIfEventsMatch: {items}, after?}}'

const count = z.int('must be an integer').min(0, 'must not be negative')
const text = z.string('must be a string').refine((value) => value.isWellFormed(), 'holds half a surrogate pair')
const named = { stream: text.min(1, 'must not be empty') }
const checks: z.ZodType<readonly StreamCheck[]> = z.array(z.strictObject({ ...named, expected }), 'must be an array of {stream, expected}')
const item = z.strictObject({ types: z.array(text).exactOptional(), tags: z.array(text).exactOptional() }, 'must be {types?, tags?}')
const items = z.array(item, 'must be an array of {types?, tags?}')
const condition: z.ZodType<AppendCondition> = z.strictObject({
  failIfEventsMatch: z.strictObject({ items: items.min(1, 'must have an item at least') }, 'must be {items: [{types?, tags?}]}'),
  after: count.exactOptional(),
})
/** The events of a write are looked at for themselves. */
const write = z.strictObject(
  { ...named, expected: expected.exactOptional(), events: z.unknown().optional() },
  'must be {stream, expected?, events}',
)
const whole = z.strictObject(
  {
    writes: z.array(write, 'must be an array of {stream, expected?, events}').min(1, 'must have a write at least'),
    checks: checks.exactOptional(),
    condition: condition.exactOptional(),
  },
  `must be ${shape}`,
)

/** @throws HttpError 400 `invalid_argument`, 413 `too_large` */
export function parseAtomicAppend(body: Bytes, jsonDepthMax: number): Omit<AtomicAppendRequest, 'idempotencyKey' | 'principal'> {
  const value = parseBody(body, jsonDepthMax, shape)
  const { writes, ...rest } = shapedAs(whole, value, '')
  const texts = textsOf(membersOfObject(body), '')
  const eventTexts = membersOfObjects(texts.get('writes') ?? body).map((members, at) => textsOf(members, `writes.${at}`).get('events'))
  let events = 0
  const parsed = writes.map(({ events: given, ...head }, at): StreamEvents => {
    const bytes = eventTexts[at]
    if (bytes === undefined || given === undefined) throw invalidArgument(`write ${at}: events is missing`, { write: at })
    const proposed = eventsOf(given, bytes, { write: at })
    checkEventCount((events += proposed.length))
    return { ...head, events: proposed }
  })
  return { writes: parsed, ...rest }
}
