/** The records of events that were found: from memory where they came from there, else from the log. */
import type { Bytes } from '@synod/codec'
import { isRecord } from '@synod/event-record'
import type { OrderedLog, Slot, SlotSlice } from '@synod/log'
import type { RecordedEvent } from './event-store.ts'
import { withoutPins } from './page-copies.ts'
import { rebuildHint, ReadSideError } from './read-side.ts'

/** An event without its payload, or with it when it came from the tail. */
export interface Found {
  readonly stream: string
  readonly revision: number
  readonly position: number
  readonly slot: Slot
  readonly offset: number
  readonly length: number
  readonly record?: Bytes
}

export class EventPayloads {
  readonly #log: Pick<OrderedLog<unknown>, 'slices'>

  constructor(log: Pick<OrderedLog<unknown>, 'slices'>) {
    this.#log = log
  }

  /** In the order given. At once when all came from memory. */
  of(found: readonly Found[]): RecordedEvent[] | Promise<RecordedEvent[]> {
    const below = found.filter(({ record }) => record === undefined)
    if (below.length === 0) return withPayloads(found, [])
    return this.#fetch(below).then((fetched) => withPayloads(found, fetched))
  }

  /** Undefined for what was reclaimed. */
  async #fetch(found: readonly Found[]): Promise<(Bytes | undefined)[]> {
    const { slices, places } = slicesOf(found)
    const parts: readonly (Bytes | undefined)[] = await this.#log.slices(slices)
    const records = places.map(({ slice, offset, length }) => {
      const at = offset - slices[slice]!.offset
      return parts[slice]?.subarray(at, at + length)
    })
    // What lies between two records may be reclaimed where they are not.
    const again = found.filter((_, at) => records[at] === undefined && slices[places[at]!.slice]!.length > found[at]!.length)
    if (again.length === 0) return records
    const alone: readonly (Bytes | undefined)[] = await this.#log.slices(
      again.map(({ slot, offset, length }) => ({ slot, offset, length })),
    )
    const byPosition = new Map(again.map(({ position }, at) => [position, alone[at]]))
    return records.map((record, at) => record ?? byPosition.get(found[at]!.position))
  }
}

/** What memory did not have was fetched, in order. Without those that were reclaimed: they are hidden since they were found. */
function withPayloads(found: readonly Found[], fetched: readonly (Bytes | undefined)[]): RecordedEvent[] {
  let next = 0
  const records = found.map(({ record }) => record ?? fetched[next++])
  // A page may be held for long, by a reader that is slow: it must not keep whole slots in memory.
  const isWhole = fetched.every((record) => record !== undefined)
  const own = withoutPins(isWhole ? (records as readonly Bytes[]) : records.filter((record) => record !== undefined))
  if (isWhole) return found.map((event, at) => recorded(event, own[at]!))
  next = 0
  return found.flatMap((event, at) => (records[at] === undefined ? [] : recorded(event, own[next++]!)))
}

interface Slices {
  readonly slices: readonly SlotSlice[]
  /** For each that was asked for. */
  readonly places: readonly { readonly slice: number; readonly offset: number; readonly length: number }[]
}

/** Neighbours in one slot are one slice: of a page of all events, one a slot. */
function slicesOf(found: readonly Found[]): Slices {
  const slices: SlotSlice[] = []
  const places = found.map(({ slot, offset, length }) => {
    const last = slices.at(-1)
    const from = Math.min(last?.offset ?? 0, offset)
    const to = Math.max((last?.offset ?? 0) + (last?.length ?? 0), offset + length)
    // Merged only when little lies between: one stream's events may stand far apart in a large slot.
    if (last?.slot === slot && to - from <= last.length + length + 512)
      slices[slices.length - 1] = { slot, offset: from, length: to - from }
    else slices.push({ slot, offset, length })
    return { slice: slices.length - 1, offset, length }
  })
  return { slices, places }
}

function recorded({ stream, revision, position, slot, offset, length }: Found, record: Bytes): RecordedEvent {
  if (isRecord(record)) return { stream, revision, position, record }
  throw new ReadSideError('damaged', `event ${position} does not stand at ${offset} of slot ${slot} with ${length} bytes: ${rebuildHint}`)
}
