/**
 * The nodes that states are made of, each kept once under a number, and what each input does to each: the core runs once for
 * a node and an input, however many states have that node.
 */
import { hash } from 'node:crypto'
import type { PaxosMessage } from '@synod/consensus-paxos'
import type { NodeId } from '@synod/transport'
import type { SpecificationEvent } from '../specification/specification-event.ts'
import type { Bounds } from './bounds.ts'
import type { ExploredNode } from './explored-node.ts'
import type { MessagePools } from './message-pool.ts'
import { inputText, type NodeInput } from './node-input.ts'
import type { NodeData, Outcome, Sent } from './node-stepping.ts'

export interface Transition {
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

export interface Known {
  readonly node: ExploredNode
  /** It begins no more rounds, since all that are allowed were begun. */
  readonly isSpent: boolean
  /** The number of the same node when it is spent. */
  spent: number | undefined
  readonly transitions: (Transition | undefined)[]
  /** Others that were taken for it, by their exact texts; only where that is checked. */
  readonly merged: Map<string, ExploredNode> | undefined
}

/** That many of those that are taken for one node are compared with it: with the clocks they would be without end. */
const mergedMax = 4

export class NodeTable {
  readonly #bounds: Bounds
  readonly #members: readonly NodeId[]
  readonly #pools: MessagePools
  readonly #known: Known[] = []
  readonly #numbers = new Map<string, number>()
  readonly #inputs: NodeInput[] = []
  readonly #inputNumbers = new Map<string, number>()
  readonly #checksMerged: boolean
  /** Still to be compared: a node that was taken for this one, and an input of it. */
  readonly #unchecked: { readonly number: number; readonly node: ExploredNode; readonly input: number }[] = []
  #mergedCount = 0

  constructor(bounds: Bounds, members: readonly NodeId[], pools: MessagePools, checksMerged: boolean) {
    this.#bounds = bounds
    this.#members = members
    this.#pools = pools
    this.#checksMerged = checksMerged
  }

  /** Nodes that were taken for others, and were found to do the same. */
  get mergedCount(): number {
    return this.#mergedCount
  }

  /** Of all nodes: equal for explorations that told the same ones apart. */
  get textHash(): string {
    return hash('sha256', [...this.#numbers.keys()].toSorted().join('\n'))
  }

  get count(): number {
    return this.#known.length
  }

  at(number: number): Known {
    return this.#known[number]!
  }

  inputAt(input: number): NodeInput {
    return this.#inputs[input]!
  }

  spent(number: number): number {
    const known = this.at(number)
    known.spent ??= known.isSpent ? number : this.number(known.node, true)
    return known.spent
  }

  /** Computed once for each pair, by the real core. */
  transition(number: number, input: number): Transition {
    const known = this.#known[number]!
    const before = known.transitions[input]
    if (before !== undefined) return before
    const transition = this.#compute(known, known.node, input)
    known.transitions[input] = transition
    for (const node of known.merged?.values() ?? []) this.#unchecked.push({ number, node, input })
    return transition
  }

  /** What is taken for a node does what that node does, for each input that it got. Throws where it does not. */
  checkMerged(): void {
    for (let next = this.#unchecked.pop(); next !== undefined; next = this.#unchecked.pop()) {
      const known = this.#known[next.number]!
      const [is, expected] = [this.#compute(known, next.node, next.input), known.transitions[next.input]!]
      const isSame = is.to === expected.to && is.batch === expected.batch && JSON.stringify(is.answers) === JSON.stringify(expected.answers)
      if (!isSame || is.misses !== expected.misses || is.isBeyond !== expected.isBeyond || is.broken !== expected.broken)
        throw new Error(
          `two nodes that are told alike differ when one ${inputText(this.#inputs[next.input]!)}: ${known.node.exactText()}\n${next.node.exactText()}`,
        )
    }
  }

  number(node: ExploredNode, areAllBegun: boolean): number {
    const isSpent = areAllBegun || node.rounds >= this.#bounds.rounds
    const text = hash('sha1', `${isSpent}${node.text(isSpent)}`, 'base64')
    const known = this.#numbers.get(text)
    if (known !== undefined) {
      this.#merge(known, node)
      return known
    }
    const merged = this.#checksMerged ? new Map([[node.exactText(), node]]) : undefined
    this.#known.push({ node, isSpent, spent: undefined, transitions: [], merged })
    this.#numbers.set(text, this.#known.length - 1)
    return this.#known.length - 1
  }

  input(input: NodeInput): number {
    const text = input.kind === 'message' ? `${input.from} ${this.#text(input.message)}` : JSON.stringify(input)
    const known = this.#inputNumbers.get(text)
    if (known !== undefined) return known
    this.#inputs.push(input)
    this.#inputNumbers.set(text, this.#inputs.length - 1)
    return this.#inputs.length - 1
  }

  #compute(known: Known, node: ExploredNode, input: number): Transition {
    const step = attempt(node, this.#inputs[input]!)
    const after = step.after === undefined ? node : node.with(step.after)
    const items: number[] = []
    const answers: { to: number; input: number }[] = []
    const from = node.id
    if (step.broken === undefined) {
      for (const { to, message } of step.sent) {
        if (isAnswer(message))
          answers.push(...to.map((peer) => ({ to: this.#members.indexOf(peer), input: this.input({ kind: 'message', from, message }) })))
        else items.push(this.#pools.number({ kind: 'message', from, to, message }, `${from}>${to.join()} ${this.#text(message)}`))
      }
    }
    for (const event of step.events) items.push(this.#pools.number({ kind: 'event', event }, JSON.stringify(event)))
    return {
      to: this.number(after, this.#inputs[input]!.kind !== 'restart' && known.isSpent),
      batch: this.#pools.batch(items),
      events: step.events,
      sent: step.sent,
      answers,
      misses: this.#bounds.protocol === 'paxos' ? missed(this.#inputs[input]!, after) : undefined,
      isBeyond: step.isBeyond,
      broken: step.broken,
    }
  }

  /** It differs from the one that it is taken for by what is erased. */
  #merge(number: number, node: ExploredNode): void {
    const { merged, transitions } = this.#known[number]!
    if (merged === undefined || merged.size > mergedMax) return
    const text = node.exactText()
    if (merged.has(text)) return
    merged.set(text, node)
    this.#mergedCount++
    const first = this.#known[number]!.node
    if (asked(node, this.#bounds) !== asked(first, this.#bounds))
      throw new Error(`two nodes that are told alike are asked for other things: ${text}\n${first.exactText()}`)
    transitions.forEach((_, input) => this.#unchecked.push({ number, node, input }))
  }

  #text(message: PaxosMessage): string {
    return Buffer.from(this.#known[0]!.node.core.codec.encode(message)).toString('base64')
  }
}

/** What the core itself takes for broken ends the search too. */
function attempt(node: ExploredNode, input: NodeInput): Omit<Outcome, 'after'> & { readonly after?: NodeData } {
  try {
    return node.step(input)
  } catch (error) {
    return {
      sent: [],
      events: [],
      isBeyond: false,
      broken: `the core throws: ${error instanceof Error ? error.message : String(error)}`,
    }
  }
}

/** What decides which inputs it gets: see `Search`. */
function asked({ boot, isLeader, fetchTo, valueHigh, offers, core, decided }: ExploredNode, { protocol }: Bounds): string {
  const mayOffer = protocol === 'paxos' ? `${offers > 0} ${core.decidedHigh > 0}` : isLeader && offers
  return `${boot} ${isLeader} ${fetchTo} ${valueHigh} ${mayOffer} ${[...decided.keys()].toSorted((left, right) => left - right).join()}`
}

function missed(input: NodeInput, node: ExploredNode): number | undefined {
  if (input.kind !== 'message') return undefined
  const { message } = input
  const index = message.kind === 'chosen' ? message.index : message.kind === 'ahead' ? message.decidedThrough : undefined
  return index === undefined || node.decided.has(index) ? undefined : index
}

/** It reveals no promise and no vote: delivered at once or lost. */
export function isAnswer({ kind }: PaxosMessage): boolean {
  return kind === 'nack' || kind === 'decision' || kind === 'ahead'
}
