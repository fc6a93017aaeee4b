/**
 * The replicated machine. A verdict depends on the commands applied before, in log order, and on nothing else: neither on
 * when something was flushed nor on what is cached. Its order is fixed, else a retry would fail on its own events:
 * idempotency key, event ids, tombstone, then expected revisions, checks and condition together (append-judge.ts).
 *
 * An event's position is dense over all events, its revision dense in its stream. Refused commands change nothing but the
 * memory of keys. What verdicts need is in memory when they are made: ids and keys always, streams by `prefetch`.
 */
import { MalformedError } from '@synod/codec'
import type { CommandAt, Envelope, Slot, StateMachine } from '@synod/log'
import { systemScheduler, type Scheduler } from '@synod/transport'
import { Advance } from './advance.ts'
import { decodeAppendCommand } from './append-command.ts'
import { AppendJudge, malformed } from './append-judge.ts'
import { commandKind, kindReader, kindVersion, plainAppendVersion, type CommandKind } from './command-kinds.ts'
import type { CommandPart } from './command-part.ts'
import { ConditionJudge } from './condition-judge.ts'
import { EventIds } from './event-ids.ts'
import { checkEventMachineLimits, eventMachineLimits, type EventMachineLimits } from './event-machine-limits.ts'
import { Flusher } from './flusher.ts'
import { GroupPart, type GroupsView } from './groups/group-part.ts'
import { IdempotencyKeys } from './idempotency-keys.ts'
import { PostingsIndex } from './postings-index.ts'
import type { ReadSide, ReadSideMark, SlotRow } from './read-side.ts'
import { RetentionClock, type RetentionProgress } from './retention/retention-clock.ts'
import { RetentionJudge, type RetentionNeeds } from './retention/retention-judge.ts'
import { SlotBuilder } from './slot-builder.ts'
import { decodeSlotIndex } from './slot-index.ts'
import { StreamTable } from './stream-table.ts'
import { Tail } from './tail.ts'
import { decodeVerdict, encodeVerdict, type Verdict } from './verdict.ts'
import type { Visibility } from './visibility.ts'

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
  readonly postings: PostingsIndex
  readonly visibility: Visibility
  readonly groups: GroupsView
  readonly readSide: ReadSide
  readonly scheduler: Scheduler
}

export interface EventMachine extends StateMachine<Verdict> {
  /** For `openEventStore` of the same package. */
  readonly index: EventIndex
  /** What ticks decided: retention time, how far the voters are. */
  readonly ticks: RetentionProgress
  /** Whether, and how often, this node has to tick. For `startTicking` of the same package. */
  readonly retention: RetentionNeeds
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

/** A command as `prefetch` decoded it. */
type Decoded = { readonly part: CommandPart<unknown>; readonly command: unknown } | MalformedError

class Machine implements EventMachine {
  readonly outputs = { encode: encodeVerdict, decode: decodeVerdict }
  readonly index: EventIndex
  readonly ticks: RetentionClock
  readonly retention: RetentionJudge
  readonly #readSide: ReadSide
  readonly #limits: EventMachineLimits
  readonly #streams: StreamTable
  readonly #tail: Tail
  readonly #ids: EventIds
  readonly #keys: IdempotencyKeys
  readonly #flusher: Flusher
  readonly #advance: Advance
  readonly #builder = new SlotBuilder()
  readonly #postings: PostingsIndex
  readonly #conditions: ConditionJudge
  readonly #appends: AppendJudge
  readonly #parts: Readonly<Partial<Record<CommandKind, CommandPart<unknown>>>>
  readonly #prefetchingParts: readonly CommandPart<unknown>[]
  /** Decoded by `prefetch`, in the order in which they will be applied, if they are, and how many of them have passed. */
  #prefetched: readonly Envelope[] = []
  readonly #decoded: (Decoded | undefined)[] = []
  #passed = 0
  /** All of them are plain appends, or not known. */
  #isPlain = true
  #closing: Promise<void> | undefined

  constructor({ readSide, limits = {}, scheduler = systemScheduler, onFailure = () => {} }: EventMachineOptions) {
    this.#limits = checkEventMachineLimits({ ...eventMachineLimits, ...limits })
    this.#readSide = readSide
    this.#streams = new StreamTable(readSide, this.#limits.streamCacheMax)
    this.#tail = new Tail(this.#streams, this.#limits.tailBytesMax)
    this.#ids = new EventIds(this.#limits.idWindow)
    this.#keys = new IdempotencyKeys(this.#limits.keysMax)
    this.#postings = new PostingsIndex(readSide)
    this.ticks = new RetentionClock(readSide, this.#builder, () => this.#appends.head)
    this.retention = new RetentionJudge(this.#streams, this.ticks, readSide, this.#builder)
    const [streams, ids, tail, postings, visibility] = [this.#streams, this.#ids, this.#tail, this.#postings, this.retention]
    this.#conditions = new ConditionJudge({ readSide, postings, streams, ids, tail, visibility }, this.#limits.conditionScanMax)
    const conditions = this.#conditions
    this.#appends = new AppendJudge({ streams, ids, keys: this.#keys, builder: this.#builder, postings, visibility, conditions })
    const groups = new GroupPart(readSide, this.#builder, () => this.#appends.head)
    this.#parts = {
      append: this.#appends as CommandPart<unknown>,
      retention: this.retention as CommandPart<unknown>,
      tick: this.ticks as CommandPart<unknown>,
      group: groups as CommandPart<unknown>,
    }
    this.#prefetchingParts = Object.values(this.#parts).filter((part) => part.prefetch !== undefined)
    this.#advance = new Advance(scheduler)
    this.#flusher = new Flusher({
      readSide,
      tail: this.#tail,
      scheduler,
      limits: this.#limits,
      postings: (from, to) => this.#postings.between(from, to),
      onFlushed: (mark) => this.#onFlushed(mark),
      onFailure,
    })
    this.index = {
      streams: this.#streams,
      tail: this.#tail,
      advance: this.#advance,
      postings: this.#postings,
      visibility: this.retention,
      groups,
      readSide,
      scheduler,
    }
  }

  async open(): Promise<Slot> {
    const { idWindow, keysMax, conditionScanMax } = this.#limits
    const mark = await this.#readSide.open(`idWindow=${idWindow} keysMax=${keysMax} conditionScanMax=${conditionScanMax}`)
    this.#appends.restart(mark.position)
    this.#postings.restart(mark.position)
    this.#streams.restart(mark.streams)
    this.#tail.restart(mark.position)
    this.#flusher.restart(mark)
    await this.#loadIds(Math.max(1, mark.position - idWindow + 1), mark.position)
    await this.#loadKeys()
    for (const part of Object.values(this.#parts)) await part.open?.(mark)
    return mark.slot
  }

  position(): number {
    return this.#tail.head
  }

  flushed(): Slot {
    return this.#flusher.mark.slot
  }

  async sync(): Promise<void> {
    await this.#readSide.sync?.()
  }

  accepting(): boolean {
    return this.#flusher.accepting()
  }

  counters(): Readonly<Record<string, number>> {
    return {
      ...this.#flusher.counters(),
      ...this.#streams.counters(),
      ...this.ticks.counters(),
      ...this.#readSide.counters(),
      position: this.#tail.head,
      tailBytes: this.#tail.bytes,
      eventIdBytes: this.#ids.bytes,
      idempotencyKeys: this.#keys.size,
    }
  }

  prefetch(commands: readonly Envelope[]): Promise<void> | undefined {
    this.#prefetched = commands
    this.#decoded.length = this.#passed = 0
    this.#streams.beginBatch()
    this.#conditions.beginBatch()
    this.#isPlain = true
    let missing: Set<string> | undefined
    for (const command of commands) {
      // Openings are the log's own; what this build does not know is for `apply` to halt at.
      const decoded = command.session === 0 ? undefined : this.#decode(command)
      this.#decoded.push(decoded)
      if (decoded === undefined || decoded instanceof MalformedError) continue
      if (command.version !== plainAppendVersion) this.#isPlain = false
      for (const stream of decoded.part.streamsOf(decoded.command))
        if (this.#streams.get(stream) === undefined) (missing ??= new Set()).add(stream)
    }
    const room = this.#flusher.room()
    return missing === undefined ? (this.#prefetchParts(room) ?? room) : this.#load([...missing], room)
  }

  apply(command: Envelope, at: CommandAt): Verdict {
    const decoded = this.#takeDecoded(command) ?? this.#decode(command) ?? this.#unknown(command, at.slot)
    this.#builder.begin(at, this.#appends.head + 1)
    const { verdict, wrote } =
      decoded instanceof MalformedError ? malformed(decoded.message) : decoded.part.judge(command, decoded.command, at)
    this.#builder.answer(at.index, verdict, wrote)
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
    const [streams, terms] = [this.#streams.takeCreated(), this.#postings.takeListed()]
    this.#flusher.onApplied(slot, { ...ended, streams, terms, keysForgotten: this.#keys.forgotten })
    if (record.offsets.length > 0) this.#advance.onApplied(record)
  }

  async *answers(from: Slot, to: Slot): AsyncIterable<{ readonly slot: Slot; readonly outputs: ReadonlyMap<number, Verdict> }> {
    for (let next = from; next <= to;) {
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
    const isFlushed = await this.#flusher.drain().then(
      () => true,
      () => false,
    )
    try {
      // The log saves its state up to here next, and may be without the slots below.
      if (isFlushed) await this.sync()
    } finally {
      await this.#readSide.close()
    }
  }

  /** Commands are applied in the order in which they were prefetched; the log may leave some out. */
  #takeDecoded(command: Envelope): Decoded | undefined {
    const at = this.#prefetched.indexOf(command, this.#passed)
    if (at < 0) return undefined
    this.#passed = at + 1
    return this.#decoded[at]
  }

  /** Undefined: a command that this build does not know. */
  #decode(command: Envelope): Decoded | undefined {
    const kind = commandKind(command)
    const part = kind === undefined ? undefined : this.#parts[kind]
    if (part === undefined) return undefined
    try {
      const { version, body, blobs } = command
      const decoded = version === plainAppendVersion ? decodeAppendCommand(body, blobs.length) : part.decode(kindReader(body), blobs.length)
      return { part, command: decoded }
    } catch (error) {
      if (error instanceof MalformedError) return error
      throw error
    }
  }

  #unknown({ version, body }: Envelope, slot: Slot): never {
    const what = version === plainAppendVersion || version === kindVersion ? `kind ${body[0]}` : `version ${version}`
    throw new Error(`slot ${slot} holds a command of ${what}, which this build does not know: update this node`)
  }

  async #load(missing: readonly string[], room: Promise<void> | undefined): Promise<void> {
    await Promise.all([this.#streams.load(missing), room])
    await this.#prefetchParts(undefined)
  }

  /** What the parts want besides streams, which are there by now. */
  #prefetchParts(room: Promise<void> | undefined): Promise<void> | undefined {
    if (this.#isPlain) return undefined
    let waits: Promise<void>[] | undefined
    const batch = { commands: this.#prefetched, streams: () => this.#prefetchedStreams() }
    for (const part of this.#prefetchingParts) {
      const commands = this.#decoded.flatMap((decoded, at) => {
        if (decoded === undefined || decoded instanceof MalformedError || decoded.part !== part) return []
        return this.#prefetched[at]!.version === plainAppendVersion ? [] : [decoded.command]
      })
      const wait = commands.length === 0 ? undefined : part.prefetch?.(commands, batch)
      if (wait !== undefined) (waits ??= []).push(wait)
    }
    if (waits === undefined) return undefined
    if (room !== undefined) waits.push(room)
    return Promise.all(waits).then(() => {})
  }

  #prefetchedStreams(): ReadonlySet<string> {
    const streams = new Set<string>()
    for (const decoded of this.#decoded) {
      if (decoded === undefined || decoded instanceof MalformedError) continue
      for (const stream of decoded.part.streamsOf(decoded.command)) streams.add(stream)
    }
    return streams
  }

  #onFlushed(mark: ReadSideMark): void {
    // Parts may still need what the postings are about to drop from memory.
    for (const part of Object.values(this.#parts)) part.flushed?.(mark)
    this.#postings.flushed(mark.position)
  }

  async #loadIds(from: number, to: number): Promise<void> {
    this.#ids.restart(from)
    for (let next = from; next <= to;) {
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
    for (let above = 0; ;) {
      const rows = await this.#readSide.keys(above, loadRows)
      for (const row of rows) this.#keys.load(row)
      if (rows.length < loadRows) return
      above = rows.at(-1)?.sequence ?? above
    }
  }
}
