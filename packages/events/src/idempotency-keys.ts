import { bytesEqual, type Bytes } from '@synod/codec'
import type { KeyRow } from './read-side.ts'

/**
 * What was answered under which (principal, key), for the last `keysMax` by log order. A use does not refresh a key, so
 * what is remembered depends on the log alone.
 */
export class IdempotencyKeys {
  readonly #max: number
  readonly #rows = new Map<string, KeyRow>()
  #sequence = 0

  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#rows.size
  }

  /** Keys up to this sequence are forgotten. */
  get forgotten(): number {
    return this.#sequence - this.#rows.size
  }

  /** `other` when the key stands for another request. */
  answer(principal: string, key: string, digest: Bytes): Bytes | 'other' | undefined {
    const row = this.#rows.get(name(principal, key))
    if (row === undefined) return undefined
    return bytesEqual(row.digest, digest) ? row.answer : 'other'
  }

  remember(principal: string, key: string, digest: Bytes, answer: Bytes): KeyRow {
    // Both are views of something larger, which must not be kept for their sake.
    const row = { sequence: this.#sequence + 1, principal, key, digest: digest.slice(), answer: answer.slice() }
    this.load(row)
    return row
  }

  /** Rows come in the order of their sequences. */
  load(row: KeyRow): void {
    this.#rows.set(name(row.principal, row.key), row)
    this.#sequence = row.sequence
    if (this.#rows.size <= this.#max) return
    const [oldest] = this.#rows.keys()
    if (oldest !== undefined) this.#rows.delete(oldest)
  }
}

function name(principal: string, key: string): string {
  return `${principal.length}:${principal}${key}`
}
