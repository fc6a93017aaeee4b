/**
 * All that was ever sent, and all that ever happened, as sets that only grow: a message in the pool can be delivered at any
 * time, any number of times, or never. That is loss, duplication, reordering and delay in one. Sets are interned: each has a
 * number, and what is computed for it is computed once.
 */
import type { PaxosMessage } from '@synod/consensus-paxos'
import type { NodeId } from '@synod/transport'
import { compareBallots, type SpecificationEvent } from '../specification/specification-event.ts'

export type Item =
  | { readonly kind: 'message'; readonly from: NodeId; readonly to: readonly NodeId[]; readonly message: PaxosMessage }
  | { readonly kind: 'event'; readonly event: SpecificationEvent }

export interface Pool {
  readonly id: number
  /** Numbers of items, ascending, each a character. */
  readonly items: string
  readonly ballotCount: number
  /** In the order of the ballots each belongs to a node with a higher name. */
  readonly areOwnersAscending: boolean
  /** What was computed for it; may be forgotten, and is computed again. */
  cache: PoolCache | undefined
}

interface PoolCache {
  /** Batch of items → the pool with them. */
  readonly grown: Map<number, Pool>
  /** Batch of items → how many steps of the specification adding it was found to be. */
  readonly steps: Map<number, number>
  /** Pairs of a node and an input that is a delivery to it. */
  deliveries: Int32Array | undefined
  /** It is of use since. */
  usedAt: number
}

/** An item's number is a character. */
const itemsMax = 0xffff

export class MessagePools {
  readonly empty: Pool
  readonly #items: Item[] = []
  readonly #itemNumbers = new Map<string, number>()
  readonly #batches: (readonly number[])[] = []
  readonly #batchNumbers = new Map<string, number>()
  readonly #pools = new Map<string, Pool>()
  /** Those that have a cache. */
  #cached: Pool[] = []
  #depth = 0

  constructor() {
    this.empty = this.#pool([])
    this.batch([])
  }

  /** Of a pool that is used at this depth. */
  cache(pool: Pool): PoolCache {
    if (pool.cache === undefined) {
      pool.cache = { grown: new Map(), steps: new Map(), deliveries: undefined, usedAt: this.#depth }
      this.#cached.push(pool)
    }
    pool.cache.usedAt = this.#depth
    return pool.cache
  }

  /** The next level of the search begins: what the last one did not use is forgotten. */
  deepen(): void {
    this.#depth++
    const kept: Pool[] = []
    for (const pool of this.#cached) {
      if (pool.cache!.usedAt < this.#depth - 2) pool.cache = undefined
      else kept.push(pool)
    }
    this.#cached = kept
  }

  /** Numbers of its items. */
  numbers(pool: Pool): number[] {
    return Array.from({ length: pool.items.length }, (_, at) => pool.items.charCodeAt(at))
  }

  get count(): number {
    return this.#pools.size
  }

  item(number: number): Item {
    return this.#items[number]!
  }

  /** The number of an item; equal items have one. */
  number(item: Item, text: string): number {
    const known = this.#itemNumbers.get(text)
    if (known !== undefined) return known
    if (this.#items.length === itemsMax) throw new Error(`more than ${itemsMax} different messages and events: take smaller bounds`)
    this.#items.push(item)
    this.#itemNumbers.set(text, this.#items.length - 1)
    return this.#items.length - 1
  }

  /** The number of a set of items; 0 for none. */
  batch(items: readonly number[]): number {
    const sorted = [...new Set(items)].toSorted((left, right) => left - right)
    const text = sorted.join()
    const known = this.#batchNumbers.get(text)
    if (known !== undefined) return known
    this.#batches.push(sorted)
    this.#batchNumbers.set(text, this.#batches.length - 1)
    return this.#batches.length - 1
  }

  add(pool: Pool, batch: number): Pool {
    if (batch === 0) return pool
    const { grown } = this.cache(pool)
    const known = grown.get(batch)
    if (known !== undefined) return known
    const items = this.numbers(pool)
    const has = new Set(items)
    const fresh = this.#batches[batch]!.filter((item) => !has.has(item))
    const after = fresh.length === 0 ? pool : this.#pool([...items, ...fresh].toSorted((left, right) => left - right))
    grown.set(batch, after)
    return after
  }

  events(pool: Pool): SpecificationEvent[] {
    return this.numbers(pool).flatMap((number) => {
      const item = this.item(number)
      return item.kind === 'event' ? [item.event] : []
    })
  }

  #pool(items: readonly number[]): Pool {
    const text = String.fromCharCode(...items)
    const known = this.#pools.get(text)
    if (known !== undefined) return known
    const starts = items
      .map((number) => this.item(number))
      .flatMap((item) => (item.kind === 'event' && item.event.kind === '1a' ? [item.event.ballot] : []))
    const ballots = starts.toSorted(compareBallots).filter((ballot, at, all) => at === 0 || compareBallots(all[at - 1]!, ballot) !== 0)
    const areOwnersAscending = ballots.every(({ node }, at) => at === 0 || ballots[at - 1]!.node < node)
    const pool: Pool = { id: this.#pools.size, items: text, ballotCount: ballots.length, areOwnersAscending, cache: undefined }
    this.#pools.set(text, pool)
    return pool
  }
}
