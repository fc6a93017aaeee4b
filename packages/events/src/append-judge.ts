/**
 * The rules of an append, in their fixed order, and its effect on what later verdicts depend on: keys, ids, streams, postings. What
 * it did goes into the slot's builder. The order: idempotency key, event ids, tombstones, then expected revisions, checks and
 * the condition together, so that everything that is violated is told at once. What is violated is told even when the condition is
 * too broad.
 */
import type { ByteReader, Bytes } from '@synod/codec'
import { recordIdOffset, recordTagsAt } from '@synod/event-record'
import type { Envelope } from '@synod/log'
import { readAtomicAppend, type AppendCommand, type StreamWrite } from './append-command.ts'
import type { CommandPart, Judged, PrefetchedBatch } from './command-part.ts'
import type { ConditionJudge, Finding } from './condition-judge.ts'
import type { EventIds } from './event-ids.ts'
import type { Expected, StreamCheck } from './event-store.ts'
import type { IdempotencyKeys } from './idempotency-keys.ts'
import type { PostingsIndex } from './postings-index.ts'
import type { ReadSideMark } from './read-side.ts'
import type { SlotBuilder } from './slot-builder.ts'
import type { StreamState } from './stream-state.ts'
import type { StreamTable } from './stream-table.ts'
import { decodeVerdict, encodeVerdict, type Verdict } from './verdict.ts'
import type { Visibility } from './visibility.ts'

type Violation = Extract<Verdict, { kind: 'violated' }>['revisions'][number]

const none: readonly Violation[] = []
const holds: Finding = { kind: 'holds' }

/** What the rules look at and change. */
export interface AppendState {
  readonly streams: StreamTable
  readonly ids: EventIds
  readonly keys: IdempotencyKeys
  readonly builder: SlotBuilder
  readonly postings: PostingsIndex
  readonly visibility: Visibility
  readonly conditions: ConditionJudge
}

export class AppendJudge implements CommandPart<AppendCommand> {
  readonly #streams: StreamTable
  readonly #ids: EventIds
  readonly #keys: IdempotencyKeys
  readonly #builder: SlotBuilder
  readonly #postings: PostingsIndex
  readonly #visibility: Visibility
  readonly #conditions: ConditionJudge
  /** Of the events of the command that is judged. */
  readonly #tagsAt: number[] = []
  #head = 0

  constructor({ streams, ids, keys, builder, postings, visibility, conditions }: AppendState) {
    this.#streams = streams
    this.#ids = ids
    this.#keys = keys
    this.#builder = builder
    this.#postings = postings
    this.#visibility = visibility
    this.#conditions = conditions
  }

  /** Of the last event of the last command. The tail's head follows when the slot ends. */
  get head(): number {
    return this.#head
  }

  restart(head: number): void {
    this.#head = head
  }

  decode(reader: ByteReader, blobs: number): AppendCommand {
    return readAtomicAppend(reader, blobs)
  }

  *streamsOf({ writes, checks }: AppendCommand): Iterable<string> {
    for (const { stream } of writes) yield stream
    if (checks !== undefined) for (const { stream } of checks) yield stream
  }

  prefetch(commands: readonly AppendCommand[], batch: PrefetchedBatch): Promise<void> | undefined {
    const conditions = commands.flatMap(({ condition }) => condition ?? [])
    return conditions.length === 0 ? undefined : this.#conditions.prefetch(conditions, batch, this.#head)
  }

  flushed({ position }: ReadSideMark): void {
    this.#conditions.flushed(position)
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
    for (let event = 0; event < blobs.length; event++) {
      const tagsAt = recordTagsAt(blobs[event]!)
      if (tagsAt === 0) return malformed('an event that is no record of version 1')
      this.#tagsAt[event] = tagsAt
    }
    const states = append.writes.map(({ stream }) => this.#state(stream))
    const before = this.#appendedBefore(append, blobs, states)
    if (before !== undefined) return { verdict: before }
    const tombstoned = this.#visibility.hidesNothing ? -1 : states.findIndex((state) => this.#visibility.isTombstoned(state))
    if (tombstoned >= 0) return { verdict: { kind: 'streamTombstoned', write: tombstoned } }
    const refusal = append.checks === undefined ? this.#refusalOfPlain(append.writes, states) : this.#refusal(append, append.checks, states)
    return refusal === undefined ? this.#append(append.writes, blobs, states) : { verdict: refusal }
  }

  #refusalOfPlain(writes: readonly StreamWrite[], states: readonly StreamState[]): Verdict | undefined {
    const violations = this.#violationsOf(writes, states)
    if (violations.length === 0) return undefined
    return { kind: 'wrongExpectedRevision', violations: violations.map(({ place, actual }) => ({ write: place, actual })) }
  }

  #refusal({ writes, condition }: AppendCommand, checks: readonly StreamCheck[], states: readonly StreamState[]): Verdict | undefined {
    const all = states.concat(checks.map(({ stream }) => this.#state(stream)))
    const revisions = this.#violationsOf([...writes, ...checks], all)
    const finding = condition === undefined ? holds : this.#conditions.judge(condition, this.#head)
    if (revisions.length > 0 || finding.kind === 'violated')
      return { kind: 'violated', revisions, position: finding.kind === 'violated' ? finding.position : 0 }
    return finding.kind === 'tooBroad' ? { kind: 'conditionTooBroad', scanned: finding.scanned } : undefined
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
        this.#postings.addEvent(++this.#head, state, blob, this.#tagsAt[event]!)
        this.#conditions.onEvent(state, state.revision)
      }
      return state.revision
    })
    return { verdict: { kind: 'appended', position: this.#head, revisions }, wrote: writes }
  }

  /** Every violated one at once. */
  #violationsOf(expectations: readonly Pick<StreamWrite, 'expected'>[], states: readonly StreamState[]): readonly Violation[] {
    let violations = none
    for (let place = 0; place < expectations.length; place++) {
      const actual = this.#visibility.lastRevision(states[place]!)
      if (!isAsExpected(expectations[place]!.expected, actual)) violations = violations.concat({ place, actual })
    }
    return violations
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
