/** Checks the metadata that a caller gave: the types promise this, a caller over HTTP does not. */
import { invalid } from '../append-request.ts'
import { tooLarge, type EventLimits } from '../event-limits.ts'
import type { EventStoreError } from '../event-store-error.ts'
import { maxAgeSecondsMax, type StoredMetadata } from './retention-metadata.ts'
import type { StreamMetadata } from './stream-retention.ts'

const known: ReadonlySet<string> = new Set<keyof StreamMetadata>(['maxCount', 'maxAgeSeconds', 'truncateBefore', 'custom'])

/** As commands hold it. Throws an EventStoreError `invalid_argument` or `too_large`. */
export function checkMetadata(metadata: StreamMetadata, limits: EventLimits): StoredMetadata {
  if (!isObject(metadata)) throw invalid('metadata must be an object with maxCount, maxAgeSeconds, truncateBefore or custom')
  const unknown = Object.keys(metadata).find((key) => !known.has(key))
  if (unknown !== undefined)
    throw invalid(`metadata has no ${JSON.stringify(unknown.slice(0, 64))}: it takes maxCount, maxAgeSeconds, truncateBefore and custom`)
  const { maxCount, maxAgeSeconds, truncateBefore, custom } = metadata
  checkBetween('maxCount', maxCount, 1, Number.MAX_SAFE_INTEGER)
  checkBetween('maxAgeSeconds', maxAgeSeconds, 1, maxAgeSecondsMax)
  checkBetween('truncateBefore', truncateBefore, 0, Number.MAX_SAFE_INTEGER)
  return {
    ...(maxCount !== undefined && { maxCount }),
    ...(maxAgeSeconds !== undefined && { maxAgeSeconds }),
    ...(truncateBefore !== undefined && { truncateBefore }),
    ...(custom !== undefined && { custom: customText(custom, limits) }),
  }
}

function checkBetween(name: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= least && value <= most)) return
  throw invalid(`${name} must be an integer from ${least} to ${most}, not ${String(value).slice(0, 64)}; leave it out to ask for nothing`)
}

function customText(custom: unknown, { customMetadataBytesMax }: EventLimits): string {
  if (!isObject(custom)) throw notJson()
  const text = asJson(custom)
  const bytes = Buffer.byteLength(text)
  if (bytes > customMetadataBytesMax) throw tooLarge('bytes of custom metadata', bytes, customMetadataBytesMax)
  return text
}

function asJson(custom: object): string {
  try {
    const text: unknown = JSON.stringify(custom)
    // An object's toJSON may make anything of it.
    if (typeof text === 'string' && text.startsWith('{')) return text
  } catch {
    // A cycle, a BigInt: told below.
  }
  throw notJson()
}

function notJson(): EventStoreError {
  return invalid('custom must be a JSON object')
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
