import type { Bytes } from '@synod/codec'

const form = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const poolUuids = 256
const pool = new Uint8Array(16 * poolUuids)
let drawn = poolUuids

/** 16 bytes, or undefined when the text is no UUID. Any version, any case. */
export function parseUuid(text: string): Bytes | undefined {
  if (!form.test(text)) return undefined
  const bytes = new Uint8Array(16)
  let at = 0
  for (let byte = 0; byte < 16; byte++) {
    if (text.charCodeAt(at) === 0x2d) at++
    bytes[byte] = (digit(text.charCodeAt(at)) << 4) | digit(text.charCodeAt(at + 1))
    at += 2
  }
  return bytes
}

/** Lower case. */
export function formatUuid(bytes: Bytes): string {
  let text = ''
  for (let at = 0; at < 16; at++) {
    if (at === 4 || at === 6 || at === 8 || at === 10) text += '-'
    text += hex[bytes[at] ?? 0]
  }
  return text
}

/** A random one (version 4). */
export function drawUuid(): Bytes {
  if (drawn === poolUuids) {
    crypto.getRandomValues(pool)
    drawn = 0
  }
  const bytes = pool.slice(drawn * 16, ++drawn * 16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return bytes
}

function digit(code: number): number {
  if (code < 0x3a) return code - 0x30
  return (code | 0x20) - 0x57
}
