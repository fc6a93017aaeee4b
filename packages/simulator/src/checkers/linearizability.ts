/**
 * Linearizability with the log as the witness: one sort, one sweep. Each operation has a coordinate in the order of the log
 * (coordinates.ts); the sweep keeps the largest one of what has returned, below which nothing may stand that is called later.
 *
 * An interval takes the lowest coordinate it can when it is called: whatever is lower forbids less afterwards, so nothing is
 * accused that some choice could save. An append of unknown fate that is in the log must not stand below what had returned
 * before it was called, and says nothing about when it took effect. A local read may be old, but it has to be a moment of the log,
 * and shows nothing that was called after it returned.
 */
import { coordinateOfAppend, intervalOf, whileRevisionIs, type Interval } from './coordinates.ts'
import type { AppendOperation, HistoryOperation } from './history.ts'
import type { Violation } from './violation.ts'
import type { Witness } from './witness.ts'

/** Told of each kind at most; the first ones say most. */
const violationsMax = 20

/** 0: takes no part · 1: raises the bound at its return · 2: of unknown fate, stands behind the bound at its call and raises nothing · 3: a local read. */
type Part = 0 | 1 | 2 | 3

interface Placed extends Interval {
  readonly part: Part
}

export function checkLinearizability(history: readonly HistoryOperation[], witness: Witness): Violation[] {
  const sweep = new Sweep(history, witness)
  return sweep.run()
}

class Sweep {
  readonly #history: readonly HistoryOperation[]
  readonly #witness: Witness
  readonly #violations: Violation[] = []
  readonly #lows: Float64Array
  readonly #highs: Float64Array
  /** `Part` of each. */
  readonly #parts: Uint8Array
  /** By p: when the last one of the appends 0 to p was called. */
  readonly #calledBy: Float64Array

  constructor(history: readonly HistoryOperation[], witness: Witness) {
    this.#history = history
    this.#witness = witness
    this.#lows = new Float64Array(history.length)
    this.#highs = new Float64Array(history.length)
    this.#parts = new Uint8Array(history.length)
    this.#calledBy = new Float64Array(witness.appends.length).fill(-Infinity)
  }

  run(): Violation[] {
    this.#place()
    let bound = 0
    let boundBy = -1
    for (const moment of this.#moments()) {
      const at = moment >> 1
      if ((moment & 1) === 0) this.#onCall(at, bound, boundBy)
      else {
        const part = this.#parts[at]
        if (part === 1 || part === 3) this.#onReturn(at)
        const low = this.#lows[at] ?? 0
        if (part === 1 && low > bound) [bound, boundBy] = [low, at]
      }
      if (this.#violations.length >= violationsMax) break
    }
    return this.#violations
  }

  #place(): void {
    this.#history.forEach((operation, at) => {
      const placed = this.#placed(operation)
      if (placed === undefined) return
      this.#lows[at] = placed.low
      this.#highs[at] = placed.high
      this.#parts[at] = placed.part
    })
    let latest = -Infinity
    this.#calledBy.forEach((called, place) => {
      latest = Math.max(latest, called)
      this.#calledBy[place] = latest
    })
  }

  #placed(operation: HistoryOperation): Placed | undefined {
    if (operation.kind !== 'append') {
      return { ...intervalOf(operation, this.#witness), part: operation.consistency === 'local' ? 3 : 1 }
    }
    const place = this.#witness.placeOf(operation.identity)
    if (place >= 0) this.#calledBy[place] = operation.call
    const { outcome } = operation
    if (outcome.kind === 'rejected') {
      // The refused try is a read. Another try may have taken effect, which is checked like one of unknown fate.
      if (place >= 0) return { low: coordinateOfAppend(place), high: coordinateOfAppend(place) + 1, part: 2 }
      return { ...whileRevisionIs(operation.stream, outcome.actual, this.#witness), part: 1 }
    }
    // Lost: another check tells.
    if (place < 0) return undefined
    return { low: coordinateOfAppend(place), high: coordinateOfAppend(place) + 1, part: outcome.kind === 'unknown' ? 2 : 1 }
  }

  /** Calls and returns in the order of time, calls first at the same time: twice the operation, plus one for a return. */
  #moments(): Uint32Array {
    const count = this.#history.length
    const times = new Float64Array(count * 2)
    this.#history.forEach(({ call, returned }, at) => {
      times[at * 2] = call
      times[at * 2 + 1] = returned
    })
    const moments = Uint32Array.from({ length: count * 2 }, (_, at) => at)
    return moments.sort((left, right) => {
      const [a, b] = [times[left] ?? 0, times[right] ?? 0]
      return a === b ? (left & 1) - (right & 1) || left - right : a - b
    })
  }

  #onCall(at: number, bound: number, boundBy: number): void {
    const part = this.#parts[at]
    if (part === 0) return
    const operation = this.#history[at]
    const [low = 0, high = 0] = [this.#lows[at], this.#highs[at]]
    if (part === 3) {
      if (low >= high) this.#accuse(at, 'is no moment of the log')
      return
    }
    const isAppend = operation?.kind === 'append' && high === low + 1 && (low & 1) === 1
    const fits = isAppend ? low > bound : Math.max(low, bound) < high
    if (!fits) this.#accuse(at, `stands at ${text({ low, high })}, and ${bound} had been seen before by ${this.#named(boundBy)}`)
    this.#lows[at] = Math.max(low, isAppend ? low : bound)
  }

  /** What it saw had been asked for before it returned. */
  #onReturn(at: number): void {
    const low = this.#lows[at] ?? 0
    const place = Math.min(Math.ceil(low / 2), this.#calledBy.length) - 1
    const returned = this.#history[at]?.returned ?? 0
    if (place < 0 || (this.#calledBy[place] ?? 0) <= returned) return
    this.#accuse(at, `returned at ${returned} and saw append ${this.#witness.appends[place]?.identity} or one before, called after`)
  }

  #accuse(at: number, what: string): void {
    this.#violations.push({ kind: 'linearizability', message: `${this.#named(at)} ${what}` })
  }

  #named(at: number): string {
    const operation = this.#history[at]
    if (operation === undefined) return 'nothing'
    const { client, call, returned } = operation
    return `${describe(operation)} of ${client}, ${call} to ${returned},`
  }
}

function describe(operation: HistoryOperation): string {
  if (operation.kind === 'append') return `append ${operation.identity} (${describeOutcome(operation)})`
  const what = operation.kind === 'readAll' ? operation.head : operation.revision
  return `${operation.kind}${operation.kind === 'readStream' ? ` of ${operation.stream}` : ''} ${JSON.stringify(what)}`
}

function describeOutcome({ outcome }: AppendOperation): string {
  if (outcome.kind === 'appended') return `position ${outcome.position}`
  return outcome.kind === 'rejected' ? `refused at revision ${outcome.actual}` : 'unknown'
}

function text({ low, high }: Interval): string {
  return high === low + 1 ? String(low) : `[${low}, ${high})`
}
