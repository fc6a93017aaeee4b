import type { Term } from './terms.ts'

/** The postings of one term that are applied and not flushed. Kept for the next ones of its term even when there are none. */
export class RecentTerm {
  readonly term: Term
  /** Ascending. */
  positions: number[] = []
  /** The index has it, because it has positions (postings-index.ts). */
  isListed = false

  constructor(term: Term) {
    this.term = term
  }
}
