import type { Bytes } from '@synod/codec'
import type { Epoch, Index, StoreOperation } from '@synod/log'

export interface SlotRow {
  readonly epoch: Epoch
  readonly index: Index
  readonly header: Bytes
  readonly entry: Bytes
}

interface MetaRow {
  readonly epoch: Epoch
  readonly key: string
  readonly value: Bytes
}

/**
 * What many operations come to in the end, so that one statement can do it. First everything at or above the truncations
 * goes, except the rows that are written again; then each row is written once, with its last value.
 */
export interface Merged {
  readonly truncations: ReadonlyMap<Epoch, Index>
  readonly slots: readonly SlotRow[]
  readonly meta: readonly MetaRow[]
  readonly decided: ReadonlyMap<Epoch, Index>
}

export function mergeOperations(operations: Iterable<StoreOperation>): Merged {
  const truncations = new Map<Epoch, Index>()
  const slots = new Map<Epoch, Map<Index, SlotRow>>()
  const meta = new Map<Epoch, Map<string, MetaRow>>()
  const decided = new Map<Epoch, Index>()
  for (const operation of operations) {
    const { epoch } = operation
    switch (operation.op) {
      case 'slot': {
        const { index, header, entry } = operation
        inner(slots, epoch).set(index, { epoch, index, header, entry })
        break
      }
      case 'truncateFrom': {
        const written = slots.get(epoch)
        if (written !== undefined) for (const index of written.keys()) if (index >= operation.index) written.delete(index)
        truncations.set(epoch, Math.min(operation.index, truncations.get(epoch) ?? operation.index))
        break
      }
      case 'meta':
        inner(meta, epoch).set(operation.key, { epoch, key: operation.key, value: operation.value })
        break
      case 'decidedThrough':
        if (operation.index > 0) decided.set(epoch, Math.max(operation.index, decided.get(epoch) ?? 0))
    }
  }
  return { truncations, slots: flat(slots), meta: flat(meta), decided }
}

function inner<K, V>(outer: Map<Epoch, Map<K, V>>, epoch: Epoch): Map<K, V> {
  let found = outer.get(epoch)
  if (found === undefined) outer.set(epoch, (found = new Map()))
  return found
}

function flat<V>(outer: ReadonlyMap<Epoch, ReadonlyMap<unknown, V>>): V[] {
  return [...outer.values()].flatMap((rows) => [...rows.values()])
}

/** What an operation adds to a transaction, in bytes. */
export function operationBytes(operation: StoreOperation): number {
  if (operation.op === 'slot') return operation.header.length + operation.entry.length
  return operation.op === 'meta' ? operation.value.length + operation.key.length : 0
}
