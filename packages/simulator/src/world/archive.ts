/** Slots whose space some node gave back, as they were: the checks at the end look at the whole log. */
import { bytesEqual, bytesToHex, type Bytes } from '@synod/codec'
import type { StoredSlot } from '@synod/log'
import type { NodeId } from '@synod/transport'
import type { Violation } from '../checkers/violation.ts'

export class Archive {
  readonly #entries = new Map<number, Bytes>()
  readonly #onViolation: (violation: Violation) => void

  constructor(onViolation: (violation: Violation) => void) {
    this.#onViolation = onViolation
  }

  /** Undefined: nobody gave it back. */
  entry(slot: number): Bytes | undefined {
    return this.#entries.get(slot)
  }

  add(node: NodeId, slots: readonly StoredSlot[]): void {
    for (const { index, entry } of slots) {
      const known = this.#entries.get(index)
      if (known === undefined) this.#entries.set(index, entry)
      else if (!bytesEqual(known, entry))
        this.#onViolation({
          kind: 'agreement',
          message: `slot ${index} was ${bytesToHex(entry)} where ${node} gave it back, and ${bytesToHex(known)} on another node`,
        })
    }
  }
}
