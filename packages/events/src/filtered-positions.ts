/**
 * The positions that pass a filter's types, tags and categories, one after the other, in steps that give the event loop its
 * turn and within a bound: whoever walks hears how far it came, found something or not.
 */
import type { Scheduler } from '@synod/transport'
import type { EventFilter } from './event-store.ts'
import { missing, seekOf, TermLists, type PostingsSource, type Reached, type ScanRange, type Seek } from './postings-scan.ts'

/** A fetch from the read side, in steps. */
const fetchSteps = 32
/** Steps until others have their turn. */
const turnSteps = 2048

export interface FilteredPositionsOptions {
  readonly postings: PostingsSource
  readonly scheduler: Scheduler
  readonly filter: EventFilter
  readonly range: ScanRange
  readonly stepsMax: number
}

export class FilteredPositions {
  readonly #scheduler: Scheduler
  readonly #lists: TermLists
  readonly #seek: Seek | undefined
  readonly #sign: 1 | -1
  readonly #last: number
  readonly #stepsMax: number
  readonly #start: number
  /** The next key to look at: everything before was. */
  #key: number
  #steps = 0
  #turnAt = turnSteps

  constructor({ postings, scheduler, filter, range, stepsMax }: FilteredPositionsOptions) {
    const { from, to, backward } = range
    this.#scheduler = scheduler
    this.#lists = new TermLists(postings, range)
    this.#seek = seekOf(filter, this.#lists)
    this.#sign = backward ? -1 : 1
    this.#key = backward ? -to : from
    this.#start = this.#key
    this.#last = backward ? -from : to
    this.#stepsMax = stepsMax
  }

  /** The whole range was walked. */
  get isEnd(): boolean {
    return this.#key > this.#last
  }

  /** It was walked, or as much was done as may be for one page. Some way it has come in any case. */
  get isOver(): boolean {
    return this.isEnd || (this.#steps >= this.#stepsMax && this.#key > this.#start)
  }

  /** The first position that was not walked over, in the walk's direction. */
  get next(): number {
    return this.#key * this.#sign
  }

  /** So many at most, and fewer only when it is over. In the order of the walk. */
  async take(count: number): Promise<number[]> {
    const found: number[] = []
    while (found.length < count && !this.isOver) {
      const reached = this.#look()
      if (reached === missing) this.#steps += fetchSteps * (await this.#lists.fetch())
      else if (reached.at > this.#last) this.#key = this.#last + 1
      else {
        this.#key = reached.at
        if (reached.isHit) found.push(this.#key++ * this.#sign)
      }
      if (this.#steps >= this.#turnAt) await this.#turn()
    }
    return found
  }

  #look(): Reached | typeof missing {
    if (this.#seek === undefined) {
      this.#steps++
      return { at: this.#key, isHit: true }
    }
    this.#steps += this.#seek.lists
    return this.#seek.seek(this.#key)
  }

  #turn(): Promise<void> {
    this.#turnAt = this.#steps + turnSteps
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#scheduler.defer(resolve)
    return promise
  }
}
