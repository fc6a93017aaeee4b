/**
 * What the log itself has applied: the chain's hash and the session table as of a slot. It is saved now and then, at a slot
 * that the machine has flushed too, so that a start reads again only what came after.
 */
import { ByteReader, ByteWriter, type Bytes } from '@synod/codec'
import { chainStart } from './chain-hash.ts'
import { LogError } from './ordered-log.ts'
import { SessionTable, type SessionTableLimits } from './session-table.ts'
import type { Slot } from './slot.ts'

const version = 3

interface OutputCodec<O> {
  encode(output: O): Bytes
  decode(bytes: Bytes): O
}

export class LogState<O> {
  slot: Slot = 0
  hash: Bytes = chainStart
  readonly sessions: SessionTable<O>
  readonly #limits: SessionTableLimits
  readonly #outputs: OutputCodec<O>

  constructor(limits: SessionTableLimits, outputs: OutputCodec<O>) {
    this.sessions = new SessionTable(limits)
    this.#limits = limits
    this.#outputs = outputs
  }

  encode(): Bytes {
    const steps = this.encodeInSteps()
    for (;;) {
      const step = steps.next()
      if (step.done === true) return step.value
    }
  }

  /** A table full of answers takes a good part of a second: whoever has other things to do looks after them between the steps. */
  *encodeInSteps(): Generator<void, Bytes, undefined> {
    const writer = new ByteWriter(4096).u8(version)
    for (const limit of values(this.#limits)) writer.u53(limit)
    writer.u53(this.slot).raw(this.hash)
    yield* this.sessions.encode(writer, (output) => this.#outputs.encode(output))
    return writer.finish()
  }

  /**
   * Undefined for an older form: what it says can be computed again from the log. Throws a MalformedError, or a LogError when
   * a newer build saved it, or when it was saved under other bounds: they decide what is a repetition.
   */
  static decode<O>(bytes: Bytes, limits: SessionTableLimits, outputs: OutputCodec<O>): LogState<O> | undefined {
    const state = new LogState<O>(limits, outputs)
    const reader = new ByteReader(bytes)
    const format = reader.u8()
    if (format < version) return undefined
    if (format > version)
      throw new LogError(
        'unknown_version',
        `the saved state of the log has version ${format}, this build knows ${version}: start the newer build`,
      )
    const saved = values(limits).map(() => reader.u53())
    if (saved.join() !== values(limits).join())
      throw new LogError(
        'invalid_configuration',
        `this cluster remembers (sessions, answers a session, answers) ${saved.join(', ')} and this node is to remember ${values(limits).join(', ')}: they cannot be changed`,
      )
    state.slot = reader.u53()
    state.hash = reader.raw(chainStart.length)
    state.sessions.decode(reader, (encoded) => outputs.decode(encoded))
    reader.end()
    return state
  }
}

function values({ sessionsMax, sessionAnswersMax, answersMax }: SessionTableLimits): readonly number[] {
  return [sessionsMax, sessionAnswersMax, answersMax]
}
