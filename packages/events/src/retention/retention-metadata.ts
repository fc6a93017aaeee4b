/**
 * A stream's metadata as commands and cells hold it.
 *
 *   metadata = flags u8 (1 maxCount, 2 maxAge, 4 truncateBefore, 8 custom) · maxCount u53 if 1 · maxAge u53 (seconds) if 2
 *              · truncateBefore u53 if 4 · custom string (a JSON object) if 8
 */
import { MalformedError, type ByteReader, type ByteWriter } from '@synod/codec'
import { formatLimits } from '../event-limits.ts'
import type { StreamMetadata } from './stream-retention.ts'

/** The caller's own stays JSON text. */
export interface StoredMetadata extends Omit<StreamMetadata, 'custom'> {
  readonly custom?: string
}

/** Of all that ask for nothing. */
export const noMetadata: StoredMetadata = {}

/** Its milliseconds are still integers. */
export const maxAgeSecondsMax = Math.floor(Number.MAX_SAFE_INTEGER / 1000)

export function writeMetadata(writer: ByteWriter, { maxCount, maxAgeSeconds, truncateBefore, custom }: StoredMetadata): void {
  const flag = (value: unknown, bit: number): number => (value === undefined ? 0 : bit)
  writer.u8(flag(maxCount, 1) | flag(maxAgeSeconds, 2) | flag(truncateBefore, 4) | flag(custom, 8))
  for (const number of [maxCount, maxAgeSeconds, truncateBefore]) if (number !== undefined) writer.u53(number)
  if (custom !== undefined) writer.string(custom)
}

/** Throws a MalformedError; whether it does is the same on every node. */
export function readMetadata(reader: ByteReader): StoredMetadata {
  const flags = reader.u8()
  if (flags > 15) throw new MalformedError(`metadata with flags ${flags}`)
  if (flags === 0) return noMetadata
  return {
    ...((flags & 1) !== 0 && { maxCount: within('maxCount', reader.u53(), 1, Number.MAX_SAFE_INTEGER) }),
    ...((flags & 2) !== 0 && { maxAgeSeconds: within('maxAge', reader.u53(), 1, maxAgeSecondsMax) }),
    ...((flags & 4) !== 0 && { truncateBefore: reader.u53() }),
    ...((flags & 8) !== 0 && { custom: readCustom(reader) }),
  }
}

/** As the API tells it. */
export function toldMetadata({ custom, ...rest }: StoredMetadata): StreamMetadata {
  return custom === undefined ? rest : { ...rest, custom: JSON.parse(custom) as Record<string, unknown> }
}

function readCustom(reader: ByteReader): string {
  const text = reader.string(formatLimits.customMetadataBytesMax)
  if (!isJsonObject(text)) throw new MalformedError('custom metadata that is no JSON object')
  return text
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    // Not JSON at all.
    return false
  }
}

function within(what: string, value: number, least: number, most: number): number {
  if (value < least || value > most) throw new MalformedError(`${what} ${value}`)
  return value
}
