/** A set of line numbers, small as long as most of them follow each other: each range is one entry. */
export class LineRanges {
  readonly #ranges: [from: number, to: number][] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  /** First and last of each range, ascending. */
  get ranges(): readonly (readonly [from: number, to: number])[] {
    return this.#ranges
  }

  /** A number is added once. Numbers come nearly in order, so their place is looked for from the end. */
  add(number: number): void {
    let at = this.#ranges.length
    while (at > 0 && (this.#ranges[at - 1]?.[0] ?? 0) > number) at--
    const before = this.#ranges[at - 1]
    const behind = this.#ranges[at]
    this.#size++
    const joinsBefore = before !== undefined && before[1] === number - 1
    const joinsBehind = behind !== undefined && behind[0] === number + 1
    if (joinsBefore && joinsBehind) {
      before[1] = behind[1]
      this.#ranges.splice(at, 1)
    } else if (joinsBefore) before[1] = number
    else if (joinsBehind) behind[0] = number
    else this.#ranges.splice(at, 0, [number, number])
  }

  /** `1-56, 58`; what is beyond `rangesMax` is counted only. */
  text(rangesMax: number): string {
    const shown = this.#ranges.slice(0, rangesMax).map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`))
    const hidden = this.#ranges.length - shown.length
    return shown.length === 0 ? 'none' : shown.join(', ') + (hidden > 0 ? ` and ${hidden} more ranges` : '')
  }
}
