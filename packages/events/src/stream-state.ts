import type { RecentTerm } from './recent-term.ts'
import { keepsEverything, type RetentionState } from './retention/retention-state.ts'

const none: number[] = []

/** What is known of a stream: whether it exists, where it ends, what it keeps, and which of its events are in the tail. */
export class StreamState {
  readonly name: string
  /** In the order of first appends, from 1; 0 until then. */
  number: number
  /** The last one; -1 when there is no such stream. */
  revision: number
  /** What of it is hidden (visibility.ts reads it). A stream that does not exist may have some. */
  retention: RetentionState
  /** Where postings of its category were collected last (postings-index.ts). */
  category: RecentTerm | undefined = undefined
  /** Positions of its newest events, which the tail holds, from `#dropped` on. */
  #recent = none
  #dropped = 0

  constructor(name: string, number = 0, revision = -1, retention: RetentionState = keepsEverything) {
    this.name = name
    this.number = number
    this.revision = revision
    this.retention = retention
  }

  get recentCount(): number {
    return this.#recent.length - this.#dropped
  }

  /** The first revision in the tail; `revision + 1` when there is none. */
  get firstRecentRevision(): number {
    return this.revision - this.recentCount + 1
  }

  /** Of a revision in the tail. */
  recentPosition(revision: number): number {
    const position = this.#recent[this.#recent.length - 1 - (this.revision - revision)]
    if (position === undefined || revision < this.firstRecentRevision)
      throw new RangeError(`revision ${revision} of ${this.name} is not in the tail`)
    return position
  }

  pushRecent(position: number): void {
    if (this.#recent === none) this.#recent = []
    this.#recent.push(position)
  }

  /** The oldest one leaves the tail. */
  dropRecent(): void {
    this.#dropped++
    if (this.#dropped === this.#recent.length) {
      this.#recent = none
      this.#dropped = 0
    } else if (this.#dropped >= 64 && this.#dropped * 2 > this.#recent.length) {
      this.#recent = this.#recent.slice(this.#dropped)
      this.#dropped = 0
    }
  }
}
