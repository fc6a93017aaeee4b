/** What streams keep and how long they are, as JSON: over HTTP and over a client's connection alike. */
import { z } from 'zod'
import type { StreamInfo, StreamMetadata } from '@synod/events'
import { encodeEvent } from './event-json.ts'

const from = (min: number) => z.int('must be an integer').min(min, `must be at least ${min}`)

export const metadataShape: z.ZodType<StreamMetadata> = z.strictObject(
  {
    maxCount: from(1).exactOptional(),
    maxAgeSeconds: from(1).exactOptional(),
    truncateBefore: from(0).exactOptional(),
    custom: z.record(z.string(), z.unknown(), 'must be an object').exactOptional(),
  },
  'must be {maxCount?, maxAgeSeconds?, truncateBefore?, custom?}',
)

/** `{stream, firstRevision, lastRevision, length, lastEvent?}` as UTF-8. */
export function encodeStreamInfo({ stream, firstRevision, lastRevision, length, lastEvent }: StreamInfo): Buffer {
  const head = JSON.stringify({ stream, firstRevision, lastRevision, length })
  if (lastEvent === undefined) return Buffer.from(head)
  return Buffer.concat([Buffer.from(`${head.slice(0, -1)},"lastEvent":`), encodeEvent(lastEvent), Buffer.from('}')])
}
