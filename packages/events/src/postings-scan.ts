/**
 * A filter as a walk over lists of postings: which positions carry its types, tags and categories. Every list is a seek, "the
 * first of yours at or after this", and so are their unions and intersections; they leap over each other, so that the rare
 * list of an intersection sets the pace and of a common one only what is needed is loaded.
 *
 * A walk goes on *keys*: positions, or negated positions when it goes backward, so that keys always ascend.
 *
 * A seek is synchronous. Where a list lacks the postings it is asked for, the answer is `missing`, and every list that lacks
 * some fetches them before the seek is tried again, all together. What is fetched never changes, as positions up to
 * the pinned end are decided, so that neither a flush nor an append on the way matters. A list is fetched in stretches; one that is
 * leapt through, by keys of another that are known already, is asked about just these.
 */
import type { EventFilter } from './event-store.ts'
import type { PostingsQuestion } from './read-side.ts'
import { termOf, type Term } from './terms.ts'

/** Postings asked for at once: few first, more when they were used up. */
const [firstFetch, lastFetch] = [64, 1024]
/** Single keys asked about at once. */
const pointsMax = 64
/** They are asked about rather than a stretch that is fetched when so many would be needed. */
const pointsStretches = 4
/** What the read side takes at once. */
const questionsMax = 1024

export const missing = 'missing'

/** Where a seek got to. No key from the one asked for up to `at` passes; `at` itself does if `isHit`, else it lies further on than what was asked for. */
export interface Reached {
  readonly at: number
  readonly isHit: boolean
}

const nowhere: Reached = { at: Infinity, isHit: false }

/** Keys that will be asked for next, this one first; not necessarily all of them. */
type Ahead = () => readonly number[]

export interface Seek {
  /** Keys asked for must not descend. */
  seek(key: number, ahead?: Ahead): Reached | typeof missing
  /** Of its own keys those that come next, as far as they are known; may hold some that are none. */
  upcoming(): readonly number[]
  /** Lists it looks into: the work of a seek. */
  readonly lists: number
}

export interface PostingsSource {
  findAll(questions: readonly PostingsQuestion[]): Promise<readonly (readonly number[])[]>
}

export interface ScanRange {
  /** Positions, inclusive. */
  readonly from: number
  readonly to: number
  readonly backward: boolean
}

/** Undefined when types, tags and categories let everything pass. */
export function seekOf({ items = [], categories = [] }: EventFilter, lists: TermLists): Seek | undefined {
  const parts: Seek[] = []
  if (items.length > 0) {
    parts.push(
      union(
        items.map(({ types = [], tags = [] }) => {
          const all: Seek[] = tags.map((tag) => lists.of(termOf('tag', tag)))
          if (types.length > 0) all.push(union(types.map((type) => lists.of(termOf('type', type)))))
          return intersection(all)
        }),
      ),
    )
  }
  if (categories.length > 0) parts.push(union(categories.map((category) => lists.of(termOf('category', category)))))
  return parts.length === 0 ? undefined : intersection(parts)
}

/** The lists of one walk, each term once, and what they lack. */
export class TermLists {
  readonly #source: PostingsSource
  readonly #range: ScanRange
  readonly #lists = new Map<Term, TermList>()
  #lacking = new Set<TermList>()

  constructor(source: PostingsSource, range: ScanRange) {
    this.#source = source
    this.#range = range
  }

  of(term: Term): Seek {
    const known = this.#lists.get(term)
    if (known !== undefined) return known
    const list: TermList = new TermList(this.#range, term, () => this.#lacking.add(list))
    this.#lists.set(term, list)
    return list
  }

  /** Returns how many were fetched for. */
  async fetch(): Promise<number> {
    const lacking = [...this.#lacking]
    this.#lacking = new Set()
    const questions = lacking.map((list) => list.questions())
    const answers = await this.#ask(questions.flat())
    let next = 0
    for (const [at, list] of lacking.entries()) list.answered(answers.slice(next, (next += questions[at]!.length)))
    return lacking.length
  }

  async #ask(questions: readonly PostingsQuestion[]): Promise<readonly (readonly number[])[]> {
    const answers: (readonly number[])[] = []
    for (let at = 0; at < questions.length; at += questionsMax)
      answers.push(...(await this.#source.findAll(questions.slice(at, at + questionsMax))))
    return answers
  }
}

/** The postings of one term, of which a stretch is in memory, or what was asked of single keys. */
class TermList implements Seek {
  readonly lists = 1
  readonly #range: ScanRange
  readonly #term: Term
  readonly #onLacking: () => void
  /** Keys that carry the term; those between `#first` and `#last`, inclusive, are all here. */
  #keys: readonly number[] = []
  #at = 0
  #first = Infinity
  #last = -Infinity
  /** Single keys, and whether they carry it. */
  #points: ReadonlyMap<number, boolean> = new Map()
  #wanted: readonly number[] = []
  #limit = firstFetch

  constructor(range: ScanRange, term: Term, onLacking: () => void) {
    this.#range = range
    this.#term = term
    this.#onLacking = onLacking
  }

  seek(key: number, ahead?: Ahead): Reached | typeof missing {
    if (key < this.#first || key > this.#last) {
      const point = this.#points.get(key)
      if (point === undefined) return this.#lack(key, ahead)
      return point ? { at: key, isHit: true } : { at: key + 1, isHit: false }
    }
    this.#at = leap(this.#keys, this.#at, key)
    const at = this.#keys[this.#at]
    if (at !== undefined) return { at, isHit: true }
    return this.#last === Infinity ? nowhere : this.#lack(this.#last + 1, undefined)
  }

  upcoming(): readonly number[] {
    return this.#keys.slice(this.#at, this.#at + pointsMax)
  }

  questions(): readonly PostingsQuestion[] {
    const { from, to, backward } = this.#range
    const term = this.#term
    if (this.#wanted.length > 1)
      return this.#wanted.map((key) => ({ term, from: Math.abs(key), to: Math.abs(key), backward: false, limit: 1 }))
    const [key = 0] = this.#wanted
    return [{ term, ...(backward ? { from, to: -key } : { from: key, to }), backward, limit: this.#limit }]
  }

  answered(answers: readonly (readonly number[])[]): void {
    if (this.#wanted.length > 1) {
      this.#points = new Map(this.#wanted.map((key, at) => [key, answers[at]!.length > 0]))
      return
    }
    const [found = []] = answers
    const [key = 0] = this.#wanted
    this.#keys = this.#range.backward ? found.map((position) => -position) : found
    this.#at = 0
    this.#first = key
    this.#last = found.length < this.#limit ? Infinity : this.#keys.at(-1)!
  }

  #lack(key: number, ahead: Ahead | undefined): typeof missing {
    const length = this.#last - this.#first
    // Used up, or leapt over: then a few will do again.
    this.#limit = key - this.#last <= length ? Math.min(lastFetch, this.#limit * 4) : firstFetch
    this.#wanted = [key]
    if (length > 0 && ahead !== undefined) {
      const points = ahead().filter((point) => point >= key)
      if (points[0] === key && points.at(-1)! - key > pointsStretches * length) this.#wanted = points
    }
    this.#onLacking()
    return missing
  }
}

function union(parts: readonly Seek[]): Seek {
  if (parts.length === 1) return parts[0]!
  return {
    lists: sum(parts),
    seek(key, ahead) {
      let [at, isHit, lacks] = [Infinity, false, false]
      for (const part of parts) {
        const reached = part.seek(key, ahead)
        if (reached === missing) lacks = true
        else if (reached.at < at) ({ at, isHit } = reached)
        else if (reached.at === at) isHit ||= reached.isHit
      }
      return lacks ? missing : { at, isHit }
    },
    upcoming: () => merged(parts.map((part) => part.upcoming())),
  }
}

function intersection(given: readonly Seek[]): Seek {
  if (given.length === 1) return given[0]!
  // Whichever leapt farthest comes first: it will most often do so again.
  const parts = [...given]
  return {
    lists: sum(parts),
    seek(key, ahead) {
      let lacks = false
      for (const [place, part] of parts.entries()) {
        const reached = part.seek(key, place === 0 || lacks ? ahead : () => parts[0]!.upcoming())
        // The others are asked all the same: what they lack is fetched together with it.
        if (reached === missing) lacks = true
        else if (reached.at > key) {
          if (place > 0 && reached.isHit) parts.unshift(...parts.splice(place, 1))
          return { at: reached.at, isHit: false }
        }
      }
      return lacks ? missing : { at: key, isHit: true }
    },
    upcoming: () => parts[0]!.upcoming(),
  }
}

/** Ascending, each once, the first of them. */
function merged(lists: readonly (readonly number[])[]): readonly number[] {
  return [...new Set(lists.flat())].toSorted((a, b) => a - b).slice(0, pointsMax)
}

function sum(parts: readonly Seek[]): number {
  return parts.reduce((lists, part) => lists + part.lists, 0)
}

/** The index of the first key at or above this one, from `start` on: near ones are found at once, far ones by doubling. */
function leap(keys: readonly number[], start: number, key: number): number {
  let [low, step] = [start, 1]
  while (low + step < keys.length && keys[low + step]! < key) {
    low += step
    step *= 2
  }
  let high = Math.min(keys.length, low + step)
  while (low < high) {
    const middle = (low + high) >>> 1
    if (keys[middle]! < key) low = middle + 1
    else high = middle
  }
  return low
}
