/**
 * The log above the slots, (B) of the specification: a node applies what it knows decided, in the order of slots and without a gap,
 * and what it has applied is on its disk. Sessions are judged by `checkers/log-model.ts`, on the whole decided log.
 */
import type { Index } from '@synod/log'
import type { NodeId } from '@synod/transport'
import type { SlotReplay } from './slot-replay.ts'
import type { HeldSlot } from './specification-event.ts'

interface NodeLog {
  /** Known decided, in this life: a prefix, and what is above it. */
  learnedThrough: Index
  readonly learned: Set<Index>
  /** By its machine, in this life; undefined until it applied something. */
  last: Index | undefined
  /** In any life. */
  high: Index
}

export class LogReplay {
  readonly #slot: (index: Index) => SlotReplay | undefined
  readonly #nodes = new Map<NodeId, NodeLog>()
  #chosenThrough: Index = 0
  #applied = 0

  constructor(slot: (index: Index) => SlotReplay | undefined) {
    this.#slot = slot
  }

  get applied(): number {
    return this.#applied
  }

  /** Every slot up to this one has a chosen value. */
  chosenThrough(index: Index): boolean {
    while (this.#chosenThrough < index && this.#slot(this.#chosenThrough + 1)?.isChosen === true) this.#chosenThrough++
    return this.#chosenThrough >= index
  }

  learn(node: NodeId, index: Index): void {
    this.#node(node).learned.add(index)
  }

  /** It knows the decision. */
  knows(name: NodeId, index: Index): boolean {
    const node = this.#node(name)
    return index <= node.learnedThrough || node.learned.has(index)
  }

  /** Why not, when it is not allowed. */
  apply(name: NodeId, index: Index): string | undefined {
    const node = this.#node(name)
    if (!this.knows(name, index)) return 'it does not know that slot decided'
    if (node.last === undefined ? index > node.high + 1 : index !== node.last + 1)
      return `it had applied slots up to ${node.last ?? node.high}, and this is not the next one`
    node.last = index
    node.high = Math.max(node.high, index)
    this.#applied++
    return undefined
  }

  /** The machine is built again, from any state that it had; the decided prefix is known, the rest has to be learned again. */
  restart(name: NodeId, decidedThrough: Index, slots: readonly HeldSlot[]): string | undefined {
    const node = this.#node(name)
    const held = new Map(slots.map(({ index, value }) => [index, value]))
    for (let index = decidedThrough + 1; index <= node.high; index++) {
      const value = held.get(index)
      if (value === undefined || this.#slot(index)?.hasChosen(value) !== true)
        return `it had applied slot ${index}, which is not on its disk`
    }
    node.learnedThrough = decidedThrough
    node.learned.clear()
    node.last = undefined
    return undefined
  }

  #node(name: NodeId): NodeLog {
    let node = this.#nodes.get(name)
    if (node === undefined) {
      node = { learnedThrough: 0, learned: new Set(), last: undefined, high: 0 }
      this.#nodes.set(name, node)
    }
    return node
  }
}
