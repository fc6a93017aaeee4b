/**
 * Where the events with a term stand, across the seam: what is applied and not flushed is here in memory, by term, the rest
 * in the read side. A question fixes its cut first, the last flushed position: the read side up to it, memory above, so that
 * a flush on the way makes neither a hole nor a double.
 */
import type { Postings, PostingsRange, ReadSide } from './read-side.ts'
import type { Term } from './terms.ts'

export class PostingsIndex {
  readonly #readSide: ReadSide
  readonly #recent = new Map<Term, number[]>()
  /** Everything up to here is flushed. */
  #flushed = 0

  constructor(readSide: ReadSide) {
    this.#readSide = readSide
  }

  restart(position: number): void {
    this.#flushed = position
    this.#recent.clear()
  }

  /** Positions above are in memory. */
  get cut(): number {
    return this.#flushed
  }

  /** An event that was just applied; positions ascend. */
  add(position: number, terms: readonly Term[]): void {
    for (const term of terms) {
      const known = this.#recent.get(term)
      if (known === undefined) this.#recent.set(term, [position])
      else if (known.at(-1) !== position) known.push(position)
    }
  }

  /** Those to flush. */
  between(from: number, to: number): readonly Postings[] {
    const postings: Postings[] = []
    for (const [term, positions] of this.#recent) {
      const found = positions[0]! >= from && positions.at(-1)! <= to ? positions.slice() : positions.filter((at) => at >= from && at <= to)
      if (found.length > 0) postings.push({ term, positions: found })
    }
    return postings
  }

  flushed(position: number): void {
    this.#flushed = position
    for (const [term, positions] of this.#recent) {
      if (positions.at(-1)! <= position) this.#recent.delete(term)
      else if (positions[0]! <= position)
        this.#recent.set(
          term,
          positions.filter((at) => at > position),
        )
    }
  }

  /** Above the cut, ascending. Not to be kept: it changes. */
  recent(term: Term): readonly number[] {
    return this.#recent.get(term) ?? []
  }

  /** As the ReadSide's `postings`, over everything applied. */
  async find(term: Term, { from, to, backward, limit }: PostingsRange): Promise<readonly number[]> {
    const cut = this.#flushed
    const above = this.recent(term).filter((at) => at >= from && at <= to)
    if (backward) {
      above.reverse()
      if (above.length >= limit || from > cut) return above
      return above.concat(await this.#readSide.postings(term, { from, to: Math.min(to, cut), backward, limit: limit - above.length }))
    }
    if (from > cut) return above
    const below = await this.#readSide.postings(term, { from, to: Math.min(to, cut), backward, limit })
    return below.length >= limit ? below : below.concat(above)
  }
}
