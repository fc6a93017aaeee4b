/**
 * The rules of an append, in their fixed order, and its effect on what later verdicts depend on: keys, ids, streams. What
 * it did goes into the slot's builder.
 */
import type { ByteReader, Bytes } from '@synod/codec'
import { isRecord, recordIdOffset } from '@synod/event-record'
import type { Envelope } from '@synod/log'
import { readAppendCommand, type AppendCommand, type StreamWrite } from './append-command.ts'
import type { CommandPart, Judged } from './command-part.ts'
import type { EventIds } from './event-ids.ts'
import type { Expected } from './event-store.ts'
import type { IdempotencyKeys } from './idempotency-keys.ts'
import type { SlotBuilder } from './slot-builder.ts'
import type { StreamState } from './stream-state.ts'
import type { StreamTable } from './stream-table.ts'
import { decodeVerdict, encodeVerdict, type Verdict } from './verdict.ts'

type Violation = Extract<Verdict, { kind: 'wrongExpectedRevision' }>['violations'][number]

const none: readonly Violation[] = []

export class AppendJudge implements CommandPart<AppendCommand> {
  readonly #streams: StreamTable
  readonly #ids: EventIds
  readonly #keys: IdempotencyKeys
  readonly #builder: SlotBuilder
  #head = 0

  constructor(streams: StreamTable, ids: EventIds, keys: IdempotencyKeys, builder: SlotBuilder) {
    this.#streams = streams
    this.#ids = ids
    this.#keys = keys
    this.#builder = builder
  }

  /** Of the last event of the last command. The tail's head follows when the slot ends. */
  get head(): number {
    return this.#head
  }

  restart(head: number): void {
    this.#head = head
  }

  decode(reader: ByteReader, blobs: number): AppendCommand {
    return readAppendCommand(reader, blobs)
  }

  *streamsOf({ writes }: AppendCommand): Iterable<string> {
    for (const { stream } of writes) yield stream
  }

  judge(command: Envelope, append: AppendCommand): Judged {
    const { key } = append
    if (key === undefined) return this.#judgeEvents(append, command.blobs)
    const known = this.#keys.answer(command.principal, key.key, key.digest)
    if (known === 'other') return { verdict: { kind: 'keyReused' } }
    if (known !== undefined) return { verdict: decodeVerdict(known) }
    const judged = this.#judgeEvents(append, command.blobs)
    // What a node's own bug made malformed says nothing about the request.
    if (judged.verdict.kind !== 'malformed') {
      this.#builder.key(this.#keys.remember(command.principal, key.key, key.digest, encodeVerdict(judged.verdict)))
    }
    return judged
  }

  #judgeEvents(append: AppendCommand, blobs: readonly Bytes[]): Judged {
    if (!blobs.every(isRecord)) return malformed('an event that is no record of version 1')
    const states = append.writes.map(({ stream }) => this.#state(stream))
    const before = this.#appendedBefore(append, blobs, states)
    if (before !== undefined) return { verdict: before }
    const violations = violationsOf(append.writes, states)
    if (violations.length > 0) return { verdict: { kind: 'wrongExpectedRevision', violations } }
    return this.#append(append.writes, blobs, states)
  }

  /** The verdict when the ids decide it: all stand there in this order, or some stand somewhere. Undefined: none is known. */
  #appendedBefore({ writes }: AppendCommand, blobs: readonly Bytes[], states: readonly StreamState[]): Verdict | undefined {
    const known = blobs.findIndex((blob) => this.#ids.position(blob, recordIdOffset) > 0)
    if (known < 0) return duplicateId(blobs)
    const positions = blobs.map((blob) => this.#ids.position(blob, recordIdOffset))
    const revisions: number[] = []
    let event = 0
    for (const [write, { count }] of writes.entries()) {
      let revision = -1
      for (const end = event + count; event < end; event++) {
        const position = positions[event] ?? 0
        const stands = position > 0 && this.#ids.streamNumber(position) === states[write]?.number && this.#ids.revision(position) > revision
        if (!stands) return { kind: 'eventIdConflict', id: idOf(blobs[position > 0 ? event : known]) }
        revision = this.#ids.revision(position)
      }
      revisions.push(revision)
    }
    return { kind: 'appended', position: positions.at(-1) ?? 0, revisions }
  }

  #append(writes: readonly StreamWrite[], blobs: readonly Bytes[], states: readonly StreamState[]): Judged {
    let event = 0
    const revisions = writes.map(({ count }, write) => {
      const state = states[write]
      if (state === undefined) throw new Error(`write ${write} has no stream`)
      if (state.number === 0) this.#streams.create(state)
      for (const end = event + count; event < end; event++) {
        const blob = blobs[event]
        if (blob === undefined) throw new Error(`event ${event} of ${blobs.length} is missing`)
        this.#builder.event(state, ++state.revision, blob)
        this.#ids.add(blob, recordIdOffset, state.number, state.revision)
      }
      return state.revision
    })
    this.#head += blobs.length
    return { verdict: { kind: 'appended', position: this.#head, revisions }, wrote: writes }
  }

  #state(stream: string): StreamState {
    const state = this.#streams.get(stream)
    if (state === undefined)
      throw new Error(`stream ${JSON.stringify(stream)} was not prefetched: every command must be, in the last call before it is applied`)
    return state
  }
}

export function malformed(why: string): Judged {
  return { verdict: { kind: 'malformed', why } }
}

/** Every violated check at once. */
function violationsOf(writes: readonly StreamWrite[], states: readonly StreamState[]): readonly Violation[] {
  if (writes.every(({ expected }, write) => isAsExpected(expected, states[write]!.revision))) return none
  return writes.flatMap(({ expected }, write) => {
    const actual = states[write]!.revision
    return isAsExpected(expected, actual) ? [] : [{ write, actual }]
  })
}

function isAsExpected(expected: Expected, actual: number): boolean {
  switch (expected) {
    case 'any':
      return true
    case 'noStream':
      return actual < 0
    case 'streamExists':
      return actual >= 0
    default:
      return actual === expected
  }
}

/** No id of the request is known, but one may stand in it twice. */
function duplicateId(blobs: readonly Bytes[]): Verdict | undefined {
  if (blobs.length === 1) return undefined
  const seen = new Set<string>()
  for (const blob of blobs) {
    const id = idOf(blob)
    const text = String.fromCharCode(...id)
    if (seen.has(text)) return { kind: 'eventIdConflict', id }
    seen.add(text)
  }
  return undefined
}

function idOf(blob: Bytes | undefined): Bytes {
  return (blob ?? new Uint8Array(0)).slice(recordIdOffset, recordIdOffset + 16)
}
