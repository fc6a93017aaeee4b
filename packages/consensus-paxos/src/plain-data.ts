/**
 * All that a core remembers is one tree of plain data: objects, arrays, Maps, Sets, numbers, strings and Bytes, and Bytes
 * are never changed. So a fork is a copy of the tree and a digest is its text, and both are complete by construction.
 */
import { bytesToHex } from '@synod/codec'
import type { NodeId } from '@synod/transport'

const notNodes = new Set(['kind', 'scope', 'role'])

/** A deep copy; Bytes are shared, since nobody changes them. */
export function copyOf<T>(value: T): T
export function copyOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  if (Array.isArray(value)) return value.map((item: unknown) => copyOf(item))
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [copyOf<unknown>(key), copyOf<unknown>(item)]))
  if (value instanceof Set) return new Set([...value].map((item: unknown) => copyOf(item)))
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyOf<unknown>(item)]))
}

/**
 * Text that is equal for equal data, whatever the order in which Maps, Sets and objects were filled. `rename` sees the
 * strings that may name a node: not those under `kind`, `scope` and `role`, nor those with a capital, which no node has.
 */
export function canonicalText(value: unknown, rename: (text: NodeId) => string): string {
  const text = (item: unknown): string => canonicalText(item, rename)
  if (typeof value === 'string') return JSON.stringify(rename(value))
  if (typeof value !== 'object' || value === null) return String(value)
  if (value instanceof Uint8Array) return `x${bytesToHex(value)}`
  if (Array.isArray(value)) return `[${value.map(text).join()}]`
  if (value instanceof Map)
    return `Map{${[...value]
      .map(([key, item]) => `${text(key)}:${text(item)}`)
      .toSorted()
      .join()}}`
  if (value instanceof Set) return `Set{${[...value].map(text).toSorted().join()}}`
  const fields = Object.entries(value).filter(([, item]) => item !== undefined)
  return `{${fields
    .map(([key, item]) => `${key}:${notNodes.has(key) ? JSON.stringify(item) : text(item)}`)
    .toSorted()
    .join()}}`
}
