/**
 * Where the events with a term stand, across the seam: what is applied and not flushed is here in memory, by term, the rest
 * in the read side. A question fixes its cut first, the last flushed position: the read side up to it, memory above, so that
 * a flush on the way makes neither a hole nor a double.
 *
 * Terms are collected at apply, so a posting costs a lookup and a push. A flush goes through the terms that have something to
 * flush and no others: they queue in the order of their first positions, and one that has more than what was flushed is
 * carried into the next.
 */
import type { Bytes } from '@synod/codec'
import { recordTypeAt } from '@synod/event-record'
import { EventTerms } from './event-terms.ts'
import type { Postings, PostingsQuestion, ReadSide } from './read-side.ts'
import { RecentTerm } from './recent-term.ts'
import type { StreamState } from './stream-state.ts'
import { categoryOf, termOf, termOfBytes, type Term } from './terms.ts'

const none: readonly number[] = []
const encoder = new TextEncoder()
/** A type or tag of a condition on its way to the cache. */
const scratch = new Uint8Array(192)

export class PostingsIndex {
  readonly #readSide: ReadSide
  /** Those with positions. */
  readonly #recent = new Map<Term, RecentTerm>()
  readonly #terms = new EventTerms((kind, bytes, from, length) => this.#term(termOfBytes(kind, bytes, from, length)))
  /** The same again: those that a flush found and did not empty, and the others by their first positions, from `#queueStart` on. */
  #carried: RecentTerm[] = []
  #queue: RecentTerm[] = []
  #queueStart = 0
  /** Everything up to here is flushed. */
  #flushed = 0
  #listed = 0

  constructor(readSide: ReadSide) {
    this.#readSide = readSide
  }

  restart(position: number): void {
    this.#flushed = position
    for (const term of this.#recent.values()) empty(term)
    this.#recent.clear()
    this.#carried = []
    this.#queue = []
    this.#queueStart = 0
  }

  /** Positions above are in memory. */
  get cut(): number {
    return this.#flushed
  }

  /** Terms with postings that are not flushed. */
  get size(): number {
    return this.#recent.size
  }

  /** Terms that came, or came again after a flush had emptied them, since this was asked last: about the rows that they will be. */
  takeListed(): number {
    const listed = this.#listed
    this.#listed = 0
    return listed
  }

  /** An event that was just applied; positions ascend. The record is one (`recordTagsAt` said so, and where its tags are). */
  addEvent(position: number, stream: StreamState, record: Bytes, tagsAt: number): void {
    this.#push(this.#terms.get('type', record, recordTypeAt + 4, lengthAt(record, recordTypeAt)), position)
    stream.category = this.#push(stream.category ?? this.#term(termOf('category', categoryOf(stream.name))), position)
    for (let at = tagsAt + 4; at < record.length;) {
      const length = lengthAt(record, at)
      this.#push(this.#terms.get('tag', record, at + 4, length), position)
      at += 4 + length
    }
  }

  /** Of a text that an event will have, perhaps: then it is not hashed again. */
  termOf(kind: 'type' | 'tag', text: string): Term {
    if (text.length * 3 > scratch.length) return termOf(kind, text)
    return this.#terms.get(kind, scratch, 0, encoder.encodeInto(text, scratch).written).term
  }

  /** Type and tags of a record. */
  *termsOf(record: Bytes, tagsAt: number): Iterable<Term> {
    yield this.#terms.get('type', record, recordTypeAt + 4, lengthAt(record, recordTypeAt)).term
    const tags = new Set<Term>()
    for (let at = tagsAt + 4; at < record.length; at += 4 + lengthAt(record, at))
      tags.add(this.#terms.get('tag', record, at + 4, lengthAt(record, at)).term)
    yield* tags
  }

  /** Those to flush. */
  between(from: number, to: number): readonly Postings[] {
    if (from !== this.#flushed + 1) throw new Error(`a flush from position ${from} on, when everything up to ${this.#flushed} is flushed`)
    const postings: Postings[] = []
    for (const { term, positions } of this.#due(to)) {
      const count = countUpTo(positions, to)
      if (count > 0) postings.push({ term, positions: positions.slice(0, count) })
    }
    return postings
  }

  flushed(position: number): void {
    const due = this.#due(position)
    this.#queueStart += due.length - this.#carried.length
    if (this.#queueStart * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#queueStart)
      this.#queueStart = 0
    }
    this.#carried = due.filter((term) => !this.#isEmptiedBy(term, position))
    this.#flushed = position
  }

  /** Above the cut, ascending. Not to be kept: it changes. */
  recent(term: Term): readonly number[] {
    return this.#recent.get(term)?.positions ?? none
  }

  /** As the ReadSide's `postingsOf`, over everything applied. */
  async findAll(questions: readonly PostingsQuestion[]): Promise<readonly (readonly number[])[]> {
    const cut = this.#flushed
    const above = questions.map(({ term, from, to, backward }) => {
      const recent = this.recent(term)
      const found = recent.slice(countUpTo(recent, from - 1), countUpTo(recent, to))
      return backward ? found.reverse() : found
    })
    const asked: PostingsQuestion[] = []
    const places = questions.map((question, at) => {
      const limit = question.backward ? question.limit - above[at]!.length : question.limit
      if (limit <= 0 || question.from > cut) return undefined
      return asked.push({ ...question, to: Math.min(question.to, cut), limit }) - 1
    })
    if (asked.length === 0) return above
    const below = await this.#readSide.postingsOf(asked)
    return questions.map(({ backward, limit }, at) => {
      const place = places[at]
      if (place === undefined) return above[at]!
      const lower = below[place]!
      if (backward) return above[at]!.concat(lower)
      return lower.length >= limit ? lower : lower.concat(above[at]!)
    })
  }

  /** Where the position was added: another object, when the given one was left out for lack of positions and its term came back meanwhile. */
  #push(given: RecentTerm, position: number): RecentTerm {
    if (!given.isListed) return this.#list(given, position)
    const { positions } = given
    if (positions[positions.length - 1] !== position) positions.push(position)
    return given
  }

  #list(given: RecentTerm, position: number): RecentTerm {
    const known = this.#recent.get(given.term)
    if (known !== undefined) return this.#push(known, position)
    given.isListed = true
    given.positions.push(position)
    this.#recent.set(given.term, given)
    this.#queue.push(given)
    this.#listed++
    return given
  }

  #term(term: Term): RecentTerm {
    return this.#recent.get(term) ?? new RecentTerm(term)
  }

  /** Those with a position up to this one, and some that were carried without. */
  #due(position: number): RecentTerm[] {
    let end = this.#queueStart
    while (end < this.#queue.length && this.#queue[end]!.positions[0]! <= position) end++
    return this.#carried.concat(this.#queue.slice(this.#queueStart, end))
  }

  #isEmptiedBy(term: RecentTerm, flushed: number): boolean {
    const count = countUpTo(term.positions, flushed)
    if (count < term.positions.length) {
      if (count > 0) term.positions = term.positions.slice(count)
      return false
    }
    empty(term)
    this.#recent.delete(term.term)
    return true
  }
}

/** How many of the ascending positions are at or below. */
export function countUpTo(positions: readonly number[], position: number): number {
  let [low, high] = [0, positions.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (positions[middle]! <= position) low = middle + 1
    else high = middle
  }
  return low
}

function empty(term: RecentTerm): void {
  term.positions = []
  term.isListed = false
}

/** Of what was found to have the shape of a record. */
function lengthAt(bytes: Bytes, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}
