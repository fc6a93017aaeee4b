/**
 * Compares with the model of the specification: each pool of an exploration projects, slot by slot, onto a state of the model,
 * and each step onto steps of it or none. Real ballots are numbered by their order; one that is begun later may come before
 * one that was begun earlier, and then those above it are numbered anew, which changes nothing but names.
 *
 * Everything of a model's state is in what happened: so it is computed once for each pool, whatever the nodes hold beside it.
 */
import { bytesToHex } from '@synod/codec'
import type { Ballot } from '@synod/consensus-paxos'
import { eventText } from '../specification/event-text.ts'
import { modelStates, type ModelStates } from '../specification/model-states.ts'
import { PaxosModel, type ModelAction, type ModelState } from '../specification/paxos-model.ts'
import { ballotText, compareBallots, type SpecificationEvent } from '../specification/specification-event.ts'
import type { Bounds } from './bounds.ts'
import type { ExploredNode } from './explored-node.ts'
import { entryOf, noop } from './node-stepping.ts'
import type { MessagePools, Pool } from './message-pool.ts'
import type { Quorums } from '@synod/consensus'

interface Projected {
  /** Of slot 1, 2, … */
  readonly states: readonly ModelState[]
  readonly ballots: readonly Ballot[]
  /** By node: what its acceptor holds at each slot, as text. */
  readonly acceptors: readonly (readonly string[])[]
}

export interface Coverage {
  readonly covered: number
  readonly states: number
}

/** A model of more states is not enumerated: then only steps are compared. */
const enumeratedBallotsMax = 3

export class Refinement {
  readonly model: PaxosModel
  /** Every reachable state of the model, where it is small enough. */
  readonly reachable: ModelStates | undefined
  readonly #bounds: Bounds
  readonly #members: readonly string[]
  readonly #pools: MessagePools
  /** By pool. */
  readonly #projected: (Projected | undefined)[] = []
  readonly #distinct = new Map<string, Projected>()
  readonly #projections = new Map<string, { readonly state: ModelState; readonly ballotCount: number }>()
  readonly #values = new Map<string, number>()
  /** Where nodes are alike and one of several alike runs was followed: all of them. */
  readonly #orders: readonly (readonly number[])[]
  /** Steps of the core by how many steps of the model they are. */
  readonly stepCounts: number[] = []

  constructor(bounds: Bounds, quorums: Quorums, pools: MessagePools, areAlike: boolean) {
    this.#bounds = bounds
    this.#members = quorums.members
    this.#pools = pools
    for (let value = 1; value <= bounds.values; value++) this.#values.set(bytesToHex(entryOf(value)), value)
    const hasNoop = bounds.protocol === 'multi'
    if (hasNoop) this.#values.set(bytesToHex(noop), bounds.values + 1)
    const nodesOf = (set: number): Set<string> => new Set(quorums.members.filter((_, bit) => (set & (1 << bit)) !== 0))
    this.model = new PaxosModel({
      acceptors: bounds.nodes,
      ballots: bounds.ballots,
      values: bounds.values + (hasNoop ? 1 : 0),
      isPhase1Quorum: (set) => quorums.phase1(nodesOf(set)),
      isPhase2Quorum: (set) => quorums.phase2(nodesOf(set)),
    })
    const isSmall =
      bounds.protocol === 'paxos' && bounds.slots === 1 && bounds.nodes <= 3 && bounds.ballots <= enumeratedBallotsMax && bounds.values <= 2
    if (isSmall && !bounds.hasSmallQuorum) this.reachable = modelStates(this.model)
    const nodes = quorums.members.map((_, at) => at)
    this.#orders = areAlike ? ordersOf(nodes) : [nodes]
    const { empty } = pools
    const states = Array.from({ length: bounds.slots }, () => this.model.initial())
    this.#projected[empty.id] = this.#project(states, [])
    this.#cover(states, [])
  }

  /** Why the step is none of the specification, if it is none. `batch` names its events. */
  compare(before: Pool, after: Pool, batch: number, events: readonly SpecificationEvent[]): string | undefined {
    const counted = before === after ? 0 : this.#pools.cache(before).steps.get(batch)
    if (counted !== undefined) return this.#count(counted)
    const from = this.#projected[before.id]!
    const ballots = [...from.ballots]
    for (const event of events) {
      if (event.kind === '1a' && !ballots.some((ballot) => compareBallots(ballot, event.ballot) === 0)) ballots.push(event.ballot)
    }
    ballots.sort(compareBallots)
    const rankOf = new Map(ballots.map((ballot, at) => [ballotText(ballot), at + 1]))
    const states = from.states.map((state) =>
      this.model.relabel(
        state,
        (old) => rankOf.get(ballotText(from.ballots[old - 1]!))!,
        (value) => value,
      ),
    )
    const starts = new Map<string, Extract<SpecificationEvent, { kind: '1a' }>>()
    for (const event of [...this.#pools.events(before), ...events]) if (event.kind === '1a') starts.set(ballotText(event.ballot), event)
    let steps = 0
    for (const event of events) {
      for (const [at, state] of states.entries()) {
        const took = this.#take(state, at + 1, event, rankOf, starts)
        if (typeof took === 'string') return `${eventText(event)} is no step of the specification: ${took}`
        steps += took
      }
    }
    const known = this.#projected[after.id]
    if (known === undefined) this.#projected[after.id] = this.#project(states, ballots)
    else if (known.states.some((state, at) => this.model.key(state) !== this.model.key(states[at]!)))
      return 'the same messages were sent, and yet the acceptors differ'
    const foreign = known === undefined ? this.#cover(states, ballots) : undefined
    this.#pools.cache(before).steps.set(batch, steps)
    return foreign ?? this.#count(steps)
  }

  /** What a node has on disk is what its messages say, where it knows no decision and its promises are per slot. */
  compareNode(at: number, node: ExploredNode, pool: Pool): string | undefined {
    const projected = this.#projected[pool.id]!
    for (let index = 1; index <= this.#bounds.slots; index++) {
      const held = node.acceptor(index)
      if (held === undefined) continue
      const text = acceptorText(held.promised, held.accepted, held.value)
      if (text !== projected.acceptors[at]![index - 1])
        return `${node.id} holds ${text} at slot ${index}, and what it did makes it ${projected.acceptors[at]![index - 1]}`
    }
    return undefined
  }

  /** How much of the model was reached; runs that are alike, by exchanged values or nodes or with other ballots left out, were all reached by one. */
  coverage(): Coverage | undefined {
    if (this.reachable === undefined) return undefined
    const covered = new Set<string>()
    const swaps: ((value: number) => number)[] = [(value) => value]
    if (this.#bounds.values === 2) swaps.push((value) => 3 - value)
    for (const { state, ballotCount } of this.#projections.values()) {
      for (const places of subsets(this.#bounds.ballots, ballotCount)) {
        for (const swap of swaps) {
          const named = this.model.relabel(state, (ballot) => places[ballot - 1]!, swap)
          for (const order of this.#orders) covered.add(this.model.key(this.model.rename(named, order)))
        }
      }
    }
    return { covered: [...covered].filter((key) => this.reachable!.keys.has(key)).length, states: this.reachable.keys.size }
  }

  #count(steps: number): undefined {
    this.stepCounts[steps] = (this.stepCounts[steps] ?? 0) + 1
  }

  /** Steps of the model, or why not. */
  #take(
    state: ModelState,
    index: number,
    event: SpecificationEvent,
    rankOf: ReadonlyMap<string, number>,
    starts: ReadonlyMap<string, Extract<SpecificationEvent, { kind: '1a' }>>,
  ): number | string {
    const { model } = this
    const perform = (action: ModelAction, isDone: boolean, otherwise: string): number | string => {
      if (isDone) return 0
      if (!model.isEnabled(state, action)) return otherwise
      model.perform(state, action)
      return 1
    }
    if (event.kind === 'learned') {
      return event.index !== index || model.chosen(state).has(this.#values.get(event.value) ?? -1)
        ? 0
        : 'the value was learned and is not chosen'
    }
    // The explorer records what is durable, and no more of what was said than this.
    if (!('ballot' in event)) return `${event.kind} is no event of an exploration`
    const ballot = rankOf.get(ballotText(event.ballot))
    const start = starts.get(ballotText(event.ballot))
    if (ballot === undefined || start === undefined) return 'no 1a of this ballot was sent'
    const covers = start.scope === 'suffix' ? index >= start.index : index === start.index
    switch (event.kind) {
      case '1a':
        return covers ? perform({ kind: 'start', ballot }, model.isStarted(state, ballot), '') : 0
      case '1b': {
        if (!covers) return 0
        const acceptor = this.#members.indexOf(event.node)
        const isDone = model.report(state, acceptor, ballot) !== undefined || model.vote(state, acceptor).ballot === ballot
        return perform({ kind: 'promise', acceptor, ballot }, isDone, 'it has promised more')
      }
      case '2a': {
        const value = this.#values.get(event.value) ?? -1
        if (event.index !== index) return 0
        return perform(
          { kind: 'propose', ballot, value },
          model.proposal(state, ballot) === value,
          'no quorum of 1b allows this value, or another one was proposed',
        )
      }
      case '2b': {
        if (event.index !== index) return 0
        const acceptor = this.#members.indexOf(event.node)
        if (model.proposal(state, ballot) !== this.#values.get(event.value)) return 'that is not the value of the 2a'
        return perform(
          { kind: 'accept', acceptor, ballot },
          model.hasAccepted(state, acceptor, ballot),
          'there is no such 2a, or it has promised more',
        )
      }
      case 'says2b': {
        if (event.index !== index) return 0
        // It knows the decision: under a ballot below the one that chose, which it has not promised, this is a vote.
        const acceptor = this.#members.indexOf(event.node)
        const isDone = model.hasAccepted(state, acceptor, ballot) || model.chosen(state).has(model.proposal(state, ballot))
        return perform({ kind: 'accept', acceptor, ballot }, isDone, 'there is no such 2a, or it has promised more')
      }
      case 'says1b':
      case 'saysChosen':
        return `${event.kind} is no event of an exploration`
    }
  }

  /** Many pools have the same: it is kept once. */
  #project(states: readonly ModelState[], ballots: readonly Ballot[]): Projected {
    const key = `${states.map((state) => this.model.key(state)).join('/')} ${ballots.map(ballotText).join()}`
    const known = this.#distinct.get(key) ?? this.#projection(states, ballots)
    this.#distinct.set(key, known)
    return known
  }

  #projection(states: readonly ModelState[], ballots: readonly Ballot[]): Projected {
    const nameOf = new Map([...this.#values].map(([value, number]) => [number, value]))
    const ballotAt = (rank: number): Ballot => ballots[rank - 1] ?? { round: 0, node: '', boot: 0 }
    const acceptors = this.#members.map((_, acceptor) =>
      states.map((state) => {
        const vote = this.model.vote(state, acceptor)
        return acceptorText(ballotAt(this.model.promised(state, acceptor)), ballotAt(vote.ballot), nameOf.get(vote.value) ?? '')
      }),
    )
    return { states, ballots, acceptors }
  }

  #cover(states: readonly ModelState[], ballots: readonly Ballot[]): string | undefined {
    if (this.reachable === undefined) return undefined
    for (const state of states) {
      const key = this.model.key(state)
      if (!this.reachable.keys.has(key)) return 'the state projects onto none that the model reaches'
      if (!this.#projections.has(key)) this.#projections.set(key, { state, ballotCount: ballots.length })
    }
    return undefined
  }
}

function acceptorText(promised: Ballot, accepted: Ballot, value: string): string {
  return `promised ${promised.round === 0 ? 'nothing' : ballotText(promised)}, voted ${accepted.round === 0 ? 'for nothing' : `${value} under ${ballotText(accepted)}`}`
}

function ordersOf(items: readonly number[]): number[][] {
  if (items.length === 0) return [[]]
  return items.flatMap((first) => ordersOf(items.filter((item) => item !== first)).map((rest) => [first, ...rest]))
}

/** Every way to choose so many of 1…count, ascending. */
function subsets(count: number, chosen: number): number[][] {
  if (chosen === 0) return [[]]
  if (chosen > count) return []
  return [...subsets(count - 1, chosen), ...subsets(count - 1, chosen - 1).map((places) => [...places, count])]
}
