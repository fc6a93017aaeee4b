/**
 * Nodes agree: at each slot they have the same hash of the chain, which stands for everything up to it, and the machine
 * answered each command alike. Told as it happens, so that the first difference is found at its moment.
 */
import type { Violation } from './violation.ts'

export class Agreement {
  readonly #hashes: { readonly node: string; readonly hash: string; readonly at: number }[] = []
  readonly #answers = new Map<string, { readonly node: string; readonly answer: string }>()
  readonly violations: Violation[] = []

  /** The highest slot that anybody applied. */
  get slots(): number {
    return Math.max(0, this.#hashes.length - 1)
  }

  hashAt(slot: number): string | undefined {
    return this.#hashes[slot]?.hash
  }

  /** By `slot/command`. */
  get answers(): ReadonlyMap<string, { readonly node: string; readonly answer: string }> {
    return this.#answers
  }

  /** When the first node applied it, by the clock of the caller of `onApplied`. */
  appliedAt(slot: number): number | undefined {
    return this.#hashes[slot]?.at
  }

  onApplied(node: string, slot: number, hash: string, at = -Infinity): void {
    const known = this.#hashes[slot]
    if (known === undefined) this.#hashes[slot] = { node, hash, at }
    else if (known.hash !== hash)
      this.violations.push({ kind: 'agreement', message: `slot ${slot}: ${known.node} has the chain ${known.hash}, ${node} has ${hash}` })
  }

  /** `answer` is canonical text. */
  onAnswer(node: string, slot: number, command: number, answer: string): void {
    const key = `${slot}/${command}`
    const known = this.#answers.get(key)
    if (known === undefined) this.#answers.set(key, { node, answer })
    else if (known.answer !== answer)
      this.violations.push({
        kind: 'agreement',
        message: `command ${command} of slot ${slot}: ${known.node} answered ${known.answer}, ${node} ${answer}`,
      })
  }
}
