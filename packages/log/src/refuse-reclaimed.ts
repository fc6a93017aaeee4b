import type { NodeId } from '@synod/transport'
import { StoreError, type Recovered } from './log-store.ts'
import type { Epoch, Slot } from './slot.ts'

/** A start must not need what is not there any more: the machine would come up with a hole. */
export function refuseReclaimed(self: NodeId, recovered: Recovered, epoch: Epoch, saved: Slot, flushed: Slot): void {
  const through = recovered.epochs.find((known) => known.epoch === epoch)?.reclaimedThrough ?? 0
  if (saved >= through) return
  throw new StoreError(
    'reclaimed',
    `the space of slots up to ${through} was given back, and ${self} would have to apply them again from slot ${saved + 1} on: its read side stands at slot ${flushed}, so it was dropped, emptied or restored from an older copy. It cannot be built again from this log. Put the read side back as it was, or replace the node.`,
  )
}
