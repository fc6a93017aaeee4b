/**
 * What this node holds above its decided prefix: promises, accepted values, and decisions that came early. Acceptor and
 * learner share it, because a learned slot and an accepted one are the same row in the store. Below the prefix nothing is
 * kept: those entries are the runtime's.
 */
import type { Bytes } from '@synod/codec'
import { ByteReader, ByteWriter } from '@synod/codec'
import type { ProtocolOptions } from '@synod/consensus'
import type { Index, StoreOperation } from '@synod/log'
import { ballotText, compareBallots, noBallot, readBallot, writeBallot, type Ballot } from './ballot.ts'
import { invariant } from './invariant.ts'
import type { ReportedSlot } from './messages.ts'
import type { Outbox } from './outbox.ts'
import type { Settings } from './settings.ts'
import { decodeSlotHeader, encodeSlotHeader, type SlotHeader } from './slot-header.ts'

export interface HeldSlot extends SlotHeader {
  readonly entry: Bytes
}

export interface WindowState {
  /** The promise for every index; a slot may have a higher one of its own. */
  promised: Ballot
  slots: Map<Index, HeldSlot>
  heldBytes: number
  /** Every index up to here is known decided. */
  decidedThrough: Index
  /** The highest index known decided. */
  decidedHigh: Index
}

const promisedKey = 'promised'

/** Throws a MalformedError for a store that this build did not write. */
export function recoverWindow(options: ProtocolOptions): WindowState {
  const { recovered, members } = options
  const slots = new Map<Index, HeldSlot>()
  for (const { index, header, entry } of recovered.window) {
    if (index > recovered.decidedThrough) slots.set(index, { ...decodeSlotHeader(header, members), entry })
  }
  const meta = recovered.meta.get(promisedKey)
  const reader = meta === undefined ? undefined : new ByteReader(meta)
  const promised = reader === undefined ? noBallot : readBallot(reader, members)
  reader?.end()
  return {
    promised,
    slots,
    heldBytes: [...slots.values()].reduce((sum, slot) => sum + slot.entry.length, 0),
    decidedThrough: recovered.decidedThrough,
    decidedHigh: Math.max(recovered.decidedThrough, ...[...slots].filter(([, slot]) => slot.decided).map(([index]) => index)),
  }
}

export class SlotWindow {
  readonly #options: ProtocolOptions
  readonly #settings: Settings
  readonly #state: WindowState
  readonly #outbox: Outbox

  constructor(options: ProtocolOptions, settings: Settings, state: WindowState, outbox: Outbox) {
    this.#options = options
    this.#settings = settings
    this.#state = state
    this.#outbox = outbox
  }

  get decidedThrough(): Index {
    return this.#state.decidedThrough
  }

  get decidedHigh(): Index {
    return this.#state.decidedHigh
  }

  get promised(): Ballot {
    return this.#state.promised
  }

  promisedAt(index: Index): Ballot {
    const own = this.#state.slots.get(index)?.promised ?? noBallot
    return compareBallots(own, this.#state.promised) > 0 ? own : this.#state.promised
  }

  get(index: Index): HeldSlot | undefined {
    return this.#state.slots.get(index)
  }

  isDecided(index: Index): boolean {
    return index <= this.#state.decidedThrough || this.#state.slots.get(index)?.decided === true
  }

  /** Highest index that is decided or accepted here. */
  get acceptedHigh(): Index {
    let high = this.#state.decidedHigh
    for (const [index, slot] of this.#state.slots) if (slot.accepted.round > 0 && index > high) high = index
    return high
  }

  /** The very next slot always has room, so that a full window cannot get stuck. */
  hasRoom(index: Index, bytes: number): boolean {
    const { slots, heldBytes, decidedThrough } = this.#state
    if (index === decidedThrough + 1) return true
    const held = slots.get(index)
    return (
      slots.size + (held === undefined ? 1 : 0) <= this.#settings.heldMax &&
      heldBytes - (held?.entry.length ?? 0) + bytes <= this.#settings.heldBytesMax
    )
  }

  /** Accepted and decided slots at or above an index, ascending: what a promise reports. */
  report(from: Index): ReportedSlot[] {
    return [...this.#state.slots]
      .filter(([index, slot]) => index >= from && (slot.decided || slot.accepted.round > 0))
      .toSorted(([left], [right]) => left - right)
      .map(([index, slot]) => ({ index, ballot: slot.accepted, decided: slot.decided, entry: slot.entry }))
  }

  /** To be persisted with what is done under it. */
  raisePromise(ballot: Ballot): StoreOperation {
    const before = this.#state.promised
    invariant(compareBallots(ballot, before) > 0, () => `promise ${ballotText(before)} lowered to ${ballotText(ballot)}`)
    this.#state.promised = ballot
    const writer = new ByteWriter(32)
    writeBallot(writer, ballot, this.#options.members)
    return { op: 'meta', epoch: this.#options.epoch, key: promisedKey, value: writer.finish() }
  }

  /** To be persisted. */
  put(index: Index, slot: HeldSlot): StoreOperation {
    this.#hold(index, slot)
    return this.operation(index, slot)
  }

  operation(index: Index, slot: HeldSlot): StoreOperation {
    return { op: 'slot', epoch: this.#options.epoch, index, header: this.header(slot), entry: slot.entry }
  }

  /** A decision: no write is needed when this entry was accepted here. */
  decide(index: Index, slot: HeldSlot): void {
    invariant(slot.decided && index > this.#state.decidedThrough, () => `index ${index} decided again below ${this.#state.decidedThrough}`)
    this.#hold(index, slot)
    this.#state.decidedHigh = Math.max(this.#state.decidedHigh, index)
    this.advance()
  }

  /** The decided prefix grows as far as it can, and what it covers is let go. */
  advance(): void {
    for (let next = this.#state.decidedThrough + 1; this.#state.slots.get(next)?.decided; next++) {
      this.#state.heldBytes -= this.#state.slots.get(next)!.entry.length
      this.#state.slots.delete(next)
      this.#state.decidedThrough = next
    }
  }

  persist(operations: readonly StoreOperation[]): void {
    this.#outbox.persist(operations, this.#state.decidedThrough)
  }

  header(slot: SlotHeader): Bytes {
    return encodeSlotHeader(slot, this.#options.members)
  }

  #hold(index: Index, slot: HeldSlot): void {
    const held = this.#state.slots.get(index)
    invariant(held === undefined || !held.decided, () => `index ${index} is decided and was written again`)
    invariant(
      held === undefined || compareBallots(slot.promised, held.promised) >= 0,
      () => `promise of index ${index} lowered from ${ballotText(held!.promised)}`,
    )
    this.#state.heldBytes += slot.entry.length - (held?.entry.length ?? 0)
    this.#state.slots.set(index, slot)
  }
}
