import type { Cell, Flush, KeyRow, Postings, ReadSideMark, SlotToFlush, StreamName } from '../read-side.ts'
import { termOf, type Term } from '../terms.ts'

/** The events of one slot: by event, the number of its stream. New streams count on from those before. */
export type SampleSlot = readonly number[]

/**
 * Makes flushes out of a short notation, and remembers what they hold: a model as plain as can be. Offsets, lengths and
 * indexes are drawn from positions, so that every row differs. An event has a type by its position, a tag now and then, and
 * the category that all have.
 */
export class SampleFlushes {
  mark: ReadSideMark = { slot: 0, position: 0, streams: 0 }
  readonly revisions: number[] = []
  readonly slots: SlotToFlush[] = []
  readonly keys: KeyRow[] = []
  forgotten = 0
  readonly postings = new Map<Term, number[]>()
  readonly cells = new Map<string, Cell>()

  /** Each slot stands one above the one before; `keys` are added and `forget` of the oldest go. */
  next(slots: readonly SampleSlot[], keys = 0, forget = 0, cells: readonly Cell[] = []): Flush {
    const from = this.mark
    let { slot, position } = from
    const made = slots.map((events) => {
      slot++
      const row = this.#slot(slot, position + 1, events)
      position += events.length
      return row
    })
    const streams: StreamName[] = []
    for (let number = from.streams + 1; number < this.revisions.length; number++) streams.push({ number, name: sampleName(number) })
    const rows = Array.from({ length: keys }, () => this.#key())
    this.forgotten += forget
    this.slots.push(...made)
    this.mark = { slot, position, streams: from.streams + streams.length }
    for (const cell of cells) {
      if (cell.value === null) this.cells.delete(cell.key)
      else this.cells.set(cell.key, cell)
    }
    const postings = this.#postings(from.position + 1, position)
    return { from, to: this.mark, streams, slots: made, keys: rows, keysForgotten: this.forgotten, postings, cells }
  }

  #slot(slot: number, firstPosition: number, events: SampleSlot): SlotToFlush {
    const revisions = events.map((stream) => {
      const revision = this.revisions[stream] ?? 0
      this.revisions[stream] = revision + 1
      return revision
    })
    const positions = events.map((_, event) => firstPosition + event)
    return {
      slot,
      firstPosition: events.length === 0 ? 0 : firstPosition,
      count: events.length,
      index: Uint8Array.from({ length: 1 + (slot % 700) }, (_, at) => (slot + at) % 256),
      streamNumbers: Uint32Array.from(events),
      revisions: Float64Array.from(revisions),
      offsets: Uint32Array.from(positions, (position) => position * 11),
      lengths: Uint32Array.from(positions, (position) => 1 + (position % 997)),
    }
  }

  #postings(from: number, to: number): readonly Postings[] {
    const flushed = new Map<Term, number[]>()
    const add = (to: Map<Term, number[]>, term: Term, position: number) => {
      const known = to.get(term)
      if (known === undefined) to.set(term, [position])
      else known.push(position)
    }
    for (let position = from; position <= to; position++) {
      for (const term of sampleTerms(position)) {
        add(flushed, term, position)
        add(this.postings, term, position)
      }
    }
    return Array.from(flushed, ([term, positions]) => ({ term, positions }))
  }

  #key(): KeyRow {
    const sequence = (this.keys.at(-1)?.sequence ?? 0) + 1
    const row = {
      sequence,
      principal: `p${sequence % 3}`,
      key: `key ${sequence} \u0000é`,
      digest: new Uint8Array(16).fill(sequence % 256),
      answer: Uint8Array.of(1, sequence % 256),
    }
    this.keys.push(row)
    return row
  }
}

/** Names hold what a careless store would trip over: a zero, quotes, characters of four bytes. */
export function sampleName(number: number): string {
  return `stream ${number} \u0000'"\\ 𝄞`
}

/** All have the first; one in three has one of five; one in 97 has the last. */
export function sampleTerms(position: number): Term[] {
  const terms = [termOf('category', 'all')]
  if (position % 3 === 0) terms.push(termOf('type', `type ${position % 5}`))
  if (position % 97 === 5) terms.push(termOf('tag', 'rare'))
  return terms
}
