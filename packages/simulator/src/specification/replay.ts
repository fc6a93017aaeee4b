/**
 * Replays a recorded run through the model, slot by slot. A leader's 1a covers every slot from its index on, and so do the
 * promises for it. A step that the model does not allow is an error; what says again what was said before is none.
 */
import type { Quorums } from '@synod/consensus'
import type { Ballot } from '@synod/consensus-paxos'
import type { Index } from '@synod/log'
import type { NodeId } from '@synod/transport'
import { eventText } from './event-text.ts'
import { PaxosModel, type ModelAction, type ModelState } from './paxos-model.ts'
import { ballotText, compareBallots, type Report, type SpecificationEvent } from './specification-event.ts'

export interface Replayed {
  readonly slots: number
  readonly ballots: number
  /** Steps of the model; one event may be a step at several slots. */
  readonly steps: number
  /** Events that changed no slot. */
  readonly stutters: number
  /** Slots with a chosen value. */
  readonly chosen: number
}

export class SpecificationError extends Error {
  readonly code = 'step_not_allowed'
  /** Of the event in the trace, from 0. */
  readonly at: number
  constructor(message: string, at: number) {
    super(message)
    this.name = 'SpecificationError'
    this.at = at
  }
}

/** Throws a SpecificationError that quotes the first event that the specification does not allow. */
export function replay(trace: readonly SpecificationEvent[], quorums: Quorums): Replayed {
  const replaying = new Replay(trace, quorums)
  for (const [at, event] of trace.entries()) {
    const refusal = replaying.on(event)
    if (refusal !== undefined) throw new SpecificationError(`event ${at + 1} of ${trace.length}, ${eventText(event)}: ${refusal}`, at)
  }
  return replaying.result()
}

class Replay {
  readonly #model: PaxosModel
  readonly #members: readonly NodeId[]
  readonly #ranks = new Map<string, number>()
  readonly #values = new Map<string, number>()
  readonly #slots = new Map<Index, ModelState>()
  /** Ballot → the slots it covers. */
  readonly #covered = new Map<number, { readonly from: Index; readonly through: Index }>()
  /** Where one promise covers every slot: the highest ballot that each node promised or accepted anywhere. */
  readonly #floors = new Map<NodeId, number>()
  readonly #isSuffix: boolean
  #steps = 0
  #stutters = 0

  constructor(trace: readonly SpecificationEvent[], quorums: Quorums) {
    const ballots = new Map<string, Ballot>()
    for (const event of trace) {
      if (event.kind !== 'learned') ballots.set(ballotText(event.ballot), event.ballot)
      if ('value' in event && event.value !== undefined && !this.#values.has(event.value))
        this.#values.set(event.value, this.#values.size + 1)
    }
    for (const [rank, ballot] of [...ballots.values()].toSorted(compareBallots).entries()) this.#ranks.set(ballotText(ballot), rank + 1)
    this.#members = quorums.members
    this.#isSuffix = trace.some((event) => event.kind === '1a' && event.scope === 'suffix')
    const nodesOf = (set: number): Set<NodeId> => new Set(quorums.members.filter((_, bit) => (set & (1 << bit)) !== 0))
    this.#model = new PaxosModel({
      acceptors: quorums.members.length,
      ballots: this.#ranks.size,
      values: this.#values.size,
      isPhase1Quorum: (set) => quorums.phase1(nodesOf(set)),
      isPhase2Quorum: (set) => quorums.phase2(nodesOf(set)),
    })
    for (const event of trace) {
      if ('index' in event && event.index !== undefined && !this.#slots.has(event.index))
        this.#slots.set(event.index, this.#model.initial())
    }
  }

  /** Why not, when it is not allowed. */
  on(event: SpecificationEvent): string | undefined {
    const before = this.#steps
    const refusal = this.#handle(event)
    if (this.#steps === before) this.#stutters++
    return refusal
  }

  result(): Replayed {
    const chosen = [...this.#slots.values()].filter((state) => this.#model.chosen(state).size > 0).length
    return { slots: this.#slots.size, ballots: this.#ranks.size, steps: this.#steps, stutters: this.#stutters, chosen }
  }

  #handle(event: SpecificationEvent): string | undefined {
    switch (event.kind) {
      case '1a':
        return this.#onStart(event)
      case '1b':
        return this.#onPromise(event.node, event.ballot, event.report)
      case '2a':
        return this.#onPropose(event)
      case '2b':
        return this.#onAccept(event)
      case 'learned': {
        const chosen = this.#model.chosen(this.#slots.get(event.index)!)
        return chosen.has(this.#values.get(event.value)!) ? undefined : 'the value was learned and is not chosen'
      }
    }
  }

  #onStart({ ballot, scope, index }: Extract<SpecificationEvent, { kind: '1a' }>): string | undefined {
    const rank = this.#rank(ballot)
    const before = this.#covered.get(rank)
    const covers = { from: index, through: scope === 'suffix' ? Number.POSITIVE_INFINITY : index }
    if (before !== undefined && (before.from !== covers.from || before.through !== covers.through))
      return `the ballot was used for slot ${before.from} before`
    this.#covered.set(rank, covers)
    for (const [, state] of this.#slotsOf(covers)) this.#perform(state, { kind: 'start', ballot: rank })
    return undefined
  }

  #onPromise(node: NodeId, ballot: Ballot, report: Report | undefined): string | undefined {
    const rank = this.#rank(ballot)
    const covers = this.#covered.get(rank)
    if (covers === undefined) return 'there was no 1a of this ballot'
    const acceptor = this.#members.indexOf(node)
    if (acceptor === -1) return `${node} is no acceptor`
    const low = this.#belowFloor(node, rank)
    if (low !== undefined) return low
    for (const [index, state] of this.#slotsOf(covers)) {
      const model = this.#model
      // A prepare that comes late or twice, after the vote under its own ballot, reveals no more than that vote did.
      const isLate = model.vote(state, acceptor).ballot === rank
      if (
        !isLate &&
        !this.#perform(state, { kind: 'promise', acceptor, ballot: rank }) &&
        model.report(state, acceptor, rank) === undefined
      ) {
        return `at slot ${index} it has promised ${this.#name(model.promised(state, acceptor))}`
      }
      const wrong = this.#compare(index, report, isLate ? model.vote(state, acceptor) : model.report(state, acceptor, rank)!)
      if (wrong !== undefined) return wrong
    }
    return undefined
  }

  /** A slot that it knows decided it does not vote for again; what it reports there is the decision. */
  #compare(index: Index, report: Report | undefined, held: { ballot: number; value: number }): string | undefined {
    if (report === undefined || index <= report.decidedThrough || report.decided.includes(index)) return undefined
    const said = report.votes.find((vote) => vote.index === index)
    // Known from the votes that are in the trace, and from no others: a value that nobody accepted has no number.
    const ballot = said === undefined ? 0 : (this.#ranks.get(ballotText(said.ballot)) ?? -1)
    const value = said === undefined ? 0 : (this.#values.get(said.value) ?? -1)
    if (ballot === held.ballot && value === held.value) return undefined
    return `at slot ${index} it voted ${held.ballot === 0 ? 'for nothing' : `under ${this.#name(held.ballot)}`}, and says otherwise`
  }

  #onPropose({ ballot, index, value }: Extract<SpecificationEvent, { kind: '2a' }>): string | undefined {
    const state = this.#slots.get(index)!
    const rank = this.#rank(ballot)
    const proposed = this.#values.get(value)!
    const before = this.#model.proposal(state, rank)
    if (before === proposed) return undefined
    if (before !== 0) return 'another value was proposed under this ballot'
    if (this.#perform(state, { kind: 'propose', ballot: rank, value: proposed })) return undefined
    return 'no quorum of 1b allows this value'
  }

  #onAccept({ node, ballot, index, value }: Extract<SpecificationEvent, { kind: '2b' }>): string | undefined {
    const acceptor = this.#members.indexOf(node)
    if (acceptor === -1) return `${node} is no acceptor`
    const state = this.#slots.get(index)!
    const rank = this.#rank(ballot)
    const proposed = this.#model.proposal(state, rank)
    if (proposed === 0) return 'there was no 2a of this ballot'
    if (value !== undefined && this.#values.get(value) !== proposed) return 'that is not the value of the 2a'
    const low = this.#belowFloor(node, rank)
    if (low !== undefined) return low
    if (this.#perform(state, { kind: 'accept', acceptor, ballot: rank }) || this.#model.hasAccepted(state, acceptor, rank)) return undefined
    return `it has promised ${this.#name(this.#model.promised(state, acceptor))}`
  }

  #belowFloor(node: NodeId, rank: number): string | undefined {
    if (!this.#isSuffix) return undefined
    const floor = this.#floors.get(node) ?? 0
    if (rank < floor) return `it has promised ${this.#name(floor)} for every slot`
    this.#floors.set(node, rank)
    return undefined
  }

  /** False when the model does not allow it, or it was done before. */
  #perform(state: ModelState, action: ModelAction): boolean {
    if (!this.#model.isEnabled(state, action)) return false
    this.#model.perform(state, action)
    this.#steps++
    return true
  }

  #slotsOf({ from, through }: { from: Index; through: Index }): [Index, ModelState][] {
    if (from === through) return [[from, this.#slots.get(from)!]]
    return [...this.#slots].filter(([index]) => index >= from && index <= through)
  }

  #rank(ballot: Ballot): number {
    return this.#ranks.get(ballotText(ballot))!
  }

  #name(rank: number): string {
    return [...this.#ranks.keys()][rank - 1] ?? 'nothing'
  }
}
