/**
 * The replicated machine. A verdict depends on the commands applied before, in log order, and on nothing else: neither on
 * when something was flushed nor on what is cached. Its order is fixed, else a retry would fail on its own events:
 * idempotency key, event ids, expected revision.
 *
 * An event's position is dense over all events, its revision dense in its stream. Refused commands change nothing but the
 * memory of keys. What verdicts need is in memory when they are made: ids and keys always, streams by `prefetch`.
 */
import { MalformedError, type Bytes } from '@synod/codec'
import type { CommandAt, Envelope, Slot, StateMachine } from '@synod/log'
import { systemScheduler, type Scheduler } from '@synod/transport'
import { Advance } from './advance.ts'
import { appendCommandVersion, decodeAppendCommand, type AppendCommand, type StreamWrite } from './append-command.ts'
import { EventIds } from './event-ids.ts'
import { checkEventMachineLimits, eventMachineLimits, type EventMachineLimits } from './event-machine-limits.ts'
import { isRecord, recordIdOffset } from './event-record.ts'
import type { Expected } from './event-store.ts'
import { Flusher } from './flusher.ts'
import { IdempotencyKeys } from './idempotency-keys.ts'
import type { ReadSide, SlotRow } from './read-side.ts'
import { SlotBuilder } from './slot-builder.ts'
import { decodeSlotIndex } from './slot-index.ts'
import type { StreamState } from './stream-state.ts'
import { StreamTable } from './stream-table.ts'
import { Tail } from './tail.ts'
import { decodeVerdict, encodeVerdict, type Verdict } from './verdict.ts'

/** Rows asked of the read side at once, when it is read in bulk. */
const loadRows = 4096

export interface EventMachineOptions {
  readonly readSide: ReadSide
  readonly limits?: Partial<EventMachineLimits>
  readonly scheduler?: Scheduler
  /** A flush failed: nothing more will be, and the node must stop. Called at most once. `prefetch` rejects with the same error. */
  readonly onFailure?: (error: Error) => void
}

/** What readers use: memory above, the read side below. */
export interface EventIndex {
  readonly streams: StreamTable
  readonly tail: Tail
  readonly advance: Advance
  readonly readSide: ReadSide
  readonly scheduler: Scheduler
}

export interface EventMachine extends StateMachine<Verdict> {
  /** For `openEventStore` of the same package. */
  readonly index: EventIndex
  /** The last position applied. */
  position(): number
  /** Names become metric labels. */
  counters(): Readonly<Record<string, number>>
  /** Flushes everything applied so far; tests and a clean shutdown want that. */
  flush(): Promise<void>
}

/** Throws a RangeError for a limit that makes no sense. */
export function createEventMachine(options: EventMachineOptions): EventMachine {
  return new Machine(options)
}

class Machine implements EventMachine {
  readonly outputs = { encode: encodeVerdict, decode: decodeVerdict }
  readonly index: EventIndex
  readonly #readSide: ReadSide
  readonly #limits: EventMachineLimits
  readonly #streams: StreamTable
  readonly #tail: Tail
  readonly #ids: EventIds
  readonly #keys: IdempotencyKeys
  readonly #flusher: Flusher
  readonly #advance: Advance
  readonly #builder = new SlotBuilder()
  /** Decoded by `prefetch` and not yet applied. */
  readonly #decoded = new Map<Envelope, AppendCommand | MalformedError>()
  /** Of the last event of the last command. The tail's head moves when the slot ends. */
  #head = 0
  #closing: Promise<void> | undefined

  constructor({ readSide, limits = {}, scheduler = systemScheduler, onFailure = () => {} }: EventMachineOptions) {
    this.#limits = checkEventMachineLimits({ ...eventMachineLimits, ...limits })
    this.#readSide = readSide
    this.#streams = new StreamTable(readSide, this.#limits.streamCacheMax)
    this.#tail = new Tail(this.#streams, this.#limits.tailBytesMax)
    this.#ids = new EventIds(this.#limits.idWindow)
    this.#keys = new IdempotencyKeys(this.#limits.keysMax)
    this.#advance = new Advance(scheduler)
    this.#flusher = new Flusher({ readSide, tail: this.#tail, scheduler, limits: this.#limits, onFailure })
    this.index = { streams: this.#streams, tail: this.#tail, advance: this.#advance, readSide, scheduler }
  }

  async open(): Promise<Slot> {
    const { idWindow, keysMax } = this.#limits
    const mark = await this.#readSide.open(`idWindow=${idWindow} keysMax=${keysMax}`)
    this.#head = mark.position
    this.#streams.restart(mark.streams)
    this.#tail.restart(mark.position)
    this.#flusher.restart(mark)
    await this.#loadIds(Math.max(1, mark.position - idWindow + 1), mark.position)
    await this.#loadKeys()
    return mark.slot
  }

  position(): number {
    return this.#tail.head
  }

  flushed(): Slot {
    return this.#flusher.mark.slot
  }

  accepting(): boolean {
    return this.#flusher.accepting()
  }

  counters(): Readonly<Record<string, number>> {
    return {
      ...this.#flusher.counters(),
      ...this.#streams.counters(),
      ...this.#readSide.counters(),
      position: this.#tail.head,
      tailBytes: this.#tail.bytes,
      eventIdBytes: this.#ids.bytes,
      idempotencyKeys: this.#keys.size,
    }
  }

  prefetch(commands: readonly Envelope[]): Promise<void> | undefined {
    this.#decoded.clear()
    this.#streams.beginBatch()
    const missing = new Set<string>()
    for (const command of commands) {
      // Openings are the log's own; an unknown version is for `apply` to halt at.
      if (command.session === 0 || command.version !== appendCommandVersion) continue
      const decoded = decode(command)
      this.#decoded.set(command, decoded)
      if (decoded instanceof MalformedError) continue
      for (const { stream } of decoded.writes) if (this.#streams.get(stream) === undefined) missing.add(stream)
    }
    const room = this.#flusher.room()
    if (missing.size === 0) return room
    return this.#load([...missing], room)
  }

  apply(command: Envelope, at: CommandAt): Verdict {
    if (command.version !== appendCommandVersion) {
      throw new Error(`slot ${at.slot} holds a command of version ${command.version}, and this build knows ${appendCommandVersion}: update this node`)
    }
    this.#builder.begin(at, this.#head + 1)
    const append = this.#decoded.get(command) ?? decode(command)
    const { verdict, wrote } = append instanceof MalformedError ? malformed(append.message) : this.#judgeKey(command, append)
    this.#builder.answer({ index: at.index, verdict, ...(wrote === undefined ? {} : { wrote }) })
    return verdict
  }

  slotApplied(slot: Slot): void {
    const ended = this.#builder.end(slot)
    if (ended === undefined) {
      this.#flusher.onApplied(slot, undefined)
      return
    }
    const { record } = ended
    if (record.offsets.length > 0) this.#tail.push(record)
    this.#flusher.onApplied(slot, { ...ended, streams: this.#streams.takeCreated(), keysForgotten: this.#keys.forgotten })
    if (record.offsets.length > 0) this.#advance.onApplied(record)
  }

  async *answers(from: Slot, to: Slot): AsyncIterable<{ readonly slot: Slot; readonly outputs: ReadonlyMap<number, Verdict> }> {
    for (let next = from; next <= to; ) {
      const rows: readonly SlotRow[] = await this.#readSide.slots(next, to, loadRows)
      for (const row of rows) yield { slot: row.slot, outputs: decodeSlotIndex(row).answers }
      if (rows.length < loadRows) return
      next = (rows.at(-1)?.slot ?? to) + 1
    }
  }

  flush(): Promise<void> {
    return this.#flusher.drain()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    // A failed flush was told by onFailure, and the log has what is not flushed.
    await this.#flusher.drain().catch(() => {})
    await this.#readSide.close()
  }

  #judgeKey(command: Envelope, append: AppendCommand): Judged {
    const { key } = append
    if (key === undefined) return this.#judge(append, command.blobs)
    const known = this.#keys.answer(command.principal, key.key, key.digest)
    if (known === 'other') return { verdict: { kind: 'keyReused' } }
    if (known !== undefined) return { verdict: decodeVerdict(known) }
    const judged = this.#judge(append, command.blobs)
    // What a node's own bug made malformed says nothing about the request.
    if (judged.verdict.kind !== 'malformed') {
      this.#builder.key(this.#keys.remember(command.principal, key.key, key.digest, encodeVerdict(judged.verdict)))
    }
    return judged
  }

  #judge(append: AppendCommand, blobs: readonly Bytes[]): Judged {
    if (!blobs.every(isRecord)) return malformed('an event that is no record of version 1')
    const states = append.writes.map(({ stream }) => this.#state(stream))
    const before = this.#appendedBefore(append, blobs, states)
    if (before !== undefined) return { verdict: before }
    const violations = append.writes.flatMap(({ expected }, write) => {
      const actual = states[write]?.revision ?? -1
      return isAsExpected(expected, actual) ? [] : [{ write, actual }]
    })
    if (violations.length > 0) return { verdict: { kind: 'wrongExpectedRevision', violations } }
    return this.#append(append.writes, blobs, states)
  }

  /** The verdict when the ids decide it: all stand there in this order, or some stand somewhere. Undefined: none is known. */
  #appendedBefore({ writes }: AppendCommand, blobs: readonly Bytes[], states: readonly StreamState[]): Verdict | undefined {
    const positions = blobs.map((blob) => this.#ids.position(blob, recordIdOffset))
    const known = positions.findIndex((position) => position > 0)
    if (known < 0) return duplicateId(blobs)
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
    return { verdict: { kind: 'appended', position: this.#head, revisions }, wrote: writes.map(({ count }) => count) }
  }

  #state(stream: string): StreamState {
    const state = this.#streams.get(stream)
    if (state === undefined) throw new Error(`stream ${JSON.stringify(stream)} was not prefetched: every command must be, in the last call before it is applied`)
    return state
  }

  async #load(missing: readonly string[], room: Promise<void> | undefined): Promise<void> {
    await Promise.all([this.#streams.load(missing), room])
  }

  async #loadIds(from: number, to: number): Promise<void> {
    this.#ids.restart(from)
    for (let next = from; next <= to; ) {
      const end = Math.min(to, next + loadRows - 1)
      for (const row of await this.#readSide.slotsHolding(next, end)) {
        const { ids, streamNumbers, revisions } = decodeSlotIndex(row)
        for (let event = next - row.firstPosition; event < row.count; event++) {
          this.#ids.add(ids, event * 16, streamNumbers[event] ?? 0, revisions[event] ?? 0)
          next++
        }
      }
    }
  }

  async #loadKeys(): Promise<void> {
    for (let above = 0; ; ) {
      const rows = await this.#readSide.keys(above, loadRows)
      for (const row of rows) this.#keys.load(row)
      if (rows.length < loadRows) return
      above = rows.at(-1)?.sequence ?? above
    }
  }
}

interface Judged {
  readonly verdict: Verdict
  readonly wrote?: readonly number[]
}

function decode(command: Envelope): AppendCommand | MalformedError {
  try {
    return decodeAppendCommand(command.body, command.blobs.length)
  } catch (error) {
    if (error instanceof MalformedError) return error
    throw error
  }
}

function malformed(why: string): Judged {
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
