/**
 * Learns what is decided, from those who know it: this node's own quorum, a message that carries the decision, a leader's
 * commit index for entries accepted under that very ballot, or a peer by way of the runtime. Never from an accepted value.
 * What is known to be decided and is missing here it asks the runtime to fetch, after a moment, since most of it is on its way.
 */
import { bytesEqual, type Bytes } from '@synod/codec'
import type { Index } from '@synod/log'
import type { NodeId } from '@synod/transport'
import { compareBallots, noBallot, sameBallot, type Ballot } from './ballot.ts'
import { invariant } from './invariant.ts'
import type { Clock, Outbox } from './outbox.ts'
import type { Settings } from './settings.ts'
import type { SlotWindow } from './slot-window.ts'

export interface LearnerState {
  /** A leader of this ballot knew all up to the index decided: true for ever. */
  commit: { ballot: Ballot; index: Index }
  /** Known to be decided, as a prefix, by this peer. */
  target: Index
  peer: NodeId | undefined
  /** The decided prefix when it last moved, and since when. */
  seenThrough: Index
  stuckSince: number
  fetchedTo: Index
  fetchedAt: number
  /** Fetches in a row that brought nothing. */
  fruitless: number
}

export function startLearner(decidedThrough: Index): LearnerState {
  const commit = { ballot: noBallot, index: 0 }
  return { commit, target: 0, peer: undefined, seenThrough: decidedThrough, stuckSince: 0, fetchedTo: 0, fetchedAt: 0, fruitless: 0 }
}

export class Learner {
  /** Called after each slot that was learned. */
  onLearned: (index: Index, entry: Bytes) => void = () => {}
  readonly #state: LearnerState
  readonly #settings: Settings
  readonly #window: SlotWindow
  readonly #outbox: Outbox
  readonly #clock: Clock

  constructor(state: LearnerState, settings: Settings, window: SlotWindow, outbox: Outbox, clock: Clock) {
    this.#state = state
    this.#settings = settings
    this.#window = window
    this.#outbox = outbox
    this.#clock = clock
  }

  /**
   * The entry is decided at the index. `mustHold`: there is room for it, whatever the bound says, because the caller has one
   * of its own. `chosenAt`: the ballot it is known to be chosen at, where that is known.
   */
  learn(
    index: Index,
    entry: Bytes,
    { mustHold = false, chosenAt }: { readonly mustHold?: boolean; readonly chosenAt?: Ballot } = {},
  ): void {
    this.#learnOne(index, entry, mustHold, chosenAt)
    this.#followCommit()
  }

  onCommit(ballot: Ballot, index: Index, peer: NodeId): void {
    const { commit } = this.#state
    const order = compareBallots(ballot, commit.ballot)
    if (order > 0 || (order === 0 && index > commit.index)) this.#state.commit = { ballot, index }
    this.#followCommit()
    this.chase(index, peer)
  }

  /** A peer has every decision up to `target`; what is missing here is fetched when it does not come by itself. */
  chase(target: Index, peer: NodeId): void {
    if (target <= this.#state.target || target <= this.#window.decidedThrough) return
    if (this.#state.target <= this.#window.decidedThrough) this.#state.stuckSince = this.#clock.now
    this.#state.target = target
    this.#state.peer = peer
  }

  /** Known decided by somebody, as a prefix. */
  get knownThrough(): Index {
    return Math.max(this.#state.target, this.#window.decidedThrough)
  }

  get stuckSince(): number {
    return this.#state.stuckSince
  }

  /** Peers were asked, and nothing came. */
  get isFruitless(): boolean {
    return this.#state.fruitless > 0
  }

  onTick(): void {
    const state = this.#state
    const { now } = this.#clock
    const { decidedThrough } = this.#window
    if (state.seenThrough !== decidedThrough) {
      state.seenThrough = decidedThrough
      state.stuckSince = now
      state.fruitless = 0
    }
    if (state.target <= decidedThrough) return
    const running = state.fetchedTo > decidedThrough
    if (running && now - Math.max(state.fetchedAt, state.stuckSince) < this.#settings.electionTimeoutMs) return
    if (!running && now - state.stuckSince < this.#settings.heartbeatMs) return
    if (running) state.fruitless++
    this.fetch(state.target, state.fruitless > 0 ? undefined : state.peer)
  }

  /** Asks now, unless the same is under way. */
  fetch(to: Index, peer: NodeId | undefined): void {
    const state = this.#state
    const from = this.#window.decidedThrough + 1
    const recent = this.#clock.now - state.fetchedAt < this.#settings.heartbeatMs
    if (to < from || (state.fetchedTo >= to && recent)) return
    state.fetchedTo = to
    state.fetchedAt = this.#clock.now
    this.#outbox.emit({ kind: 'fetch', from, to, ...(peer === undefined ? {} : { peer }) })
  }

  #followCommit(): void {
    const { commit } = this.#state
    for (let next = this.#window.decidedThrough + 1; next <= commit.index; next++) {
      const held = this.#window.get(next)
      if (held === undefined || !sameBallot(held.accepted, commit.ballot)) return
      this.#learnOne(next, held.entry, true, commit.ballot)
    }
  }

  #learnOne(index: Index, entry: Bytes, mustHold: boolean, chosenAt: Ballot | undefined): void {
    const window = this.#window
    if (index <= window.decidedThrough) return
    const held = window.get(index)
    if (held?.decided) {
      invariant(
        bytesEqual(held.entry, entry),
        () => `index ${index} was decided with ${held.entry.length} bytes and is now decided with other ${entry.length}`,
      )
      return
    }
    // The row that is on the disk will do only when it was accepted at the very ballot at which it was chosen: then nothing else can be
    // accepted over it, should this node forget that it is decided. One of a lower ballot could be overwritten by a late accept.
    const accepted = held !== undefined && chosenAt !== undefined && sameBallot(held.accepted, chosenAt) && bytesEqual(held.entry, entry)
    if (!accepted && !mustHold && !window.hasRoom(index, entry.length)) return this.#outbox.trace('windowFull', { index })
    const slot = { promised: held?.promised ?? noBallot, accepted: accepted ? held.accepted : noBallot, decided: true, entry }
    const header = window.header(slot)
    window.decide(index, slot)
    if (!accepted) window.persist([window.operation(index, slot)])
    this.#outbox.emit({ kind: 'decide', index, header, entry })
    this.onLearned(index, entry)
  }
}
