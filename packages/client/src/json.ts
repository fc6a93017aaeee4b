import type { Bytes } from '@synod/codec'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * JSON as UTF-8.
 * @throws TypeError for what JSON cannot carry, or would turn into null: undefined, functions, symbols, bigints, NaN, infinities and
 * cycles. A key whose value is undefined is left out, as JSON.stringify does.
 */
export function encodeJson(value: unknown): Bytes {
  const text = JSON.stringify(value) as string | undefined
  if (text === undefined) throw new TypeError(`${typeof value} has no form in JSON`)
  // The only trace that JSON.stringify leaves of what it could not write, and rare: so the search for it costs nothing.
  if (text.includes('null')) requireNothingLost(value)
  return encoder.encode(text)
}

/** @throws TypeError for what is not UTF-8 */
export function decodeText(bytes: Bytes): string {
  return decoder.decode(bytes)
}

interface RawJson {
  readonly rawJSON?: (text: string) => unknown
}

/**
 * JSON.parse, but a number that would lose digits is kept as it is written: JSON.stringify gives it back with all of them. Where the platform
 * cannot do that (JSON.rawJSON, since 2023 to 2025), such numbers are rounded.
 */
export function parseExactly(text: string): unknown {
  const { rawJSON } = JSON as RawJson
  if (rawJSON === undefined) return JSON.parse(text)
  return JSON.parse(text, ((_key: string, value: unknown, context?: { readonly source?: string }) => {
    const source = context?.source
    return typeof value === 'number' && source !== undefined && String(value) !== source ? rawJSON(source) : value
  }) as (key: string, value: unknown) => unknown)
}

function requireNothingLost(value: unknown): void {
  JSON.stringify(value, function (this: unknown, key: string, part: unknown): unknown {
    if (typeof part === 'number' && !Number.isFinite(part)) throw new TypeError(`${part} at ${JSON.stringify(key)} has no form in JSON`)
    if (Array.isArray(this) && (part === undefined || typeof part === 'function' || typeof part === 'symbol')) {
      throw new TypeError(`${typeof part} at place ${key} of a list has no form in JSON`)
    }
    return part
  })
}
