/**
 * An entry is encoded once, by the node that proposes it, and is opaque bytes on every way after that.
 *
 *   entry    = version u8 · kind u8 (0 no-op, 1 commands) · [count u32 · envelope…]
 *   envelope = version u8 · session u53 · sequence u53 · floor u53 · principal string · body bytes · count u32 · blob bytes…
 */
import { ByteReader, ByteWriter, MalformedError, type Bytes } from '@synod/codec'
import type { Entry } from './entry.ts'
import type { Envelope } from './envelope.ts'

const version = 1
export const principalBytesMax = 256
const envelopeBytesMin = 1 + 8 + 8 + 8 + 4 + 4 + 4

export const noopEntry: Bytes = new Uint8Array([version, 0])

export function encodeEntry(entry: Entry): Bytes {
  if (entry.kind === 'noop') return noopEntry
  const writer = new ByteWriter(entry.commands.reduce((sum, command) => sum + envelopeBytes(command), 16))
  writer.u8(version).u8(1).u32(entry.commands.length)
  for (const command of entry.commands) {
    writer.u8(command.version).u53(command.session).u53(command.sequence).u53(command.floor)
    writer.string(command.principal).bytes(command.body).u32(command.blobs.length)
    for (const blob of command.blobs) writer.bytes(blob)
  }
  return writer.finish()
}

/** Throws a MalformedError. Bodies and blobs are views into `bytes`. */
export function decodeEntry(bytes: Bytes): Entry {
  const reader = new ByteReader(bytes)
  const format = reader.u8()
  if (format !== version) throw new MalformedError(`an entry of version ${format}, this build knows ${version}`)
  const kind = reader.u8()
  if (kind === 0) {
    reader.end()
    return { kind: 'noop' }
  }
  if (kind !== 1) throw new MalformedError(`an entry of kind ${kind}`)
  const commands = Array.from({ length: reader.count(envelopeBytesMin) }, () => decodeEnvelope(reader))
  reader.end()
  return { kind: 'commands', commands }
}

function decodeEnvelope(reader: ByteReader): Envelope {
  const commandVersion = reader.u8()
  const session = reader.u53()
  const sequence = reader.u53()
  const floor = reader.u53()
  const principal = reader.string(principalBytesMax)
  const body = reader.bytes()
  let left = reader.count(4)
  // One is what there is nearly always, and an array that begins empty takes room for many.
  const blobs = left === 0 ? [] : [reader.bytes()]
  while (--left > 0) blobs.push(reader.bytes())
  return { version: commandVersion, session, sequence, floor, principal, body, blobs }
}

/** An upper bound of the encoded size, for batching. */
export function envelopeBytes(command: Envelope): number {
  let bytes = envelopeBytesMin + command.principal.length * 3 + command.body.length
  for (const blob of command.blobs) bytes += 4 + blob.length
  return bytes
}
