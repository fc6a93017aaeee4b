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
import type { NodeInput } from './node-input.ts'
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
}

export class NodeTable {
  readonly #bounds: Bounds
  readonly #members: readonly NodeId[]
  readonly #pools: MessagePools
  readonly #known: Known[] = []
  readonly #numbers = new Map<string, number>()
  readonly #inputs: NodeInput[] = []
  readonly #inputNumbers = new Map<string, number>()

  constructor(bounds: Bounds, members: readonly NodeId[], pools: MessagePools) {
    this.#bounds = bounds
    this.#members = members
    this.#pools = pools
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
    const step = attempt(known.node, this.#inputs[input]!)
    const after = step.after === undefined ? known.node : known.node.with(step.after)
    const items: number[] = []
    const answers: { to: number; input: number }[] = []
    const from = known.node.id
    if (step.broken === undefined) {
      for (const { to, message } of step.sent) {
        if (isAnswer(message))
          answers.push(...to.map((node) => ({ to: this.#members.indexOf(node), input: this.input({ kind: 'message', from, message }) })))
        else items.push(this.#pools.number({ kind: 'message', from, to, message }, `${from}>${to.join()} ${this.#text(message)}`))
      }
    }
    for (const event of step.events) items.push(this.#pools.number({ kind: 'event', event }, JSON.stringify(event)))
    const transition = {
      to: this.number(after, this.#inputs[input]!.kind !== 'restart' && known.isSpent),
      batch: this.#pools.batch(items),
      events: step.events,
      sent: step.sent,
      answers,
      misses: this.#bounds.protocol === 'paxos' ? missed(this.#inputs[input]!, after) : undefined,
      isBeyond: step.isBeyond,
      broken: step.broken,
    }
    known.transitions[input] = transition
    return transition
  }

  number(node: ExploredNode, areAllBegun: boolean): number {
    const isSpent = areAllBegun || node.rounds >= this.#bounds.rounds
    const text = hash('sha1', `${isSpent}${node.text(isSpent)}`, 'base64')
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    this.#known.push({ node, isSpent, spent: undefined, transitions: [] })
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
