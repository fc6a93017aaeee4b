/**
 * Single-decree Paxos as an executable specification, after Lamport's "Paxos Made Simple" and his TLA+ module: acceptors and a
 * set of messages that only grows, so that loss, duplication and delay are all in it. Written from the paper and not from our
 * code, which is checked against it; `packages/consensus-paxos/spec/Paxos.tla` says the same in TLA+.
 *
 *     start(b)      1a(b) is sent
 *     promise(a, b) 1a(b) was sent, promised[a] < b: promised[a] := b, 1b(a, b, vote of a) is sent
 *     propose(b, v) no 2a(b) was sent, and a quorum sent 1b(b): v is the value of the highest vote in it, any where there is none
 *     accept(a, b)  2a(b, v) was sent, promised[a] ≤ b: promised[a] := b, vote[a] := (b, v), 2b(a, b, v) is sent
 *
 * Ballots are 1…B, values 1…V, acceptors 0…N-1; 0 stands for none. With N = 3, B = 3, V = 2 it has 185,369 states.
 */

/** Any member of a set of acceptors is a bit. */
export type AcceptorSet = number

export interface ModelSize {
  readonly acceptors: number
  readonly ballots: number
  readonly values: number
  readonly isPhase1Quorum: (acceptors: AcceptorSet) => boolean
  readonly isPhase2Quorum: (acceptors: AcceptorSet) => boolean
}

/** promised a · vote ballot a · vote value a · 1a b · 1b (a, b) · 2a b · 2b (a, b) */
export type ModelState = Int32Array

export type ModelAction =
  | { readonly kind: 'start'; readonly ballot: number }
  | { readonly kind: 'promise'; readonly acceptor: number; readonly ballot: number }
  | { readonly kind: 'propose'; readonly ballot: number; readonly value: number }
  | { readonly kind: 'accept'; readonly acceptor: number; readonly ballot: number }

export interface Vote {
  /** 0: none yet. */
  readonly ballot: number
  readonly value: number
}

export class PaxosModel {
  readonly size: ModelSize
  readonly #started: number
  readonly #promises: number
  readonly #proposals: number
  readonly #acceptances: number
  readonly #length: number

  constructor(size: ModelSize) {
    const { acceptors, ballots } = size
    this.size = size
    this.#started = 3 * acceptors
    this.#promises = this.#started + ballots
    this.#proposals = this.#promises + acceptors * ballots
    this.#acceptances = this.#proposals + ballots
    this.#length = this.#acceptances + acceptors * ballots
  }

  initial(): ModelState {
    return new Int32Array(this.#length)
  }

  /** Equal for equal states. */
  key(state: ModelState): string {
    return String.fromCharCode(...state)
  }

  promised(state: ModelState, acceptor: number): number {
    return state[acceptor]!
  }

  vote(state: ModelState, acceptor: number): Vote {
    return { ballot: state[this.size.acceptors + acceptor]!, value: state[2 * this.size.acceptors + acceptor]! }
  }

  isStarted(state: ModelState, ballot: number): boolean {
    return state[this.#started + ballot - 1] === 1
  }

  /** What the 1b said, if it was sent. */
  report(state: ModelState, acceptor: number, ballot: number): Vote | undefined {
    const report = state[this.#pair(this.#promises, acceptor, ballot)]! - 1
    const values = this.size.values + 1
    return report < 0 ? undefined : { ballot: Math.floor(report / values), value: report % values }
  }

  /** The value of the 2a, 0 if it was not sent. */
  proposal(state: ModelState, ballot: number): number {
    return state[this.#proposals + ballot - 1]!
  }

  hasAccepted(state: ModelState, acceptor: number, ballot: number): boolean {
    return state[this.#pair(this.#acceptances, acceptor, ballot)] === 1
  }

  isEnabled(state: ModelState, action: ModelAction): boolean {
    switch (action.kind) {
      case 'start':
        return !this.isStarted(state, action.ballot)
      case 'promise':
        return this.isStarted(state, action.ballot) && this.promised(state, action.acceptor) < action.ballot
      case 'propose':
        return this.proposal(state, action.ballot) === 0 && this.#mayPropose(state, action.ballot, action.value)
      case 'accept':
        return (
          this.proposal(state, action.ballot) !== 0 &&
          this.promised(state, action.acceptor) <= action.ballot &&
          !this.hasAccepted(state, action.acceptor, action.ballot)
        )
    }
  }

  /** In place; only what is enabled. */
  perform(state: ModelState, action: ModelAction): void {
    const { acceptors, values } = this.size
    const { ballot } = action
    switch (action.kind) {
      case 'start':
        state[this.#started + ballot - 1] = 1
        return
      case 'promise': {
        const vote = this.vote(state, action.acceptor)
        state[action.acceptor] = ballot
        state[this.#pair(this.#promises, action.acceptor, ballot)] = 1 + vote.ballot * (values + 1) + vote.value
        return
      }
      case 'propose':
        state[this.#proposals + ballot - 1] = action.value
        return
      case 'accept':
        state[action.acceptor] = ballot
        state[acceptors + action.acceptor] = ballot
        state[2 * acceptors + action.acceptor] = this.proposal(state, ballot)
        state[this.#pair(this.#acceptances, action.acceptor, ballot)] = 1
    }
  }

  /** All that may happen next. */
  *actions(state: ModelState): Generator<ModelAction> {
    const { acceptors, ballots, values } = this.size
    for (let ballot = 1; ballot <= ballots; ballot++) {
      const candidates: ModelAction[] = [{ kind: 'start', ballot }]
      for (let acceptor = 0; acceptor < acceptors; acceptor++)
        candidates.push({ kind: 'promise', acceptor, ballot }, { kind: 'accept', acceptor, ballot })
      for (let value = 1; value <= values; value++) candidates.push({ kind: 'propose', ballot, value })
      for (const action of candidates) if (this.isEnabled(state, action)) yield action
    }
  }

  /** A phase-2 quorum accepted it under one ballot. */
  chosen(state: ModelState): Set<number> {
    const chosen = new Set<number>()
    for (let ballot = 1; ballot <= this.size.ballots; ballot++) if (this.isChosenAt(state, ballot)) chosen.add(this.proposal(state, ballot))
    return chosen
  }

  isChosenAt(state: ModelState, ballot: number): boolean {
    const { acceptors, isPhase2Quorum } = this.size
    let voters: AcceptorSet = 0
    for (let acceptor = 0; acceptor < acceptors; acceptor++) if (this.hasAccepted(state, acceptor, ballot)) voters |= 1 << acceptor
    return isPhase2Quorum(voters)
  }

  /** The same state with ballots and values named anew; the new ballots are in the order of the old ones. */
  relabel(state: ModelState, ballotOf: (ballot: number) => number, valueOf: (value: number) => number): ModelState {
    const { acceptors, ballots, values } = this.size
    const named = this.initial()
    const ballotName = (ballot: number): number => (ballot === 0 ? 0 : ballotOf(ballot))
    const valueName = (value: number): number => (value === 0 ? 0 : valueOf(value))
    for (let acceptor = 0; acceptor < acceptors; acceptor++) {
      const vote = this.vote(state, acceptor)
      named[acceptor] = ballotName(this.promised(state, acceptor))
      named[acceptors + acceptor] = ballotName(vote.ballot)
      named[2 * acceptors + acceptor] = valueName(vote.value)
    }
    for (let ballot = 1; ballot <= ballots; ballot++) {
      if (!this.isStarted(state, ballot)) continue
      named[this.#started + ballotOf(ballot) - 1] = 1
      named[this.#proposals + ballotOf(ballot) - 1] = valueName(this.proposal(state, ballot))
      for (let acceptor = 0; acceptor < acceptors; acceptor++) {
        const report = this.report(state, acceptor, ballot)
        if (report !== undefined)
          named[this.#pair(this.#promises, acceptor, ballotOf(ballot))] =
            1 + ballotName(report.ballot) * (values + 1) + valueName(report.value)
        if (this.hasAccepted(state, acceptor, ballot)) named[this.#pair(this.#acceptances, acceptor, ballotOf(ballot))] = 1
      }
    }
    return named
  }

  /** The same state with acceptors named anew. */
  rename(state: ModelState, acceptorOf: readonly number[]): ModelState {
    const { acceptors, ballots } = this.size
    const named = state.slice()
    for (let acceptor = 0; acceptor < acceptors; acceptor++) {
      const to = acceptorOf[acceptor]!
      for (let field = 0; field < 3; field++) named[field * acceptors + to] = state[field * acceptors + acceptor]!
      for (let ballot = 1; ballot <= ballots; ballot++) {
        for (const offset of [this.#promises, this.#acceptances])
          named[this.#pair(offset, to, ballot)] = state[this.#pair(offset, acceptor, ballot)]!
      }
    }
    return named
  }

  #mayPropose(state: ModelState, ballot: number, value: number): boolean {
    const { acceptors, isPhase1Quorum } = this.size
    for (let quorum: AcceptorSet = 1; quorum < 1 << acceptors; quorum++) {
      if (!isPhase1Quorum(quorum)) continue
      let highest: Vote | undefined = { ballot: 0, value: 0 }
      for (let acceptor = 0; acceptor < acceptors && highest !== undefined; acceptor++) {
        if ((quorum & (1 << acceptor)) === 0) continue
        const report = this.report(state, acceptor, ballot)
        highest = report === undefined || report.ballot > highest.ballot ? report : highest
      }
      if (highest !== undefined && (highest.ballot === 0 || highest.value === value)) return true
    }
    return false
  }

  #pair(offset: number, acceptor: number, ballot: number): number {
    return offset + acceptor * this.size.ballots + ballot - 1
  }
}

/** Any two sets of more than half. */
export function majorityModel(acceptors: number, ballots: number, values: number): PaxosModel {
  const isQuorum = (set: AcceptorSet): boolean => countOf(set) * 2 > acceptors
  return new PaxosModel({ acceptors, ballots, values, isPhase1Quorum: isQuorum, isPhase2Quorum: isQuorum })
}

export function countOf(set: AcceptorSet): number {
  let count = 0
  for (let rest = set; rest !== 0; rest &= rest - 1) count++
  return count
}
