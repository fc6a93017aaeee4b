/**
 * What is known of one term while a batch of commands is judged. The cut was fixed when its prefetch began: of what lies at or
 * below, a stretch was loaded from the read side, newest first, and single positions beside it; what lies above is in memory, and
 * stays here when it is flushed meanwhile. So a flush at any time changes nothing, and neither does what was loaded besides.
 */
import { countUpTo, type PostingsIndex } from './postings-index.ts'
import type { Term } from './terms.ts'

export class TermWindow {
  readonly term: Term
  readonly #postings: PostingsIndex
  readonly #cut: number
  /** Descending: all from the cut down to `#low`. */
  #loaded: readonly number[] = []
  #low: number
  /** Ascending: what was flushed since the cut was fixed. */
  #flushed: readonly number[] = []
  #asked: Map<number, boolean> | undefined

  constructor(term: Term, postings: PostingsIndex, cut: number) {
    this.term = term
    this.#postings = postings
    this.#cut = cut
    this.#low = cut + 1
  }

  /** Positions from here on are known, all of them. */
  get low(): number {
    return this.#low
  }

  /** How many were loaded down to `low`. */
  get loaded(): number {
    return this.#loaded.length
  }

  /** The next positions below `low`, descending: all down to `low` of now. */
  load(positions: readonly number[], low: number): void {
    this.#loaded = this.#loaded.concat(positions)
    this.#low = low
  }

  asked(position: number, isThere: boolean): void {
    this.#asked ??= new Map()
    this.#asked.set(position, isThere)
  }

  /** Called before the index drops what is flushed. */
  flushed(position: number): void {
    const recent = this.#postings.recent(this.term)
    const count = countUpTo(recent, position)
    if (count > 0) this.#flushed = this.#flushed.concat(recent.slice(0, count))
  }

  /** Above this position, as far as it is known; and no further than `max`. */
  countAbove(after: number, max: number): number {
    const recent = this.#postings.recent(this.term)
    let count = recent.length - countUpTo(recent, after)
    if (count < max) count += this.#flushed.length - countUpTo(this.#flushed, after)
    if (count < max) count += countDownTo(this.#loaded, after + 1)
    return Math.min(count, max)
  }

  /** Undefined when it is not known. */
  standsAt(position: number): boolean | undefined {
    if (position > this.#postings.cut) return holds(this.#postings.recent(this.term), position)
    if (position > this.#cut) return holds(this.#flushed, position)
    if (position < this.#low) return this.#asked?.get(position)
    const count = countDownTo(this.#loaded, position)
    return count > 0 && this.#loaded[count - 1] === position
  }

  /** The known positions above `after`, newest first. */
  *newest(after: number): Generator<number, void> {
    for (const positions of [this.#postings.recent(this.term), this.#flushed])
      for (let at = positions.length - 1; at >= 0 && positions[at]! > after; at--) yield positions[at]!
    for (let at = 0; at < this.#loaded.length && this.#loaded[at]! > after; at++) yield this.#loaded[at]!
  }
}

/** How many of the descending positions are at or above. */
function countDownTo(positions: readonly number[], position: number): number {
  let [low, high] = [0, positions.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (positions[middle]! >= position) low = middle + 1
    else high = middle
  }
  return low
}

function holds(ascending: readonly number[], position: number): boolean {
  const count = countUpTo(ascending, position)
  return count > 0 && ascending[count - 1] === position
}
