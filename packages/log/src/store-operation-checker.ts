import type { Piece, RecoveredEpoch, StoreOperation } from './log-store.ts'
import type { Epoch, Index } from './slot.ts'

/**
 * Refuses operations that cannot be, before anything of their batch is written: what a LogStore shares with every other.
 * It follows `decidedThrough` in the order of the calls, since a truncation may never reach down to it.
 */
export class StoreOperationChecker {
  readonly #decided = new Map<Epoch, Index>()

  readonly #reclaimed = new Map<Epoch, Index>()

  constructor(recovered: readonly RecoveredEpoch[]) {
    for (const { epoch, decidedThrough, reclaimedThrough } of recovered) {
      this.#decided.set(epoch, decidedThrough)
      if (reclaimedThrough !== undefined) this.#reclaimed.set(epoch, reclaimedThrough)
    }
  }

  /** Throws a RangeError unless every slot of the piece is decided; from now on none of them may be written. */
  beginReclaim(epoch: Epoch, { to }: Piece): void {
    const decided = this.#decided.get(epoch) ?? 0
    if (to > decided) throw new RangeError(`slots up to ${to} of epoch ${epoch} cannot be reclaimed: it is decided up to ${decided}`)
    this.#reclaimed.set(epoch, Math.max(to, this.#reclaimed.get(epoch) ?? 0))
  }

  /** Throws a RangeError that quotes the operation; then the batch has changed nothing here. */
  check(operations: readonly StoreOperation[]): void {
    const raised = new Map<Epoch, Index>()
    for (const operation of operations) {
      wholeNumber(operation, 'epoch', operation.epoch, operation.op === 'meta' ? 0 : 1)
      if (operation.op === 'meta') continue
      wholeNumber(operation, 'index', operation.index, operation.op === 'decidedThrough' ? 0 : 1)
      const decided = raised.get(operation.epoch) ?? this.#decided.get(operation.epoch) ?? 0
      if (operation.op === 'decidedThrough') raised.set(operation.epoch, Math.max(decided, operation.index))
      if (operation.op === 'truncateFrom' && operation.index <= decided) {
        throw new RangeError(`truncateFrom ${operation.index} in epoch ${operation.epoch}, which is decided up to ${decided}`)
      }
      if (operation.op === 'slot' && operation.index <= (this.#reclaimed.get(operation.epoch) ?? 0)) {
        throw new RangeError(
          `slot ${operation.index} of epoch ${operation.epoch} is decided, and its space may have been reclaimed: it cannot be written again`,
        )
      }
    }
    for (const [epoch, index] of raised) this.#decided.set(epoch, index)
  }
}

function wholeNumber(operation: StoreOperation, name: string, value: number, min: number): void {
  if (!Number.isSafeInteger(value) || value < min) {
    throw new RangeError(`${operation.op} with ${name} ${value}: a whole number from ${min} to 2^53 - 1 is wanted`)
  }
}
