/** Collects what the commands of one slot did, in growing columns, and cuts a SlotRecord from them when the slot ends. */
import type { Bytes } from '@synod/codec'
import type { CommandAt, Slot } from '@synod/log'
import type { Cell, KeyRow } from './read-side.ts'
import type { StreamWrite } from './append-command.ts'
import { SlotIndexWriter } from './slot-index.ts'
import type { SlotRecord } from './slot-record.ts'
import type { StreamState } from './stream-state.ts'
import type { Verdict } from './verdict.ts'

const nothing = new Uint8Array(0)
const noCells: Map<string, Cell> = new Map()

export interface EndedSlot {
  readonly record: SlotRecord
  /** What the slot's row says (slot-index.ts). */
  readonly index: Bytes
  readonly keys: readonly KeyRow[]
  /** By key, as they are at the end of the slot. */
  readonly cells: ReadonlyMap<string, Cell>
}

export class SlotBuilder {
  #slot: Slot = 0
  #entry: Bytes = nothing
  #firstPosition = 1
  #streams: StreamState[] = []
  #revisions = new Float64Array(256)
  #offsets = new Uint32Array(256)
  #lengths = new Uint32Array(256)
  readonly #index = new SlotIndexWriter()
  /** Events of answered commands. */
  #answered = 0
  #keys: KeyRow[] = []
  #cells = noCells

  /** Called before each command. `firstPosition` counts when it is the slot's first. */
  begin(at: CommandAt, firstPosition: number): void {
    if (this.#slot === at.slot) return
    if (this.#index.answers > 0) throw new Error(`slot ${at.slot} began before slot ${this.#slot} was ended`)
    this.#slot = at.slot
    this.#entry = at.entry
    this.#firstPosition = firstPosition
  }

  event(stream: StreamState, revision: number, blob: Bytes): void {
    const at = this.#streams.length
    if (at === this.#offsets.length) this.#grow()
    const offset = blob.byteOffset - this.#entry.byteOffset
    if (blob.buffer !== this.#entry.buffer || offset < 0 || offset + blob.length > this.#entry.length)
      throw new Error(`an event of slot ${this.#slot} is no view of its entry`)
    this.#streams.push(stream)
    this.#revisions[at] = revision
    this.#offsets[at] = offset
    this.#lengths[at] = blob.length
  }

  /** The command's place in its slot's batch, and its writes when it appended here: a retry is answered `appended` too, and wrote nothing. */
  answer(index: number, verdict: Verdict, wrote: readonly StreamWrite[] | undefined): void {
    if (wrote === undefined) return this.#index.refused(index, verdict)
    this.#index.appended(index, wrote.length)
    for (const { count } of wrote) {
      const first = this.#answered
      this.#index.write(this.#streams[first]!.number, this.#revisions[first]!, count)
      for (const end = first + count; this.#answered < end; this.#answered++)
        this.#index.event(this.#entry, this.#offsets[this.#answered]!, this.#lengths[this.#answered]!)
    }
  }

  key(row: KeyRow): void {
    this.#keys.push(row)
  }

  /** A piece of state as it is from this command on (read-side.ts). The value is kept: it must not be a view of something larger. */
  cell(key: string, value: Bytes | null): void {
    if (this.#cells === noCells) this.#cells = new Map()
    this.#cells.set(key, { key, value })
  }

  /** Undefined when no command of the slot was answered. */
  end(slot: Slot): EndedSlot | undefined {
    if (this.#slot !== slot || this.#index.answers === 0) return undefined
    const count = this.#streams.length
    const record: SlotRecord = {
      slot,
      firstPosition: this.#firstPosition,
      entry: compact(this.#entry),
      streams: this.#streams,
      revisions: this.#revisions.slice(0, count),
      offsets: this.#offsets.slice(0, count),
      lengths: this.#lengths.slice(0, count),
    }
    const ended = { record, index: this.#index.finish(), keys: this.#keys, cells: this.#cells }
    this.#streams = []
    this.#answered = 0
    this.#keys = []
    this.#cells = noCells
    this.#entry = nothing
    return ended
  }

  #grow(): void {
    const room = this.#offsets.length * 2
    const [revisions, offsets, lengths] = [this.#revisions, this.#offsets, this.#lengths]
    this.#revisions = new Float64Array(room)
    this.#offsets = new Uint32Array(room)
    this.#lengths = new Uint32Array(room)
    this.#revisions.set(revisions)
    this.#offsets.set(offsets)
    this.#lengths.set(lengths)
  }
}

/** An entry is a view, perhaps a small one into a large buffer, which the tail must not hold in memory for it. */
function compact(entry: Bytes): Bytes {
  return entry.buffer.byteLength > entry.length * 2 + 4096 ? entry.slice() : entry
}
