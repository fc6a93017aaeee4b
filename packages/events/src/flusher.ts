/**
 * Brings what is applied into the read side, behind the acknowledgement: one transaction at a time, the next batch collects
 * meanwhile. A batch is whole slots. What waits is bounded: `accepting` turns false a quarter before, then applying waits.
 *
 * A failed flush is not tried again, for nobody knows whether it took effect: the node stops, and at its next start the
 * mark says where the log has to be read again.
 */
import type { Slot } from '@synod/log'
import type { Scheduler } from '@synod/transport'
import type { EventMachineLimits } from './event-machine-limits.ts'
import type { Cell, Postings, ReadSide, ReadSideMark, SlotToFlush, StreamName } from './read-side.ts'
import type { EndedSlot } from './slot-builder.ts'
import { recordBytes, type Tail } from './tail.ts'

/** Slots without commands move the mark only now and then: reading them again costs next to nothing. */
const idleSlots = 4096

export interface AppliedSlot extends EndedSlot {
  readonly streams: readonly StreamName[]
  /** Of its events, those that no earlier unflushed event has. */
  readonly terms: number
  /** Keys up to this sequence were forgotten by the end of the slot; not more, or a replay from here would judge otherwise. */
  readonly keysForgotten: number
}

export interface FlusherOptions {
  readonly readSide: ReadSide
  readonly tail: Tail
  readonly scheduler: Scheduler
  readonly limits: EventMachineLimits
  /** The postings of a range of positions, which are about to be flushed. */
  readonly postings: (from: number, to: number) => readonly Postings[]
  readonly onFlushed: (mark: ReadSideMark) => void
  readonly onFailure: (error: Error) => void
}

export class Flusher {
  readonly #options: FlusherOptions
  #mark: ReadSideMark = { slot: 0, position: 0, streams: 0 }
  #applied: Slot = 0
  #waiting: AppliedSlot[] = []
  /** Rows to write and bytes held, those of the running flush included. */
  #rows = 0
  #bytes = 0
  #rowsWaiting = 0
  #running: Promise<void> | undefined
  #cancelTimer: (() => void) | undefined
  #room: PromiseWithResolvers<void> | undefined
  #failure: Error | undefined
  #flushes = 0
  #rowsFlushed = 0

  constructor(options: FlusherOptions) {
    this.#options = options
  }

  get mark(): ReadSideMark {
    return this.#mark
  }

  counters(): Readonly<Record<string, number>> {
    const { unflushedEventsMax, unflushedBytesMax } = this.#options.limits
    const waiting = { unflushedEvents: this.#rows, unflushedEventsMax, unflushedBytes: this.#bytes, unflushedBytesMax }
    return { flushes: this.#flushes, flushedEvents: this.#rowsFlushed, ...waiting }
  }

  restart(mark: ReadSideMark): void {
    this.#mark = mark
    this.#applied = mark.slot
  }

  accepting(): boolean {
    const { unflushedEventsMax, unflushedBytesMax } = this.#options.limits
    return this.#failure === undefined && this.#rows * 4 <= unflushedEventsMax * 3 && this.#bytes * 4 <= unflushedBytesMax * 3
  }

  /** Undefined when there is room. Rejects when flushing has failed. */
  room(): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const { unflushedEventsMax, unflushedBytesMax } = this.#options.limits
    if (this.#rows < unflushedEventsMax && this.#bytes < unflushedBytesMax) return undefined
    this.#start()
    this.#room ??= Promise.withResolvers<void>()
    return this.#room.promise
  }

  /** Every slot is told, in order; `applied` when it had commands. */
  onApplied(slot: Slot, applied: AppliedSlot | undefined): void {
    this.#applied = slot
    if (applied !== undefined) {
      this.#waiting.push(applied)
      this.#rows += rowsOf(applied)
      this.#rowsWaiting += rowsOf(applied)
      this.#bytes += recordBytes(applied.record)
    }
    if (this.#running !== undefined) return
    if (this.#rowsWaiting >= this.#options.limits.flushEventsMax || slot - this.#mark.slot >= idleSlots) this.#start()
    else if (this.#waiting.length > 0) this.#startLater()
  }

  /** Flushes everything applied so far. Rejects when flushing has failed. */
  async drain(): Promise<void> {
    while (this.#failure === undefined && this.#mark.slot < this.#applied) {
      this.#start()
      await this.#running
    }
    this.#cancelTimer?.()
    if (this.#failure !== undefined) throw this.#failure
  }

  #startLater(): void {
    const { scheduler, limits } = this.#options
    this.#cancelTimer ??= scheduler.at(scheduler.now() + limits.flushDelayMs, () => {
      this.#cancelTimer = undefined
      this.#start()
    })
  }

  #start(): void {
    if (this.#running !== undefined || this.#failure !== undefined) return
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#running = this.#flush().then(
      () => this.#onFlushed(),
      (error: unknown) => this.#onFailed(error instanceof Error ? error : new Error(String(error))),
    )
  }

  async #flush(): Promise<void> {
    const { readSide, tail, postings, onFlushed } = this.#options
    const batch = this.#take()
    const last = batch.at(-1)
    const streams = batch.flatMap((applied) => applied.streams)
    const from = this.#mark
    const to: ReadSideMark = {
      slot: this.#waiting.length === 0 || last === undefined ? this.#applied : last.record.slot,
      position: batch.reduce((position, { record }) => position + record.offsets.length, from.position),
      streams: from.streams + streams.length,
    }
    await readSide.flush({
      from,
      to,
      streams,
      slots: batch.map(slotToFlush),
      keys: batch.flatMap((applied) => applied.keys),
      keysForgotten: last?.keysForgotten ?? 0,
      postings: postings(from.position + 1, to.position),
      cells: lastCells(batch),
    })
    this.#mark = to
    for (const applied of batch) {
      this.#rows -= rowsOf(applied)
      this.#bytes -= recordBytes(applied.record)
    }
    this.#flushes++
    this.#rowsFlushed += to.position - from.position
    tail.flushed(to.position)
    onFlushed(to)
  }

  #take(): readonly AppliedSlot[] {
    let [rows, count] = [0, 0]
    for (const applied of this.#waiting) {
      if (rows >= this.#options.limits.flushEventsMax) break
      rows += rowsOf(applied)
      count++
    }
    this.#rowsWaiting -= rows
    return this.#waiting.splice(0, count)
  }

  #onFlushed(): void {
    this.#running = undefined
    this.#room?.resolve()
    this.#room = undefined
    if (this.#rowsWaiting >= this.#options.limits.flushEventsMax) this.#start()
    else if (this.#waiting.length > 0) this.#startLater()
  }

  #onFailed(error: Error): void {
    this.#running = undefined
    this.#failure = error
    this.#room?.reject(error)
    this.#room = undefined
    this.#options.onFailure(error)
  }
}

/**
 * What it adds to a transaction; a slot in which everything was refused is a row too. An event brings its type and its
 * category, every further term counts like an event: 64 tags that nothing else has cost 64 times as much.
 */
function rowsOf({ record, terms, keys, cells }: AppliedSlot): number {
  const events = record.offsets.length
  return Math.max(1, events, terms - events) + keys.length + cells.size
}

/** The last value of each. */
function lastCells(batch: readonly AppliedSlot[]): readonly Cell[] {
  const last = new Map<string, Cell>()
  for (const { cells } of batch) for (const [key, cell] of cells) last.set(key, cell)
  return [...last.values()]
}

function slotToFlush({ record, index }: AppliedSlot): SlotToFlush {
  const { slot, firstPosition, streams, revisions, offsets, lengths } = record
  const count = offsets.length
  const streamNumbers = new Uint32Array(count)
  for (let event = 0; event < count; event++) streamNumbers[event] = streams[event]!.number
  return { slot, firstPosition: count === 0 ? 0 : firstPosition, count, index, streamNumbers, revisions, offsets, lengths }
}
