/**
 * Breadth-first over the real core. A state is the nodes, each a forked core with its disk, and the pool of all that was sent;
 * equal nodes and equal pools are kept once, and what an input does to a node is computed once, by `fork()` and `step()`, however
 * many states have that node. So the search moves numbers, and the core runs once per node state and input.
 *
 * Messages: a pool that only grows (loss, duplication, reordering, any delay). Answers that reveal no promise, that is refusals
 * and decisions of a node that knows one, are delivered at once or lost: they can be provoked again at any later time by
 * delivering the request again, so a late one adds nothing but an older number. A crash and the restart are one step: a node
 * that is down is one that gets nothing. Values are alike to the core, so the first one offered is v1, the next new one v2; nodes
 * are not, since ballots are ordered by node, but those that never propose are: of states that differ only by exchanging them one is kept.
 */
import { hash } from 'node:crypto'
import { bySize, majority, type Quorums } from '@synod/consensus'
import { protocol as paxos, type PaxosMessage } from '@synod/consensus-paxos'
import type { NodeId } from '@synod/transport'
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
  readonly isBeyond: boolean
  readonly broken: string | undefined
}

interface Known {
  readonly node: ExploredNode
  readonly transitions: (Transition | undefined)[]
}

interface Action {
  readonly node: number
  readonly input: number
  /** Which of the answers is delivered; -1: none. */
  readonly answer: number
}

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
  readonly #actions: Action[] = []
  readonly #actionNumbers = new Map<number, number>()
  readonly #poolList: Pool[] = []
  /** By pool: pairs of node and input. */
  readonly #deliveries: (Int32Array | undefined)[] = []
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
    this.#refinement = new Refinement(bounds, this.#quorums, this.#pools)
    this.#table = new StateTable(bounds.nodes + 1)
    this.#initial = Int32Array.from([...this.#members.map((id) => this.#node(ExploredNode.first(setting, id))), this.#pools.empty.id])
    this.#poolList[this.#pools.empty.id] = this.#pools.empty
  }

  run(): Exploration {
    const startedAt = performance.now()
    const seconds = (): number => (performance.now() - startedAt) / 1000
    const state = new Int32Array(this.#initial.length)
    this.#table.add(this.#initial, -1, -1)
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
      if (isApart && known.hasWrites) this.#take(number, state, pool, node, this.#input({ kind: 'sync' }))
      if (restarts < crashes) this.#take(number, state, pool, node, this.#input({ kind: 'restart' }))
      for (const input of this.#fetched(state, known)) this.#take(number, state, pool, node, input)
      if (node >= proposers) continue
      if (this.#mayStand(known)) this.#take(number, state, pool, node, this.#input({ kind: 'stand' }))
      if (!this.#mayOffer(known)) continue
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
      if (node.decided.has(index)) continue
      for (let peer = 0; peer < this.#bounds.nodes; peer++) {
        const value = this.#known[state[peer]!]!.node.decided.get(index)
        if (value === undefined) continue
        inputs.push(this.#input({ kind: 'learn', index, value }))
        break
      }
    }
    return inputs
  }

  #take(number: number, state: Int32Array, pool: Pool, node: number, input: number): void {
    const taken = this.#transition(state[node]!, input)
    const isNothing = taken.to === state[node] && taken.batch === 0
    if (isNothing && taken.answers.length === 0 && taken.broken === undefined) return
    const opens = this.#inputs[input]!.kind === 'stand'
    const after = this.#pools.add(pool, taken.batch)
    // Time passes only where that begins a round.
    if (opens && after.ballotCount === pool.ballotCount) return
    const next = state.slice()
    next[node] = taken.to
    if (!isNothing) this.#reach(number, pool, next, [taken], after, { node, input, answer: -1 })
    for (const [answer, { to, input: answered }] of taken.answers.entries()) {
      const heard = this.#transition(next[to]!, answered)
      if (heard.to === next[to] && heard.batch === 0) continue
      const both = next.slice()
      both[to] = heard.to
      this.#reach(number, pool, both, [taken, heard], this.#pools.add(after, heard.batch), { node, input, answer })
    }
  }

  /** One step: by one node, or by two when an answer is delivered at once. */
  #reach(from: number, before: Pool, state: Int32Array, taken: readonly Transition[], pool: Pool, action: Action): void {
    if (this.#violation !== undefined || pool.ballotCount > this.#bounds.ballots || taken.some(({ isBeyond }) => isBeyond)) return
    this.#transitions++
    const isNewPool = this.#poolList[pool.id] === undefined
    this.#poolList[pool.id] = pool
    const broken = taken.find((transition) => transition.broken !== undefined)?.broken ?? this.#check(before, taken, pool, isNewPool)
    state[this.#bounds.nodes] = pool.id
    if (broken === undefined) {
      this.#canonical(state)
      if (this.#table.add(state, from, this.#action(action)) === -1) return
    }
    const what = broken ?? this.#checkNodes(state, pool)
    if (what !== undefined) this.#violation = { what, state: from, action: this.#action(action) }
  }

  #check(before: Pool, taken: readonly Transition[], after: Pool, isNew: boolean): string | undefined {
    const broken = isNew ? brokenInvariant(this.#pools.events(after), this.#quorums, this.#bounds) : undefined
    if (broken !== undefined) return broken
    if (taken.length === 1) return this.#refinement.compare(before, after, taken[0]!.batch, taken[0]!.events)
    const between = this.#pools.add(before, taken[0]!.batch)
    const first = this.#refinement.compare(before, between, taken[0]!.batch, taken[0]!.events)
    return first ?? this.#refinement.compare(between, after, taken[1]!.batch, taken[1]!.events)
  }

  #checkNodes(state: Int32Array, pool: Pool): string | undefined {
    if (this.#bounds.protocol !== 'paxos') return undefined
    for (let node = 0; node < this.#bounds.nodes; node++) {
      const broken = this.#refinement.compareNode(node, this.#known[state[node]!]!.node, pool)
      if (broken !== undefined) return broken
    }
    return undefined
  }

  #canonical(_state: Int32Array): void {}

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
      to: step.node === known.node ? number : this.#node(step.node),
      batch: this.#pools.batch(items),
      events: step.events,
      sent: step.sent,
      answers,
      isBeyond: step.isBeyond,
      broken: step.broken,
    }
    known.transitions[input] = transition
    return transition
  }

  #node(node: ExploredNode): number {
    const text = hash('sha1', node.text(), 'base64')
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    this.#known.push({ node, transitions: [] })
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

  #action({ node, input, answer }: Action): number {
    const key = (input * 16 + node) * 16 + answer + 1
    const known = this.#actionNumbers.get(key)
    if (known !== undefined) return known
    this.#actions.push({ node, input, answer })
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
      const input = this.#input({ kind: 'message', from: item.from, message: item.message })
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
    return actions.flatMap((each) => {
      const { node, input, answer } = this.#actions[each]!
      const taken = this.#transition(state[node]!, input)
      const steps = [this.#traceStep(node, input, taken, answer)]
      state[node] = taken.to
      const answered = taken.answers[answer]
      if (answered !== undefined) {
        const heard = this.#transition(state[answered.to]!, answered.input)
        steps.push(this.#traceStep(answered.to, answered.input, heard, -1))
        state[answered.to] = heard.to
      }
      return steps
    })
  }

  #traceStep(node: number, input: number, { sent, events }: Transition, answer: number): TraceStep {
    const leaves = sent.filter(({ message }) => answer !== -1 || !isAnswer(message)).map(({ to, message }) => `${messageText(message)} → ${to.join(' ')}`)
    const learned = events.flatMap((event) => (event.kind === 'learned' ? [`learns slot ${event.index}`] : []))
    return { node: this.#members[node]!, what: inputText(this.#inputs[input]!), then: [...leaves, ...learned] }
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
