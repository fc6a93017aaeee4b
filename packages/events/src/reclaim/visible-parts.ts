/** Which bytes of a range of slots readers may still ask for: the records of events that are visible, by slot, in small steps. */
import type { KeptSlot, Slot } from '@synod/log'
import type { EventIndex } from '../event-machine.ts'
import type { SlotRow } from '../read-side.ts'
import { decodeSlotIndex, type SlotIndex } from '../slot-index.ts'
import { isShown, type Hidden } from '../visibility.ts'

/** Rows of slots that are looked at in one step. */
const stepRows = 32
/** What lies between two records of one command: less than any record. Kept along, neighbours are one part. */
const bridgedBytes = 16

export interface VisibleSlots {
  /** Those with something visible. */
  readonly kept: readonly KeptSlot[]
  /** Bytes of records. */
  readonly visibleBytes: number
  readonly hiddenBytes: number
  readonly events: number
}

type Index = Pick<EventIndex, 'readSide' | 'streams' | 'visibility'>

/** From `from` to `to` inclusive, as of when each step is taken: what is hidden never comes back, so a later step keeps less. */
export async function* visibleParts(index: Index, from: Slot, to: Slot): AsyncIterable<VisibleSlots> {
  for (let next = from; next <= to;) {
    const rows = await index.readSide.slots(next, to, stepRows)
    if (rows.length > 0) yield await partsOf(index, rows)
    if (rows.length < stepRows) return
    next = (rows.at(-1)?.slot ?? to) + 1
  }
}

async function partsOf({ streams, visibility }: Index, rows: readonly SlotRow[]): Promise<VisibleSlots> {
  const slots = rows.map((row) => ({ row, index: decodeSlotIndex(row) }))
  const numbers = new Set<number>()
  for (const { index } of slots) for (const number of index.streamNumbers) numbers.add(number)
  const names = await streams.namesOf(numbers)
  const hiddenByName = await visibility.hiddenInNamed(new Set(names.values()))
  const hidden = new Map<number, Hidden>()
  for (const [number, name] of names) {
    const found = hiddenByName.get(name)
    if (found !== undefined) hidden.set(number, found)
  }
  const sum = { visibleBytes: 0, hiddenBytes: 0, events: 0 }
  const kept: KeptSlot[] = []
  for (const { row, index } of slots) {
    const parts = partsOfSlot(row, index, hidden, sum)
    if (parts.length > 0) kept.push({ index: row.slot, parts })
  }
  return { kept, ...sum }
}

function partsOfSlot(
  { firstPosition, count }: SlotRow,
  { streamNumbers, revisions, offsets, lengths }: SlotIndex,
  hidden: ReadonlyMap<number, Hidden>,
  sum: { visibleBytes: number; hiddenBytes: number; events: number },
): KeptSlot['parts'] {
  const parts: { offset: number; length: number }[] = []
  sum.events += count
  for (let event = 0; event < count; event++) {
    const [offset = 0, length = 0] = [offsets[event], lengths[event]]
    if (!isShown(hidden.get(streamNumbers[event] ?? 0), revisions[event] ?? 0, firstPosition + event)) {
      sum.hiddenBytes += length
      continue
    }
    sum.visibleBytes += length
    const last = parts.at(-1)
    if (last !== undefined && offset - last.offset - last.length <= bridgedBytes) last.length = offset + length - last.offset
    else parts.push({ offset, length })
  }
  return parts
}
