/**
 * Retention time: a value of the machine that only decided ticks move. Each node tells its clock; the time is the (f + 1)-th
 * smallest over all voters, f = floor((n - 1) / 2), a node that was never heard counting as the smallest, and it never goes
 * back. So at least one clock that is not among f wrong ones has reached it, and f that are far behind do not hold it: one
 * wrong clock moves nothing, and a store into which nobody appends grows older all the same.
 *
 * Ticks tell how far each node has flushed, too, which is what may be reclaimed.
 *
 *   cell retention/clock         = version u8 (1) · time u53 · clocks u8 · [node string · clock u53 · flushed u53]…
 *                                  · voters u8 · [voter string]…
 *   cell retention/tick/<time>   = version u8 (1) · position u53       the time in 16 digits (age-horizon.ts)
 */
import { ByteWriter, type ByteReader } from '@synod/codec'
import type { CommandAt, Envelope, Slot } from '@synod/log'
import type { NodeId } from '@synod/transport'
import type { CommandPart, Judged } from '../command-part.ts'
import type { ReadSide } from '../read-side.ts'
import type { SlotBuilder } from '../slot-builder.ts'
import { AgeHorizon, retentionTicksMax } from './age-horizon.ts'
import { decodeCell } from './retention-state.ts'
import { readTick, type Tick } from './tick-command.ts'

const clockCell = 'retention/clock'
const tickCells = 'retention/tick/'
const timeDigits = 16
/** Cells asked of the read side at once. */
const loadCells = 4096
const ticked: Judged = { verdict: { kind: 'retention', outcome: 'ticked' } }

/** What decided ticks say, as of the last one that was applied here. */
export interface RetentionProgress {
  /** Retention time, milliseconds since 1970; 0 before a quorum has ticked. */
  readonly time: number
  /** The slot up to which each voter said that it has flushed; those that never ticked are left out. */
  progress(): ReadonlyMap<NodeId, Slot>
  /** Every voter has applied and flushed up to here; 0 as long as one never ticked. */
  reclaimable(): Slot
}

interface Told {
  readonly clock: number
  readonly flushed: Slot
}

export class RetentionClock implements CommandPart<Tick>, RetentionProgress {
  readonly #readSide: ReadSide
  readonly #builder: SlotBuilder
  readonly #head: () => number
  readonly #horizon: AgeHorizon
  #time = 0
  /** Of the voters of the last tick. */
  #told = new Map<NodeId, Told>()
  #voters: readonly NodeId[] = []

  /** `head` gives the last position of the command before. */
  constructor(readSide: ReadSide, builder: SlotBuilder, head: () => number) {
    this.#readSide = readSide
    this.#builder = builder
    this.#head = head
    this.#horizon = new AgeHorizon((time, position) => this.#saveTick(time, position))
  }

  get time(): number {
    return this.#time
  }

  /** What is so old, by retention time, ends at this position. Zero: nothing is. */
  horizon(ageMs: number): number {
    return ageMs > this.#time ? 0 : this.#horizon.at(this.#time - ageMs)
  }

  progress(): ReadonlyMap<NodeId, Slot> {
    return new Map(this.#told.entries().map(([node, { flushed }]) => [node, flushed]))
  }

  reclaimable(): Slot {
    return this.#voters.length === 0 ? 0 : Math.min(...this.#voters.map((voter) => this.#told.get(voter)?.flushed ?? 0))
  }

  counters(): Readonly<Record<string, number>> {
    return { retentionTime: this.#time, retentionTicks: this.#horizon.size, retentionTicksMax, reclaimableSlot: this.reclaimable() }
  }

  async open(): Promise<void> {
    const clock = (await this.#readSide.cellsNamed([clockCell]))[0]?.value ?? undefined
    if (clock !== undefined) decodeCell(clockCell, clock, (reader) => this.#restore(reader))
    const ticks: { readonly time: number; readonly position: number }[] = []
    for (let after = tickCells; ;) {
      const cells = await this.#readSide.cells(tickCells, after, loadCells)
      for (const { key, value } of cells) {
        if (value === null) continue
        ticks.push({ time: Number(key.slice(tickCells.length)), position: decodeCell(key, value, (reader) => reader.u53()) })
      }
      if (cells.length < loadCells) break
      after = cells.at(-1)?.key ?? after
    }
    this.#horizon.restore(ticks)
  }

  decode(reader: ByteReader, blobs: number): Tick {
    return readTick(reader, blobs)
  }

  streamsOf(): Iterable<string> {
    return []
  }

  judge(_envelope: Envelope, { node, clock, flushed, voters }: Tick, _at: CommandAt): Judged {
    this.#told.set(node, { clock, flushed })
    // Whoever is no voter any more is forgotten: this must not grow.
    this.#told = new Map([...this.#told].filter(([told]) => voters.includes(told)))
    this.#voters = voters
    this.#time = Math.max(this.#time, this.#agreed())
    this.#horizon.add(this.#time, this.#head())
    this.#saveClock()
    return ticked
  }

  #agreed(): number {
    const clocks = this.#voters.map((voter) => this.#told.get(voter)?.clock ?? 0).toSorted((a, b) => a - b)
    return clocks[Math.floor((clocks.length - 1) / 2)] ?? 0
  }

  #saveClock(): void {
    const writer = new ByteWriter(128).u8(1).u53(this.#time).u8(this.#told.size)
    for (const [node, { clock, flushed }] of this.#told) writer.string(node).u53(clock).u53(flushed)
    writer.u8(this.#voters.length)
    for (const voter of this.#voters) writer.string(voter)
    this.#builder.cell(clockCell, writer.finish().slice())
  }

  #saveTick(time: number, position: number | undefined): void {
    const key = tickCells + String(time).padStart(timeDigits, '0')
    this.#builder.cell(key, position === undefined ? null : new ByteWriter(16).u8(1).u53(position).finish().slice())
  }

  #restore(reader: ByteReader): void {
    this.#time = reader.u53()
    for (let left = reader.u8(); left > 0; left--) {
      const node = reader.string()
      this.#told.set(node, { clock: reader.u53(), flushed: reader.u53() })
    }
    this.#voters = Array.from({ length: reader.u8() }, () => reader.string())
  }
}
