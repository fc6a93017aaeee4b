/**
 * What the log itself has applied: the chain's hash and the session table as of a slot. It is saved now and then, at a slot
 * that the machine has flushed too, so that a start reads again only what came after.
 */
import { ByteReader, ByteWriter, type Bytes } from '@synod/codec'
import { chainStart } from './chain-hash.ts'
import { SessionTable, type SessionTableLimits } from './session-table.ts'
import type { Slot } from './slot.ts'

const version = 1

interface OutputCodec<O> {
  encode(output: O): Bytes
  decode(bytes: Bytes): O
}

export class LogState<O> {
  slot: Slot = 0
  hash: Bytes = chainStart
  readonly sessions: SessionTable<O>
  readonly #outputs: OutputCodec<O>

  constructor(limits: SessionTableLimits, outputs: OutputCodec<O>) {
    this.sessions = new SessionTable(limits)
    this.#outputs = outputs
  }

  encode(): Bytes {
    const writer = new ByteWriter(4096).u8(version).u53(this.slot).raw(this.hash)
    this.sessions.encode(writer, (output) => this.#outputs.encode(output))
    return writer.finish()
  }

  /** Throws a MalformedError. */
  static decode<O>(bytes: Bytes, limits: SessionTableLimits, outputs: OutputCodec<O>): LogState<O> {
    const state = new LogState<O>(limits, outputs)
    const reader = new ByteReader(bytes)
    const format = reader.u8()
    if (format !== version)
      throw new Error(`the saved state of the log has version ${format}, this build knows ${version}: start the newer build`)
    state.slot = reader.u53()
    state.hash = reader.raw(chainStart.length)
    state.sessions.decode(reader, (encoded) => outputs.decode(encoded))
    reader.end()
    return state
  }
}
