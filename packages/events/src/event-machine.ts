/**
 * The replicated machine. A verdict depends on the commands applied before, in log order, and on nothing else: neither on
 * when something was flushed nor on what is cached. Its order is fixed, else a retry would fail on its own events:
 * idempotency key, event ids, expected revision.
 *
 * An event's position is dense over all events, its revision dense in its stream. Refused commands change nothing but the
 * memory of keys. What verdicts need is in memory when they are made: ids and keys always, streams by `prefetch`.
 */
import { MalformedError } from '@synod/codec'
import type { CommandAt, Envelope, Slot, StateMachine } from '@synod/log'
import { systemScheduler, type Scheduler } from '@synod/transport'
import { Advance } from './advance.ts'
import { appendCommandVersion, decodeAppendCommand, type AppendCommand } from './append-command.ts'
import { AppendJudge, malformed } from './append-judge.ts'
import { EventIds } from './event-ids.ts'
import { checkEventMachineLimits, eventMachineLimits, type EventMachineLimits } from './event-machine-limits.ts'
import { Flusher } from './flusher.ts'
import { IdempotencyKeys } from './idempotency-keys.ts'
import type { ReadSide, SlotRow } from './read-side.ts'
import { SlotBuilder } from './slot-builder.ts'
import { decodeSlotIndex } from './slot-index.ts'
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
  readonly #judge: AppendJudge
  /** Decoded by `prefetch`, in the order in which they will be applied, if they are, and how many of them have passed. */
  #prefetched: readonly Envelope[] = []
  readonly #decoded: (AppendCommand | MalformedError | undefined)[] = []
  #passed = 0
  #closing: Promise<void> | undefined

  constructor({ readSide, limits = {}, scheduler = systemScheduler, onFailure = () => {} }: EventMachineOptions) {
    this.#limits = checkEventMachineLimits({ ...eventMachineLimits, ...limits })
    this.#readSide = readSide
    this.#streams = new StreamTable(readSide, this.#limits.streamCacheMax)
    this.#tail = new Tail(this.#streams, this.#limits.tailBytesMax)
    this.#ids = new EventIds(this.#limits.idWindow)
    this.#keys = new IdempotencyKeys(this.#limits.keysMax)
    this.#judge = new AppendJudge(this.#streams, this.#ids, this.#keys, this.#builder)
    this.#advance = new Advance(scheduler)
    this.#flusher = new Flusher({ readSide, tail: this.#tail, scheduler, limits: this.#limits, onFailure })
    this.index = { streams: this.#streams, tail: this.#tail, advance: this.#advance, readSide, scheduler }
  }

  async open(): Promise<Slot> {
    const { idWindow, keysMax } = this.#limits
    const mark = await this.#readSide.open(`idWindow=${idWindow} keysMax=${keysMax}`)
    this.#judge.restart(mark.position)
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
    this.#prefetched = commands
    this.#decoded.length = this.#passed = 0
    this.#streams.beginBatch()
    let missing: Set<string> | undefined
    for (const command of commands) {
      // Openings are the log's own; an unknown version is for `apply` to halt at.
      const isOurs = command.session !== 0 && command.version === appendCommandVersion
      const decoded = isOurs ? decode(command) : undefined
      this.#decoded.push(decoded)
      if (decoded === undefined || decoded instanceof MalformedError) continue
      for (const { stream } of decoded.writes) if (this.#streams.get(stream) === undefined) (missing ??= new Set()).add(stream)
    }
    const room = this.#flusher.room()
    if (missing === undefined) return room
    return this.#load([...missing], room)
  }

  apply(command: Envelope, at: CommandAt): Verdict {
    if (command.version !== appendCommandVersion) {
      throw new Error(
        `slot ${at.slot} holds a command of version ${command.version}, and this build knows ${appendCommandVersion}: update this node`,
      )
    }
    this.#builder.begin(at, this.#judge.head + 1)
    const append = this.#takeDecoded(command) ?? decode(command)
    const { verdict, wrote } = append instanceof MalformedError ? malformed(append.message) : this.#judge.judge(command, append)
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
    this.#flusher.onApplied(slot, { ...ended, streams: this.#streams.takeCreated(), keysForgotten: this.#keys.forgotten })
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
    await this.#flusher.drain().catch(() => {})
    await this.#readSide.close()
  }

  /** Commands are applied in the order in which they were prefetched; the log may leave some out. */
  #takeDecoded(command: Envelope): AppendCommand | MalformedError | undefined {
    const at = this.#prefetched.indexOf(command, this.#passed)
    if (at < 0) return undefined
    this.#passed = at + 1
    return this.#decoded[at]
  }

  async #load(missing: readonly string[], room: Promise<void> | undefined): Promise<void> {
    await Promise.all([this.#streams.load(missing), room])
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

function decode(command: Envelope): AppendCommand | MalformedError {
  try {
    return decodeAppendCommand(command.body, command.blobs.length)
  } catch (error) {
    if (error instanceof MalformedError) return error
    throw error
  }
}
