/**
 * Breadth-first over the real core. A state is the nodes, each a forked core with its disk, and the pool of all that was sent;
 * equal nodes and equal pools are kept once, and what an input does to a node is computed once, by `fork()` and `step()`, however
 * many states have that node (`node-table.ts`). So the search moves numbers, and the core runs once per node state and input.
 *
 * Messages: a pool that only grows (loss, duplication, reordering, any delay). Answers that reveal no promise, that is refusals
 * and decisions of a node that knows one, are delivered at once or lost: they can be provoked again at any later time by
 * delivering the request again, so a late one adds nothing but an older number. Without a leader a node that is told that a slot is
 * decided fetches the decision in the same step: that it cannot is as if it had not been told, but that it tries less. A crash and the restart are one step: a node
 * that is down is one that gets nothing. Values are alike to the core, so the first one offered is v1, the next new one v2; nodes
 * are alike only while each begins one round and none crashes: the number of a round follows from what its node has seen, and
 * equal numbers are ordered by name, so that every run is one, with nodes exchanged, in which the ballots' owners ascend by name. Then
 * only those runs are followed, and only the first nodes propose. A core that begins no more rounds is told from another by its
 * promises and votes, not by the numbers that it has seen.
 */
import { bySize, majority, type ProtocolDefinition, type Quorums } from '@synod/consensus'
import { protocol as paxos, type PaxosMessage } from '@synod/consensus-paxos'
import type { NodeId } from '@synod/transport'
import { valueText } from '../specification/event-text.ts'
import type { Bounds } from './bounds.ts'
import { ExploredNode } from './explored-node.ts'
import { brokenInvariant } from './invariants.ts'
import { MessagePools, type Pool } from './message-pool.ts'
import { inputText, messageText } from './node-input.ts'
import type { NodeSetting } from './node-stepping.ts'
import { isAnswer, NodeTable, type Known, type Transition } from './node-table.ts'
import { Refinement, type Coverage } from './refinement.ts'
import { StateTable } from './state-table.ts'

export interface TraceStep {
  readonly node: NodeId
  readonly what: string
  /** What it sent or learned thereby. */
  readonly does: readonly string[]
}

export interface Exploration {
  readonly states: number
  /** Steps to the furthest state. */
  readonly depth: number
  readonly transitions: number
  readonly nodeStates: number
  /** Equal for explorations that reached the same nodes. */
  readonly nodesHash: string
  /** With `checksMerged`: nodes that were taken for others, and do the same. */
  readonly mergedNodes: number
  readonly pools: number
  readonly seconds: number
  /** By how many steps of the specification a step was; empty where it was not compared. */
  readonly stepCounts: readonly number[]
  readonly coverage: Coverage | undefined
  readonly violation: { readonly what: string; readonly trace: readonly TraceStep[] } | undefined
  /** More states than the bound: what was seen holds, the rest is not known. */
  readonly isCut: boolean
}

/** One step of a state: of one node, or of several where an answer or a fetched decision comes at once. */
type Action = readonly { readonly node: number; readonly input: number }[]

export interface Progress {
  readonly states: number
  readonly open: number
  readonly depth: number
  readonly seconds: number
}

const reportStates = 1 << 16

export interface ExploreOptions {
  readonly onProgress?: (progress: Progress) => void
  /** Another core than the real one: with a planted fault, say. */
  readonly definition?: (options: unknown) => ProtocolDefinition<PaxosMessage>
  /** Also steps each node that is taken for another one, see `erased.ts`; throws where they differ. */
  readonly checksMerged?: boolean
  /** Where clocks begin, and what generators are seeded with. */
  readonly clockMs?: number
  readonly seed?: number
}

/** The first violation ends it, by a shortest trace: the search is by levels. */
export function explore(bounds: Bounds, options: ExploreOptions = {}): Exploration {
  return new Search(bounds, options).run()
}

class Search {
  readonly #bounds: Bounds
  readonly #onProgress: (progress: Progress) => void
  readonly #members: readonly NodeId[]
  readonly #quorums: Quorums
  readonly #pools = new MessagePools()
  readonly #refinement: Refinement
  readonly #nodes: NodeTable
  /** By item, what delivering it is. */
  readonly #itemInputs: (number | undefined)[] = []
  readonly #actions: Action[] = []
  readonly #actionNumbers = new Map<string, number>()
  readonly #poolList: Pool[] = []
  readonly #areAlike: boolean
  readonly #table: StateTable
  readonly #initial: Int32Array
  #transitions = 0
  #violation: { what: string; state: number; action: number } | undefined

  constructor(bounds: Bounds, options: ExploreOptions) {
    const { onProgress = () => {}, definition = paxos, checksMerged = false, clockMs = 0, seed = 1 } = options
    this.#bounds = bounds
    this.#onProgress = onProgress
    this.#members = Array.from({ length: bounds.nodes }, (_, at) => `n${at + 1}`)
    const size = Math.floor(bounds.nodes / 2) + 1
    this.#quorums = bounds.hasSmallQuorum ? bySize(this.#members, size, size - 1) : majority(this.#members)
    const setting: NodeSetting = {
      definition: definition(coreOptions(bounds)),
      quorums: this.#quorums,
      slots: bounds.slots,
      values: bounds.values,
      isApart: bounds.isApart,
      clockMs,
      seed,
    }
    this.#areAlike = bounds.rounds === 1 && bounds.crashes === 0
    this.#refinement = new Refinement(bounds, this.#quorums, this.#pools, this.#areAlike)
    this.#table = new StateTable(bounds.nodes + 1)
    this.#nodes = new NodeTable(bounds, this.#members, this.#pools, checksMerged)
    const first = this.#members.map((id) => ExploredNode.first(setting, id))
    if (this.#areAlike) checkAlike(first)
    this.#initial = Int32Array.from([...first.map((node) => this.#nodes.number(node, false)), this.#pools.empty.id])
    this.#poolList[this.#pools.empty.id] = this.#pools.empty
  }

  run(): Exploration {
    const startedAt = performance.now()
    const seconds = (): number => (performance.now() - startedAt) / 1000
    const state = new Int32Array(this.#initial.length)
    this.#table.add(this.#initial, -1)
    let depth = 0
    let levelEnd = 1
    let at = 0
    for (; at < this.#table.size && this.#violation === undefined && this.#table.size <= this.#bounds.statesMax; at++) {
      if (at === levelEnd) {
        depth++
        levelEnd = this.#table.size
        this.#pools.deepen()
      }
      this.#table.read(at, state)
      this.#expand(at, state)
      this.#nodes.checkMerged()
      if (at % reportStates === 0) this.#onProgress({ states: this.#table.size, open: this.#table.size - at, depth, seconds: seconds() })
    }
    const violation = this.#violation
    return {
      states: this.#table.size,
      depth,
      transitions: this.#transitions,
      nodeStates: this.#nodes.count,
      nodesHash: this.#nodes.textHash,
      mergedNodes: this.#nodes.mergedCount,
      pools: this.#pools.count,
      seconds: seconds(),
      stepCounts: this.#refinement.stepCounts,
      coverage: this.#refinement.coverage(),
      violation: violation === undefined ? undefined : { what: violation.what, trace: this.#trace(violation.state, violation.action) },
      isCut: violation === undefined && at < this.#table.size,
    }
  }

  #expand(number: number, state: Int32Array): void {
    const { nodes, proposers, isApart, crashes } = this.#bounds
    const pool = this.#poolList[state[nodes]!]!
    const deliveries = this.#deliveriesOf(pool)
    for (let at = 0; at < deliveries.length; at += 2) this.#take(number, state, pool, deliveries[at]!, deliveries[at + 1]!)
    let restarts = 0
    let valueHigh = 0
    for (let node = 0; node < nodes; node++) {
      const known = this.#nodes.at(state[node]!).node
      restarts += known.boot - 1
      valueHigh = Math.max(valueHigh, known.valueHigh)
    }
    for (let node = 0; node < nodes; node++) {
      const known = this.#nodes.at(state[node]!).node
      const isAsked = node < proposers && (!this.#areAlike || node < this.#bounds.ballots)
      if (isApart && known.hasWrites) this.#take(number, state, pool, node, this.#nodes.input({ kind: 'sync' }))
      if (restarts < crashes) this.#take(number, state, pool, node, this.#nodes.input({ kind: 'restart' }))
      for (const input of this.#fetched(state, known)) this.#take(number, state, pool, node, input)
      if (this.#nodes.at(state[node]!).isSpent) {
        if (!known.isLeader) continue
      } else if (isAsked && this.#mayStand(known)) this.#take(number, state, pool, node, this.#nodes.input({ kind: 'stand' }))
      if (!isAsked || !this.#mayOffer(known)) continue
      for (let value = 1; value <= Math.min(valueHigh + 1, this.#bounds.values); value++)
        this.#take(number, state, pool, node, this.#nodes.input({ kind: 'offer', value }))
    }
  }

  /** Without a leader, one entry in each life of a node, where the slot may still be open; a leader takes one for each slot. */
  #mayOffer(node: ExploredNode): boolean {
    return this.#bounds.protocol === 'paxos'
      ? node.offers === 0 && node.core.decidedHigh === 0
      : node.isLeader && node.offers < this.#bounds.slots
  }

  #mayStand(node: ExploredNode): boolean {
    return this.#bounds.protocol === 'paxos' ? node.offers > 0 && node.core.decidedHigh === 0 : !node.isLeader
  }

  /** Decisions that it asked for and that some other node has. */
  #fetched(state: Int32Array, node: ExploredNode): number[] {
    const inputs: number[] = []
    for (let index = 1; index <= node.fetchTo; index++) {
      const value = node.decided.has(index) ? undefined : this.#decisionOf(state, index)
      if (value !== undefined) inputs.push(this.#nodes.input({ kind: 'learn', index, value }))
    }
    return inputs
  }

  #take(number: number, state: Int32Array, pool: Pool, node: number, input: number): void {
    const taken = this.#nodes.transition(state[node]!, input)
    const isNothing = taken.to === state[node] && taken.batch === 0
    if (isNothing && taken.answers.length === 0 && taken.broken === undefined) return
    // Time passes only where that begins a round.
    if (this.#nodes.inputAt(input).kind === 'stand' && this.#pools.add(pool, taken.batch).ballotCount === pool.ballotCount) return
    if (!isNothing) this.#reach(number, state, pool, [{ node, input }])
    for (const { to, input: answer } of taken.answers) {
      if (!this.#isDead(this.#nodes.at(state[to]!), answer))
        this.#reach(number, state, pool, [
          { node, input },
          { node: to, input: answer },
        ])
    }
  }

  /** A refusal makes a node give its round up, and if it begins no other, that is as if nothing reached the round any more. */
  #isDead(known: Known, input: number): boolean {
    const to = this.#nodes.inputAt(input)
    return known.isSpent && to.kind === 'message' && to.message.kind === 'nack'
  }

  #reach(from: number, state: Int32Array, before: Pool, action: Action): void {
    if (this.#violation !== undefined) return
    const next = state.slice()
    const taken: Transition[] = []
    const whole = [...action]
    let pool = before
    let what: string | undefined
    for (let at = 0; at < whole.length; at++) {
      const { node, input } = whole[at]!
      const step = this.#nodes.transition(next[node]!, input)
      taken.push(step)
      const after = this.#pools.add(pool, step.batch)
      if (after.ballotCount > this.#bounds.ballots || (this.#areAlike && !after.areOwnersAscending) || step.isBeyond) return
      what ??= step.broken ?? this.#check(pool, after, step)
      next[node] = step.to
      pool = after
      const value = step.misses === undefined ? undefined : this.#decisionOf(next, step.misses)
      if (value !== undefined) whole.push({ node, input: this.#nodes.input({ kind: 'learn', index: step.misses!, value }) })
      else if (step.misses !== undefined) return
    }
    next[this.#bounds.nodes] = pool.id
    this.#canonical(next, pool)
    if (what === undefined && pool === before && next.every((cell, at) => cell === state[at])) return
    this.#transitions++
    if (what === undefined) {
      const added = this.#table.add(next, from)
      if (added === -1) return
      this.#table.setAction(added, this.#action(whole))
    }
    what ??= this.#checkNodes(next, pool)
    if (what !== undefined) this.#violation = { what, state: from, action: this.#action(whole) }
  }

  #decisionOf(state: Int32Array, index: number): string | undefined {
    for (let peer = 0; peer < this.#bounds.nodes; peer++) {
      const value = this.#nodes.at(state[peer]!).node.decided.get(index)
      if (value !== undefined) return value
    }
    return undefined
  }

  #check(before: Pool, after: Pool, { batch, events }: Transition): string | undefined {
    if (this.#poolList[after.id] === undefined) {
      this.#poolList[after.id] = after
      const broken = brokenInvariant(this.#pools.events(after), this.#quorums, this.#bounds)
      if (broken !== undefined) return broken
    }
    return this.#refinement.compare(before, after, batch, events)
  }

  #checkNodes(state: Int32Array, pool: Pool): string | undefined {
    if (this.#bounds.protocol !== 'paxos') return undefined
    for (let node = 0; node < this.#bounds.nodes; node++) {
      const broken = this.#refinement.compareNode(node, this.#nodes.at(state[node]!).node, pool)
      if (broken !== undefined) return broken
    }
    return undefined
  }

  /** Once all rounds that are allowed were begun, no node begins one. */
  #canonical(state: Int32Array, pool: Pool): void {
    if (pool.ballotCount < this.#bounds.ballots) return
    for (let node = 0; node < this.#bounds.nodes; node++) {
      state[node] = this.#nodes.spent(state[node]!)
    }
  }

  #action(action: Action): number {
    const key = action.map(({ node, input }) => `${node} ${input}`).join()
    const known = this.#actionNumbers.get(key)
    if (known !== undefined) return known
    this.#actions.push(action)
    this.#actionNumbers.set(key, this.#actions.length - 1)
    return this.#actions.length - 1
  }

  #deliveriesOf(pool: Pool): Int32Array {
    const cache = this.#pools.cache(pool)
    if (cache.deliveries !== undefined) return cache.deliveries
    const pairs: number[] = []
    for (const number of this.#pools.numbers(pool)) {
      const item = this.#pools.item(number)
      if (item.kind !== 'message') continue
      const input = (this.#itemInputs[number] ??= this.#nodes.input({ kind: 'message', from: item.from, message: item.message }))
      for (const to of item.to) pairs.push(this.#members.indexOf(to), input)
    }
    cache.deliveries = Int32Array.from(pairs)
    return cache.deliveries
  }

  #trace(last: number, action: number): TraceStep[] {
    const actions = [action]
    for (let state = last; this.#table.parent(state) !== -1; state = this.#table.parent(state)) actions.unshift(this.#table.action(state))
    const state = this.#initial.slice()
    return actions.flatMap((number) =>
      this.#actions[number]!.map(({ node, input }, at, { length }) => {
        const { to, sent, events } = this.#nodes.transition(state[node]!, input)
        state[node] = to
        // An answer is lost where nobody takes it in the same step.
        const leaves = sent
          .filter(({ message }) => at < length - 1 || !isAnswer(message))
          .map(({ to: nodes, message }) => `${messageText(message)} → ${nodes.join(' ')}`)
        const learned = events.flatMap((event) =>
          event.kind === 'learned' ? [`learns slot ${event.index} = ${valueText(event.value)}`] : [],
        )
        return { node: this.#members[node]!, what: inputText(this.#nodes.inputAt(input)), does: [...leaves, ...learned] }
      }),
    )
  }
}

/** That runs can be exchanged with the nodes needs cores that differ by nothing but their names. */
function checkAlike(nodes: readonly ExploredNode[]): void {
  const [first] = nodes
  for (const node of nodes) {
    const exchange = (id: NodeId): NodeId => (id === node.id ? first!.id : id === first!.id ? node.id : id)
    if (node.text(false, exchange) !== first!.text(false))
      throw new Error(`${node.id} and ${first!.id} are not alike: their digests differ by more than names`)
  }
}

/** Every time-out is so long that standing alone decides, see `node-stepping.ts`. */
function coreOptions({ protocol }: Bounds): unknown {
  const never = 1e12
  const common = { retransmitMs: never, offerTimeoutMs: never, readTimeoutMs: never }
  return protocol === 'paxos'
    ? { ...common, mode: 'basic', heartbeatMs: 100_000, electionTimeoutMs: never }
    : { ...common, mode: 'multi', heartbeatMs: 10_000, electionTimeoutMs: 100_000 }
}
