/**
 * Linearizable reads without a write. A barrier is confirmed by a round that was *sent after it arrived*; those that arrive
 * while a round is under way share the next one. Sequences only grow within a boot, so a late answer confirms nothing it should not.
 */
import type { Index } from '@synod/log'
import type { NodeId } from '@synod/transport'

/** Who waits for an answer: this node, or another boot of whom would not want it. */
export interface Origin {
  readonly node: NodeId
  readonly boot: number
  readonly id: number
}

interface WaitingRead {
  readonly origin: Origin
  /** Refused after that. */
  readonly until: number
}

export interface ReadState {
  /** Of the last round, whoever it was for. */
  sequence: number
  waiting: WaitingRead[]
  running: { sequence: number; reads: WaitingRead[]; acks: Set<NodeId>; high: Index } | undefined
}

export function startReads(): ReadState {
  return { sequence: 0, waiting: [], running: undefined }
}

export class ReadRounds {
  readonly #state: ReadState
  readonly #waitingMax: number

  constructor(state: ReadState, waitingMax: number) {
    this.#state = state
    this.#waitingMax = waitingMax
  }

  /** False when too many wait: refuse it. */
  arrive(origin: Origin, until: number): boolean {
    const { waiting, running } = this.#state
    if (waiting.length + (running?.reads.length ?? 0) >= this.#waitingMax) return false
    waiting.push({ origin, until })
    return true
  }

  /** The number of a new round, when somebody waits for one; its answers go to `onAck`. */
  begin(self: NodeId, high: Index): number | undefined {
    const state = this.#state
    if (state.running !== undefined || state.waiting.length === 0) return undefined
    state.running = { sequence: this.next(), reads: state.waiting, acks: new Set([self]), high }
    state.waiting = []
    return state.sequence
  }

  /** A later number counts for the round under way too. */
  next(): number {
    return ++this.#state.sequence
  }

  onAck(node: NodeId, sequence: number, high: Index): void {
    const { running } = this.#state
    if (running === undefined || sequence < running.sequence || sequence > this.#state.sequence) return
    running.acks.add(node)
    running.high = Math.max(running.high, high)
  }

  /** Ends the round under way when its quorum has answered. */
  confirmed(quorum: (nodes: ReadonlySet<NodeId>) => boolean): { readonly origins: readonly Origin[]; readonly high: Index } | undefined {
    const { running } = this.#state
    if (running === undefined || !quorum(running.acks)) return undefined
    this.#state.running = undefined
    return { origins: running.reads.map(({ origin }) => origin), high: running.high }
  }

  get isRunning(): boolean {
    return this.#state.running !== undefined
  }

  /** Those that waited too long, or all. */
  expire(now: number): Origin[] {
    const state = this.#state
    const expired = [...(state.running?.reads ?? []), ...state.waiting].filter(({ until }) => until <= now).map(({ origin }) => origin)
    state.waiting = state.waiting.filter(({ until }) => until > now)
    if (state.running !== undefined) {
      state.running.reads = state.running.reads.filter(({ until }) => until > now)
      if (state.running.reads.length === 0) state.running = undefined
    }
    return expired
  }
}
