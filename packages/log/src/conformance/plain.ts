import type { LogStore, StoredSlot } from '../log-store.ts'
import type { Epoch, Index } from '../slot.ts'

/** Bytes as base64 and maps as sorted entries, so that two values compare by content and a failure prints short. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
  if (value instanceof Map) return [...value].map(plain).toSorted((left, right) => (String(left) < String(right) ? -1 : 1))
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]))
}

export function plainSlots(slots: readonly StoredSlot[]): unknown {
  return slots.map(({ index, header, entry }) => plain({ index, header, entry }))
}

export async function readAll(store: LogStore, epoch: Epoch, from: Index, to: Index): Promise<StoredSlot[]> {
  const found: StoredSlot[] = []
  for await (const batch of store.read(epoch, from, to)) found.push(...batch)
  return found
}
