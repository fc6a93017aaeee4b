/** Consumer groups as JSON: over HTTP and over a client's connection alike. */
import { z } from 'zod'
import type { EventFilter, GroupDefinition, GroupStatus, ParkedEvent } from '@synod/events'
import { encodeEvent } from './event-json.ts'

const from = (min: number) => z.int('must be an integer').min(min, `must be at least ${min}`)
const text = z
  .string('must be a string')
  .min(1, 'must not be empty')
  .refine((value) => value.isWellFormed(), 'holds half a surrogate pair')
const texts = z.array(text, 'must be an array of strings').exactOptional()

const filter: z.ZodType<EventFilter> = z.strictObject(
  {
    items: z.array(z.strictObject({ types: texts, tags: texts }), 'must be an array of {types?, tags?}').exactOptional(),
    prefixes: texts,
    categories: texts,
  },
  'must be {items?, prefixes?, categories?}',
)

export const groupShape: z.ZodType<GroupDefinition> = z.strictObject(
  {
    filter: filter.exactOptional(),
    from: z.union([z.literal('end'), from(0)], 'must be end or a position').exactOptional(),
    partitionBy: z.union([z.literal('stream'), z.strictObject({ tagPrefix: text })], 'must be stream or {tagPrefix}').exactOptional(),
    partitions: from(1).exactOptional(),
    ackDeadlineMs: from(1).exactOptional(),
    attemptsMax: from(1).exactOptional(),
    parkedMax: from(1).exactOptional(),
  },
  'must be {filter?, from?, partitionBy?, partitions?, ackDeadlineMs?, attemptsMax?, parkedMax?}',
)

export const replayShape: z.ZodType<{ readonly positions?: readonly number[] }> = z.strictObject(
  { positions: z.array(from(1), 'must be an array of positions').exactOptional() },
  'must be {positions?}',
)

/** Of many groups each is told without its partitions, of which there may be a thousand. */
export function withoutPartitions({ partitions: _partitions, ...status }: GroupStatus): Omit<GroupStatus, 'partitions'> {
  return status
}

/** Parked events of a request, at most. */
export const parkedMax = 256
export const parkedDefault = 64
/** Of an answer; it has one event at least. */
const parkedBytesMax = 8_388_608

/** `{event, partition, attempts, reason}` each, as UTF-8. There may be fewer than were given. */
export function encodeParked(parked: readonly ParkedEvent[]): Buffer[] {
  const parts: Buffer[] = []
  let bytes = 0
  for (const { event, partition, attempts, reason } of parked) {
    const tail = Buffer.from(`,"partition":${partition},"attempts":${attempts},"reason":${JSON.stringify(reason)}}`)
    const part = Buffer.concat([Buffer.from('{"event":'), encodeEvent(event), tail])
    bytes += part.length
    if (parts.length > 0 && bytes > parkedBytesMax) return parts
    parts.push(part)
  }
  return parts
}
