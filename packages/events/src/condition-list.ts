/** One of the lists of a condition's item: the positions of any of its terms. A tag is a list of one; the types of an item are one list. */
import type { TermWindow } from './term-window.ts'

export class ConditionList {
  readonly windows: readonly TermWindow[]

  constructor(windows: readonly TermWindow[]) {
    this.windows = windows
  }

  /** Everything above `after` is known. */
  isWhole(after: number): boolean {
    return this.windows.every(({ low }) => low <= after + 1)
  }

  countAbove(after: number, max: number): number {
    let count = 0
    for (const window of this.windows) if (count < max) count += window.countAbove(after, max - count)
    return count
  }

  /** Undefined when it is not known. */
  standsAt(position: number): boolean | undefined {
    let isKnown = true
    for (const window of this.windows) {
      const stands = window.standsAt(position)
      if (stands === true) return true
      if (stands === undefined) isKnown = false
    }
    return isKnown ? false : undefined
  }

  /** The positions above `after`, newest first, as far down as all of them are known. An event has one type, so none comes twice. */
  newest(after: number): Iterable<number> {
    const [only] = this.windows
    if (this.windows.length === 1) return only!.newest(Math.max(after, only!.low - 1))
    return this.#merged(Math.max(after, ...this.windows.map(({ low }) => low - 1)))
  }

  *#merged(after: number): Iterable<number> {
    const heads = this.windows.map((window) => window.newest(after))
    const next = heads.map((head) => head.next().value ?? 0)
    for (;;) {
      let newest = 0
      for (let at = 1; at < next.length; at++) if (next[at]! > next[newest]!) newest = at
      if (next[newest] === undefined || next[newest] === 0) return
      yield next[newest]!
      next[newest] = heads[newest]!.next().value ?? 0
    }
  }
}
