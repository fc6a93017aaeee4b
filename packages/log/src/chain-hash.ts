/**
 * The hash of a slot is H(previous, slot, H(entry)): equal hashes at a slot mean equal logs up to it, whatever ballots or
 * terms decided them, for an entry is the same bytes on every node. One hash a slot and not one an event, which would cost
 * more than applying it; docs/decisions/0020-one-hash-a-slot.md says how an event can still be redacted.
 */
import { hash } from 'node:crypto'
import { ByteWriter, type Bytes } from '@synod/codec'
import type { Slot } from './slot.ts'

const hashBytes = 32

/** The chain before the first slot. */
export const chainStart: Bytes = new Uint8Array(hashBytes)

export function nextHash(previous: Bytes, slot: Slot, entry: Bytes): Bytes {
  const link = new ByteWriter(hashBytes * 2 + 8).raw(previous).u53(slot).raw(sha256(entry))
  return sha256(link.finish())
}

function sha256(bytes: Bytes): Bytes {
  return hash('sha256', bytes, 'buffer')
}
