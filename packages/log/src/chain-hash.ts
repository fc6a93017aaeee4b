/**
 * The hash of a slot is H(previous, H(slot, kind, envelopes without blobs), [H(blob)…]): equal hashes at a slot mean equal
 * logs up to it, whatever ballots or terms decided them, and one blob can be redacted later (its hash kept) without
 * breaking the chain.
 */
import { hash } from 'node:crypto'
import { ByteWriter, type Bytes } from '@synod/codec'
import type { Entry } from './entry.ts'
import type { Slot } from './slot.ts'

const hashBytes = 32

/** The chain before the first slot. */
export const chainStart: Bytes = new Uint8Array(hashBytes)

export function nextHash(previous: Bytes, slot: Slot, entry: Entry): Bytes {
  const head = new ByteWriter().u53(slot).u8(entry.kind === 'noop' ? 0 : 1)
  const chain = new ByteWriter(hashBytes * 4).raw(previous)
  const commands = entry.kind === 'commands' ? entry.commands : []
  for (const command of commands) {
    head.u8(command.version).u53(command.session).u53(command.sequence).u53(command.floor)
    head.string(command.principal).bytes(command.body).u32(command.blobs.length)
  }
  chain.raw(sha256(head.finish()))
  for (const command of commands) for (const blob of command.blobs) chain.raw(sha256(blob))
  return sha256(chain.finish())
}

function sha256(bytes: Bytes): Bytes {
  return hash('sha256', bytes, 'buffer')
}
