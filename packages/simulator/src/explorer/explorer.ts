/**
 * Breadth-first over the real core. A state is the nodes, each a forked core with its disk, and the pool of all that was sent;
 * equal nodes and equal pools are kept once, and what an input does to a node is computed once, by `fork()` and `step()`, however
 * many states have that node. So the search moves numbers, and the core runs once per node state and input.
 *
 * Messages: a pool that only grows (loss, duplication, reordering, any delay). Answers that reveal no promise, that is refusals
 * and decisions of a node that knows one, are delivered at once or lost: they can be provoked again at any later time by
 * delivering the request again, so a late one adds nothing but an older number. Without a leader a node that is told that a slot is
 * decided fetches the decision in the same step: that it cannot is as if it had not been told, but that it tries less. A crash and the restart are one step: a node
 * that is down is one that gets nothing. Values are alike to the core, so the first one offered is v1, the next new one v2; nodes
 * are not, since ballots are ordered by node, but those that never propose are: of states that differ only by exchanging them one is kept.
 */
import { hash } from 'node:crypto'
import { bySize, majority, type Quorums } from '@synod/consensus'
import { protocol as paxos, type PaxosMessage } from '@synod/consensus-paxos'
import type { NodeId } from '@synod/transport'
import { valueText } from '../specification/event-text.ts'
import type { SpecificationEvent } from '../specification/specification-event.ts'
import type { Bounds } from './bounds.ts'
import { ExploredNode, type NodeSetting, type Sent } from './explored-node.ts'
import { brokenInvariant } from './invariants.ts'
import { MessagePools, type Pool } from './message-pool.ts'
import { messageText, inputText, type NodeInput } from './node-input.ts'
import { Refinement, type Coverage } from './refinement.ts'
import { StateTable } from './state-table.ts'

export interface TraceStep {
  readonly node: NodeId
  readonly what: string
  /** What it sent or learned thereby. */
  readonly then: readonly string[]
}

export interface Exploration {
  readonly states: number
  /** Steps to the furthest state. */
  readonly depth: number
  readonly transitions: number
  readonly nodeStates: number
  readonly pools: number
  readonly seconds: number
  /** By how many steps of the specification a step was; empty where it was not compared. */
  readonly stepCounts: readonly number[]
  readonly coverage: Coverage | undefined
  readonly violation: { readonly what: string; readonly trace: readonly TraceStep[] } | undefined
  /** More states than the bound: what was seen holds, the rest is not known. */
  readonly isCut: boolean
}

interface Transition {
  readonly to: number
  readonly batch: number
  readonly events: readonly SpecificationEvent[]
  readonly sent: readonly Sent[]
  /** Answers that are delivered at once or lost: to whom, and what. */
  readonly answers: readonly { readonly to: number; readonly input: number }[]
  /** It was told that this slot is decided, and what it is not: its runtime fetches it at once. */
  readonly misses: number | undefined
  readonly isBeyond: boolean
  readonly broken: string | undefined
}

interface Known {
  readonly node: ExploredNode
  /** It begins no more rounds, since all that are allowed were begun. */
  readonly isSpent: boolean
  /** The number of the same node when it is spent. */
  spent: number | undefined
  readonly transitions: (Transition | undefined)[]
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

/** The first violation ends it, by a shortest trace: the search is by levels. */
export function explore(bounds: Bounds, onProgress: (progress: Progress) => void = () => {}): Exploration {
  return new Search(bounds, onProgress).run()
}

class Search {
  readonly #bounds: Bounds
  readonly #onProgress: (progress: Progress) => void
  readonly #members: readonly NodeId[]
  readonly #quorums: Quorums
  readonly #pools = new MessagePools()
  readonly #refinement: Refinement
  readonly #known: Known[] = []
  readonly #numbers = new Map<string, number>()
  readonly #inputs: NodeInput[] = []
  readonly #inputNumbers = new Map<string, number>()
  /** By item, what delivering it is. */
  readonly #itemInputs: (number | undefined)[] = []
  readonly #actions: Action[] = []
  readonly #actionNumbers = new Map<string, number>()
  readonly #poolList: Pool[] = []
  /** By pool: pairs of node and input. */
  readonly #deliveries: (Int32Array | undefined)[] = []
  readonly #areAlike: boolean
  readonly #table: StateTable
  readonly #initial: Int32Array
  #transitions = 0
  #violation: { what: string; state: number; action: number } | undefined

  constructor(bounds: Bounds, onProgress: (progress: Progress) => void) {
    this.#bounds = bounds
    this.#onProgress = onProgress
    this.#members = Array.from({ length: bounds.nodes }, (_, at) => `n${at + 1}`)
    const { phase1, size } = { phase1: Math.floor(bounds.nodes / 2) + 1, size: Math.floor(bounds.nodes / 2) + 1 }
    this.#quorums = bounds.hasSmallQuorum ? bySize(this.#members, phase1, size - 1) : majority(this.#members)
    const setting: NodeSetting = { definition: paxos(coreOptions(bounds)), quorums: this.#quorums, slots: bounds.slots, isApart: bounds.isApart }
    this.#areAlike = bounds.rounds === 1 && bounds.crashes === 0
    this.#refinement = new Refinement(bounds, this.#quorums, this.#pools, this.#areAlike)
    this.#table = new StateTable(bounds.nodes + 1)
    this.#initial = Int32Array.from([...this.#members.map((id) => this.#node(ExploredNode.first(setting, id), false)), this.#pools.empty.id])
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
      }
      this.#table.read(at, state)
      this.#expand(at, state)
      if (at % reportStates === 0) this.#onProgress({ states: this.#table.size, open: this.#table.size - at, depth, seconds: seconds() })
    }
    const violation = this.#violation
    return {
      states: this.#table.size,
      depth,
      transitions: this.#transitions,
      nodeStates: this.#known.length,
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
      const known = this.#known[state[node]!]!.node
      restarts += known.boot - 1
      valueHigh = Math.max(valueHigh, known.valueHigh)
    }
    for (let node = 0; node < nodes; node++) {
      const known = this.#known[state[node]!]!.node
      const isAsked = node < proposers && (!this.#areAlike || node < this.#bounds.ballots)
      if (isApart && known.hasWrites) this.#take(number, state, pool, node, this.#input({ kind: 'sync' }))
      if (restarts < crashes) this.#take(number, state, pool, node, this.#input({ kind: 'restart' }))
      for (const input of this.#fetched(state, known)) this.#take(number, state, pool, node, input)
      if (this.#known[state[node]!]!.isSpent) {
        if (!known.isLeader) continue
      } else if (isAsked && this.#mayStand(known)) this.#take(number, state, pool, node, this.#input({ kind: 'stand' }))
      if (!isAsked || !this.#mayOffer(known)) continue
      for (let value = 1; value <= Math.min(valueHigh + 1, this.#bounds.values); value++) this.#take(number, state, pool, node, this.#input({ kind: 'offer', value }))
    }
  }

  /** Without a leader, one entry in each life of a node, where the slot may still be open; a leader takes one for each slot. */
  #mayOffer(node: ExploredNode): boolean {
    return this.#bounds.protocol === 'paxos' ? node.offers === 0 && node.core.decidedHigh === 0 : node.isLeader && node.offers < this.#bounds.slots
  }

  #mayStand(node: ExploredNode): boolean {
    return this.#bounds.protocol === 'paxos' ? node.offers > 0 && node.core.decidedHigh === 0 : !node.isLeader
  }

  /** Decisions that it asked for and that some other node has. */
  #fetched(state: Int32Array, node: ExploredNode): number[] {
    const inputs: number[] = []
    for (let index = 1; index <= node.fetchTo; index++) {
      const value = node.decided.has(index) ? undefined : this.#decisionOf(state, index)
      if (value !== undefined) inputs.push(this.#input({ kind: 'learn', index, value }))
    }
    return inputs
  }

  #take(number: number, state: Int32Array, pool: Pool, node: number, input: number): void {
    const taken = this.#transition(state[node]!, input)
    const isNothing = taken.to === state[node] && taken.batch === 0
    if (isNothing && taken.answers.length === 0 && taken.broken === undefined) return
    // Time passes only where that begins a round.
    if (this.#inputs[input]!.kind === 'stand' && this.#pools.add(pool, taken.batch).ballotCount === pool.ballotCount) return
    if (!isNothing) this.#reach(number, state, pool, [{ node, input }])
    for (const { to, input: answer } of taken.answers) {
      if (!this.#isDead(this.#known[state[to]!]!, answer)) this.#reach(number, state, pool, [{ node, input }, { node: to, input: answer }])
    }
  }

  /** A refusal makes a node give its round up, and if it begins no other, that is as if nothing reached the round any more. */
  #isDead(known: Known, input: number): boolean {
    const to = this.#inputs[input]!
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
      const step = this.#transition(next[node]!, input)
      taken.push(step)
      const after = this.#pools.add(pool, step.batch)
      if (after.ballotCount > this.#bounds.ballots || (this.#areAlike && !after.areOwnersAscending) || step.isBeyond) return
      what ??= step.broken ?? this.#check(pool, after, step)
      next[node] = step.to
      pool = after
      const value = step.misses === undefined ? undefined : this.#decisionOf(next, step.misses)
      if (value !== undefined) whole.push({ node, input: this.#input({ kind: 'learn', index: step.misses!, value }) })
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
      const value = this.#known[state[peer]!]!.node.decided.get(index)
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
      const broken = this.#refinement.compareNode(node, this.#known[state[node]!]!.node, pool)
      if (broken !== undefined) return broken
    }
    return undefined
  }

  #canonical(state: Int32Array, pool: Pool): void {
    if (pool.ballotCount < this.#bounds.ballots) return
    for (let node = 0; node < this.#bounds.nodes; node++) {
      const known = this.#known[state[node]!]!
      known.spent ??= known.isSpent ? state[node]! : this.#node(known.node, true)
      state[node] = known.spent
    }
  }

  #transition(number: number, input: number): Transition {
    const known = this.#known[number]!
    const before = known.transitions[input]
    if (before !== undefined) return before
    const step = attempt(known.node, this.#inputs[input]!)
    const items: number[] = []
    const answers: { to: number; input: number }[] = []
    const from = known.node.id
    if (step.broken === undefined) {
      for (const { to, message } of step.sent) {
        if (isAnswer(message)) answers.push(...to.map((node) => ({ to: this.#members.indexOf(node), input: this.#input({ kind: 'message', from, message }) })))
        else items.push(this.#pools.number({ kind: 'message', from, to, message }, `${from}>${to.join()} ${this.#text(message)}`))
      }
    }
    for (const event of step.events) items.push(this.#pools.number({ kind: 'event', event }, JSON.stringify(event)))
    const transition = {
      to: this.#node(step.node, this.#inputs[input]!.kind !== 'restart' && known.isSpent),
      batch: this.#pools.batch(items),
      events: step.events,
      sent: step.sent,
      answers,
      misses: this.#bounds.protocol === 'paxos' ? missed(this.#inputs[input]!, step.node) : undefined,
      isBeyond: step.isBeyond,
      broken: step.broken,
    }
    known.transitions[input] = transition
    return transition
  }

  #node(node: ExploredNode, areAllBegun: boolean): number {
    const isSpent = areAllBegun || node.rounds >= this.#bounds.rounds
    const text = hash('sha1', `${isSpent}${node.text(isSpent)}`, 'base64')
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    this.#known.push({ node, isSpent, spent: undefined, transitions: [] })
    this.#numbers.set(text, this.#known.length - 1)
    return this.#known.length - 1
  }

  #input(input: NodeInput): number {
    const text = input.kind === 'message' ? `${input.from} ${this.#text(input.message)}` : JSON.stringify(input)
    const known = this.#inputNumbers.get(text)
    if (known !== undefined) return known
    this.#inputs.push(input)
    this.#inputNumbers.set(text, this.#inputs.length - 1)
    return this.#inputs.length - 1
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
    const known = this.#deliveries[pool.id]
    if (known !== undefined) return known
    const pairs: number[] = []
    for (const number of pool.items) {
      const item = this.#pools.item(number)
      if (item.kind !== 'message') continue
      const input = (this.#itemInputs[number] ??= this.#input({ kind: 'message', from: item.from, message: item.message }))
      for (const to of item.to) pairs.push(this.#members.indexOf(to), input)
    }
    const deliveries = Int32Array.from(pairs)
    this.#deliveries[pool.id] = deliveries
    return deliveries
  }

  #text(message: PaxosMessage): string {
    return Buffer.from(this.#known[0]!.node.core.codec.encode(message)).toString('base64')
  }

  #trace(last: number, action: number): TraceStep[] {
    const actions = [action]
    for (let state = last; this.#table.parent(state) !== -1; state = this.#table.parent(state)) actions.unshift(this.#table.action(state))
    const state = this.#initial.slice()
    return actions.flatMap((number) =>
      this.#actions[number]!.map(({ node, input }, at, { length }) => {
        const { to, sent, events } = this.#transition(state[node]!, input)
        state[node] = to
        // An answer is lost where nobody takes it in the same step.
        const leaves = sent.filter(({ message }) => at < length - 1 || !isAnswer(message)).map(({ to: nodes, message }) => `${messageText(message)} → ${nodes.join(' ')}`)
        const learned = events.flatMap((event) => (event.kind === 'learned' ? [`learns slot ${event.index} = ${valueText(event.value)}`] : []))
        return { node: this.#members[node]!, what: inputText(this.#inputs[input]!), then: [...leaves, ...learned] }
      }),
    )
  }
}

/** What the core itself takes for broken ends the search too. */
function attempt(node: ExploredNode, input: NodeInput): ReturnType<ExploredNode['step']> {
  try {
    return node.step(input)
  } catch (error) {
    return { node, sent: [], events: [], isBeyond: false, broken: `the core throws: ${error instanceof Error ? error.message : String(error)}` }
  }
}

function missed(input: NodeInput, node: ExploredNode): number | undefined {
  if (input.kind !== 'message') return undefined
  const { message } = input
  const index = message.kind === 'chosen' ? message.index : message.kind === 'ahead' ? message.decidedThrough : undefined
  return index === undefined || node.decided.has(index) ? undefined : index
}

function isAnswer({ kind }: PaxosMessage): boolean {
  return kind === 'nack' || kind === 'decision' || kind === 'ahead'
}

/** Every time-out is so long that standing alone decides, see `explored-node.ts`. */
function coreOptions({ protocol }: Bounds): unknown {
  const never = 1e12
  const common = { retransmitMs: never, offerTimeoutMs: never, readTimeoutMs: never }
  return protocol === 'paxos'
    ? { ...common, mode: 'basic', heartbeatMs: 100_000, electionTimeoutMs: never }
    : { ...common, mode: 'multi', heartbeatMs: 10_000, electionTimeoutMs: 100_000 }
}
