import type { Bytes } from '@synod/codec'
import type { RecoveredEpoch, StoredSlot, StoreOperation } from '../log-store.ts'
import type { Epoch, Index } from '../slot.ts'

interface EpochModel {
  meta: Map<string, Bytes>
  decidedThrough: Index
  slots: Map<Index, StoredSlot>
}

/** What a LogStore should hold, computed in the plainest way. */
export class LogStoreModel {
  readonly #epochs = new Map<Epoch, EpochModel>()

  epoch(epoch: Epoch): EpochModel {
    const model = this.#epochs.get(epoch) ?? { meta: new Map(), decidedThrough: 0, slots: new Map() }
    this.#epochs.set(epoch, model)
    return model
  }

  apply(operation: StoreOperation): void {
    const model = this.epoch(operation.epoch)
    if (operation.op === 'meta') model.meta.set(operation.key, operation.value)
    if (operation.op === 'slot') {
      const { index, header, entry } = operation
      model.slots.set(index, { index, header, entry })
    }
    if (operation.op === 'decidedThrough' && operation.index > model.decidedThrough) model.decidedThrough = operation.index
    if (operation.op === 'truncateFrom') {
      for (const index of model.slots.keys()) if (index >= operation.index) model.slots.delete(index)
    }
  }

  /** Bends an operation into one that a protocol may issue here: decided slots stay, and only a whole prefix is decided. */
  lawful(operation: StoreOperation): StoreOperation {
    if (operation.op === 'meta') return operation
    const { decidedThrough, slots } = this.epoch(operation.epoch)
    if (operation.op !== 'decidedThrough') return { ...operation, index: decidedThrough + operation.index }
    let index = 0
    while (index < operation.index && slots.has(index + 1)) index++
    return { ...operation, index }
  }

  slots(epoch: Epoch, from: Index, to: Index): StoredSlot[] {
    return [...this.epoch(epoch).slots.values()]
      .filter(({ index }) => index >= from && index <= to)
      .toSorted((left, right) => left.index - right.index)
  }

  recovered(): RecoveredEpoch[] {
    return [...this.#epochs]
      .filter(([, { meta, decidedThrough, slots }]) => meta.size > 0 || decidedThrough > 0 || slots.size > 0)
      .toSorted(([left], [right]) => left - right)
      .map(([epoch, { meta, decidedThrough }]) => ({
        epoch,
        meta,
        decidedThrough,
        window: this.slots(epoch, decidedThrough + 1, Number.MAX_SAFE_INTEGER),
      }))
  }
}
