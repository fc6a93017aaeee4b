/**
 * The acceptor of both modes. With a leader a promise covers everything, without one each slot has its own. Every answer
 * follows what it reveals to the disk. Where this node knows the decision, that is its answer: an accepted value that was
 * dropped below the decided prefix must never look like "nothing accepted".
 */
import { bytesEqual } from '@synod/codec'
import type { Index, StoreOperation } from '@synod/log'
import type { NodeId } from '@synod/transport'
import { ballotText, compareBallots, noBallot, sameBallot, type Ballot } from './ballot.ts'
import { invariant } from './invariant.ts'
import type { PaxosMessage, ProposedSlot } from './messages.ts'
import type { Outbox } from './outbox.ts'
import type { SlotWindow } from './slot-window.ts'

type Prepare = Extract<PaxosMessage, { kind: 'prepare' }>
type Accept = Extract<PaxosMessage, { kind: 'accept' }>

export class Acceptor {
  readonly #window: SlotWindow
  readonly #outbox: Outbox

  constructor(window: SlotWindow, outbox: Outbox) {
    this.#window = window
    this.#outbox = outbox
  }

  /** Phase 1 over the suffix: nothing below the ballot will be accepted at any index, seen or not. */
  onPrepareSuffix(from: NodeId, { ballot, index }: Prepare): void {
    const window = this.#window
    if (compareBallots(ballot, window.promised) < 0) return this.#refuse(from, ballot, index, window.promised)
    if (compareBallots(ballot, window.promised) > 0) window.persist([window.raisePromise(ballot)])
    this.#outbox.answer(from, { kind: 'promise', ballot, index, decidedThrough: window.decidedThrough, slots: window.report(index) })
  }

  /** Phase 1 of one slot. */
  onPrepareSlot(from: NodeId, { ballot, index }: Prepare): void {
    const window = this.#window
    if (this.#answerDecided(from, index)) return
    const promised = window.promisedAt(index)
    if (compareBallots(ballot, promised) < 0) return this.#refuse(from, ballot, index, promised)
    const held = window.get(index) ?? { promised: noBallot, accepted: noBallot, decided: false, entry: new Uint8Array(0) }
    if (compareBallots(ballot, promised) > 0) {
      if (!window.hasRoom(index, held.entry.length)) return this.#outbox.trace('windowFull', { index })
      window.persist([window.put(index, { ...held, promised: ballot })])
    }
    const slots = held.accepted.round > 0 ? [{ index, ballot: held.accepted, decided: false, entry: held.entry }] : []
    this.#outbox.answer(from, { kind: 'promise', ballot, index, decidedThrough: window.decidedThrough, slots })
  }

  /** Phase 2 under a leader's ballot. True when the ballot was not refused. */
  onAcceptSuffix(from: NodeId, { ballot, slots }: Accept): boolean {
    const window = this.#window
    if (compareBallots(ballot, window.promised) < 0) {
      this.#refuse(from, ballot, slots[0]?.index ?? 0, window.promised)
      return false
    }
    // Accepting raises the promise, for every index, in the same write.
    const operations: StoreOperation[] = compareBallots(ballot, window.promised) > 0 ? [window.raisePromise(ballot)] : []
    const indexes: Index[] = []
    for (const slot of slots) {
      // Decided: a ballot above the one that chose can only carry the same value, so that it counts as accepted. One below it may carry
      // another, and a yes does no harm: only nodes outside of the quorum that promised the higher one still say it, and those are no quorum.
      if (slot.index <= window.decidedThrough || this.#accept(from, ballot, slot, operations)) indexes.push(slot.index)
    }
    if (operations.length > 0) window.persist(operations)
    if (indexes.length > 0) this.#outbox.answer(from, { kind: 'accepted', ballot, indexes })
    return true
  }

  /** Phase 2 of single slots. */
  onAcceptSlot(from: NodeId, { ballot, slots }: Accept): void {
    const operations: StoreOperation[] = []
    const indexes: Index[] = []
    for (const slot of slots) {
      if (this.#answerDecided(from, slot.index)) continue
      const promised = this.#window.promisedAt(slot.index)
      if (compareBallots(ballot, promised) < 0) this.#refuse(from, ballot, slot.index, promised)
      else if (this.#accept(from, ballot, slot, operations)) indexes.push(slot.index)
    }
    if (operations.length > 0) this.#window.persist(operations)
    if (indexes.length > 0) this.#outbox.answer(from, { kind: 'accepted', ballot, indexes })
  }

  #accept(from: NodeId, ballot: Ballot, { index, entry }: ProposedSlot, operations: StoreOperation[]): boolean {
    const window = this.#window
    const held = window.get(index)
    if (held?.decided) {
      if (bytesEqual(held.entry, entry)) return true
      this.#outbox.send([from], { kind: 'decision', index, entry: held.entry })
      return false
    }
    if (held !== undefined && sameBallot(held.accepted, ballot)) {
      invariant(bytesEqual(held.entry, entry), () => `two values at index ${index} under ballot ${ballotText(ballot)}`)
      return true
    }
    if (!window.hasRoom(index, entry.length)) {
      this.#outbox.trace('windowFull', { index })
      return false
    }
    operations.push(window.put(index, { promised: ballot, accepted: ballot, decided: false, entry }))
    return true
  }

  #answerDecided(from: NodeId, index: Index): boolean {
    if (!this.#window.isDecided(index)) return false
    const early = this.#window.get(index)
    if (early === undefined) this.#outbox.send([from], { kind: 'ahead', decidedThrough: this.#window.decidedThrough })
    else this.#outbox.send([from], { kind: 'decision', index, entry: early.entry })
    return true
  }

  #refuse(from: NodeId, ballot: Ballot, index: Index, promised: Ballot): void {
    this.#outbox.send([from], { kind: 'nack', ballot, index, promised })
  }
}
