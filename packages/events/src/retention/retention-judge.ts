/**
 * The rules by which a stream's retention changes, and what is hidden by it (visibility.ts).
 *
 * A change is answered alike when it is asked for again: who deletes what is deleted gets the answer of the first time. A
 * tombstone wins over everything. What is hidden once stays hidden: before metadata are replaced, what they hide by then is
 * written down. What they would hide of events to come goes with them.
 *
 *   cell retention/used = version u8 (1) · streams with a maxAge u53 · shortestAgeSeconds u53
 */
import { ByteWriter, type ByteReader } from '@synod/codec'
import type { CommandAt, Envelope } from '@synod/log'
import type { CommandPart, Judged } from '../command-part.ts'
import type { Expected } from '../event-store.ts'
import type { ReadSide, ReadSideMark } from '../read-side.ts'
import type { SlotBuilder } from '../slot-builder.ts'
import type { StreamState } from '../stream-state.ts'
import type { StreamTable } from '../stream-table.ts'
import type { Hidden, Visibility } from '../visibility.ts'
import type { RetentionClock } from './retention-clock.ts'
import { readRetentionCommand, type RetentionCommand } from './retention-command.ts'
import { noMetadata, type StoredMetadata } from './retention-metadata.ts'
import { decodeCell, encodeRetentionState, keepsEverything, retentionCell, type RetentionState } from './retention-state.ts'
import type { RetentionVerdict, StreamCondition } from './retention-verdict.ts'

/** What decides whether a node ticks, and how often (start-ticking.ts). */
export interface RetentionNeeds {
  /** Some stream had a change: until then nothing is hidden. */
  readonly isUsed: boolean
  /** The shortest `maxAge`, in seconds, that was set since last no stream had one; 0: none has one. */
  readonly shortestAgeSeconds: number
  /** Events up to this position are flushed here. */
  readonly flushedPosition: number
}

const usedCell = 'retention/used'
const hidesNone: Hidden = { belowRevision: 0, throughPosition: 0 }

export class RetentionJudge implements CommandPart<RetentionCommand>, Visibility, RetentionNeeds {
  readonly #streams: StreamTable
  readonly #clock: RetentionClock
  readonly #readSide: ReadSide
  readonly #builder: SlotBuilder
  #isUsed = false
  /** Streams that have a `maxAge`. */
  #agedStreams = 0
  #shortestAgeSeconds = 0
  #flushedPosition = 0

  constructor(streams: StreamTable, clock: RetentionClock, readSide: ReadSide, builder: SlotBuilder) {
    this.#streams = streams
    this.#clock = clock
    this.#readSide = readSide
    this.#builder = builder
  }

  get isUsed(): boolean {
    return this.#isUsed
  }

  get shortestAgeSeconds(): number {
    return this.#shortestAgeSeconds
  }

  get flushedPosition(): number {
    return this.#flushedPosition
  }

  async open({ position }: ReadSideMark): Promise<void> {
    this.#flushedPosition = position
    const used = (await this.#readSide.cellsNamed([usedCell]))[0]?.value ?? undefined
    if (used === undefined) return
    this.#isUsed = true
    const [aged, shortest] = decodeCell(usedCell, used, (reader) => [reader.u53(), reader.u53()] as const)
    this.#agedStreams = aged
    this.#shortestAgeSeconds = shortest
    this.#streams.restoreRetention()
  }

  decode(reader: ByteReader, blobs: number): RetentionCommand {
    return readRetentionCommand(reader, blobs)
  }

  streamsOf({ stream }: RetentionCommand): Iterable<string> {
    return [stream]
  }

  judge(_envelope: Envelope, command: RetentionCommand, at: CommandAt): Judged {
    const state = this.#streams.get(command.stream)
    if (state === undefined) throw new Error(`stream ${JSON.stringify(command.stream)} was not prefetched`)
    return { verdict: command.op === 'setMetadata' ? this.#setMetadata(state, command, at) : this.#delete(state, command, at) }
  }

  flushed({ slot, position }: ReadSideMark): void {
    this.#flushedPosition = position
    this.#streams.flushed(slot)
  }

  get hidesNothing(): boolean {
    return !this.#isUsed
  }

  hiddenIn(state: StreamState): Hidden {
    const { retention, revision } = state
    if (retention === keepsEverything) return hidesNone
    const { maxCount = Infinity, maxAgeSeconds, truncateBefore = 0 } = retention.metadata
    const below = Math.max(retention.belowRevision, truncateBefore, revision - maxCount + 1)
    const through = maxAgeSeconds === undefined ? 0 : this.#clock.horizon(maxAgeSeconds * 1000)
    return { belowRevision: Math.min(below, revision + 1), throughPosition: Math.max(retention.throughPosition, through) }
  }

  async hiddenInNamed(names: ReadonlySet<string>): Promise<ReadonlyMap<string, Hidden>> {
    const found = await this.#streams.findRetained(names)
    return new Map(found.entries().map(([name, state]) => [name, this.hiddenIn(state)]))
  }

  lastRevision({ revision, retention }: StreamState): number {
    return revision === retention.deletedRevision ? -1 : revision
  }

  isTombstoned({ retention }: StreamState): boolean {
    return retention.isTombstoned
  }

  #setMetadata(state: StreamState, { metadata }: Extract<RetentionCommand, { op: 'setMetadata' }>, at: CommandAt): RetentionVerdict {
    const { retention } = state
    if (retention.isTombstoned) return refused('streamTombstoned')
    const hidden = this.hiddenIn(state)
    return this.#change(state, { ...retention, ...hidden, metadata }, at)
  }

  #delete(
    state: StreamState,
    { op, expected }: Extract<RetentionCommand, { op: 'delete' | 'tombstone' }>,
    at: CommandAt,
  ): RetentionVerdict {
    const { retention, revision } = state
    const isTombstone = op === 'tombstone'
    if (retention.isTombstoned) return isTombstone ? changed(state) : refused('streamTombstoned')
    if (revision < 0) return refused('streamNotFound')
    const last = this.lastRevision(state)
    if (!isTombstone && last < 0 && retention.metadata === noMetadata) return changed(state)
    if (!isAsExpected(expected, last)) return { kind: 'retention', outcome: 'wrongExpectedRevision', actual: last }
    const { throughPosition } = this.hiddenIn(state)
    const deleted = { belowRevision: revision + 1, throughPosition, deletedRevision: revision, isTombstoned: isTombstone }
    return this.#change(state, { ...retention, ...deleted, metadata: noMetadata }, at)
  }

  #change(state: StreamState, retention: Omit<RetentionState, 'version'>, { slot }: CommandAt): RetentionVerdict {
    const next: RetentionState = { ...retention, version: state.retention.version + 1 }
    this.#use(state.retention.metadata, next.metadata)
    this.#streams.retain(state, next, slot)
    this.#builder.cell(retentionCell(state.name), encodeRetentionState(next))
    return changed(state)
  }

  #use(before: StoredMetadata, after: StoredMetadata): void {
    const [wasUsed, aged, shortest] = [this.#isUsed, this.#agedStreams, this.#shortestAgeSeconds]
    this.#isUsed = true
    this.#agedStreams += Number(after.maxAgeSeconds !== undefined) - Number(before.maxAgeSeconds !== undefined)
    if (this.#agedStreams === 0) this.#shortestAgeSeconds = 0
    else if (after.maxAgeSeconds !== undefined) this.#shortestAgeSeconds = Math.min(after.maxAgeSeconds, shortest || Infinity)
    if (wasUsed && aged === this.#agedStreams && shortest === this.#shortestAgeSeconds) return
    const writer = new ByteWriter(32).u8(1).u53(this.#agedStreams).u53(this.#shortestAgeSeconds)
    this.#builder.cell(usedCell, writer.finish().slice())
  }
}

/** What its metadata belongs to. */
export function conditionOf({ revision, retention }: StreamState): StreamCondition {
  if (retention.isTombstoned) return 'tombstoned'
  if (revision < 0) return 'absent'
  return revision === retention.deletedRevision ? 'deleted' : 'open'
}

function changed(state: StreamState): RetentionVerdict {
  return { kind: 'retention', outcome: 'changed', version: state.retention.version, state: conditionOf(state) }
}

function refused(outcome: 'streamNotFound' | 'streamTombstoned'): RetentionVerdict {
  return { kind: 'retention', outcome }
}

function isAsExpected(expected: Expected, actual: number): boolean {
  if (typeof expected === 'number') return actual === expected
  return expected === 'any' || actual < 0 === (expected === 'noStream')
}
