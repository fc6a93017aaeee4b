import type { Bytes } from '@synod/codec'

/** Copies of neighbours share a buffer of this size at most. */
const sharedBytesMax = 16 * 1024

/**
 * The same records, copied where they are small against the buffer they stand in (a slot's entry, or the frame that it came
 * in): whoever keeps one keeps no more alive than twice its bytes, or 16 KiB. The others are what they were, views.
 */
export function withoutPins(records: readonly Bytes[]): readonly Bytes[] {
  let left = 0
  for (const record of records) if (pins(record)) left += record.length
  if (left === 0) return records
  let shared = new Uint8Array(0)
  let at = 0
  return records.map((record) => {
    if (!pins(record)) return record
    if (at + record.length > shared.length) {
      shared = new Uint8Array(Math.max(record.length, Math.min(sharedBytesMax, left)))
      at = 0
    }
    shared.set(record, at)
    at += record.length
    left -= record.length
    return shared.subarray(at - record.length, at)
  })
}

function pins({ buffer, length }: Bytes): boolean {
  return buffer.byteLength > Math.max(sharedBytesMax, 2 * length)
}
