/** Where nodes may be: the addresses that the caller named, for good, and those that nodes tell of each other, while they do. */
import type { Member } from '@synod/client-protocol'
import { InvalidArgumentError } from './client-error.ts'
import type { NodeConnection } from './node-connection.ts'
import { toNode } from './options.ts'
import { tickMilliseconds } from './ticker.ts'

export interface Address {
  readonly url: string
  /** Named by the caller. */
  readonly isSeed: boolean
  /** The id of the node that answered there last, or that others say is there. */
  node: string | undefined
  failures: number
  /** Not dialled again before this tick. */
  restsUntil: number
  connection: NodeConnection | undefined
}

/** Of what nodes tell of each other; a cluster has 15 voters at most. */
const membersMax = 64
export const restTicksMax = 2000 / tickMilliseconds

export class AddressBook {
  readonly #addresses = new Map<string, Address>()

  constructor(nodes: readonly string[]) {
    // Not all clients shall begin with the same node.
    for (const url of shuffle(nodes)) this.#add(url, true)
  }

  get(url: string): Address | undefined {
    return this.#addresses.get(url)
  }

  all(): readonly Address[] {
    return [...this.#addresses.values()]
  }

  connections(): NodeConnection[] {
    return this.all().flatMap(({ connection }) => (connection === undefined ? [] : [connection]))
  }

  /** Whether it may be dialled now, and its node is not connected under another address. */
  isFree(address: Address, now: number): boolean {
    if (address.connection !== undefined || address.restsUntil > now) return false
    return address.node === undefined || !this.connections().some(({ isOpen, topology }) => isOpen && topology?.node === address.node)
  }

  /** What a node says of all; returns a problem to tell. */
  learn(members: readonly Member[]): string | undefined {
    const urls = new Map<string, string>()
    let problem: string | undefined
    for (const { id, url } of members.slice(0, membersMax)) {
      try {
        urls.set(toNode(url), id)
      } catch (error) {
        if (!(error instanceof InvalidArgumentError)) throw error
        problem = `node ${id} is said to be at ${JSON.stringify(url)}, which is no URL`
      }
    }
    for (const [url, id] of urls) (this.#addresses.get(url) ?? this.#add(url, false)).node = id
    for (const address of this.#addresses.values()) {
      if (!address.isSeed && address.connection === undefined && !urls.has(address.url)) this.#addresses.delete(address.url)
    }
    return problem
  }

  #add(url: string, isSeed: boolean): Address {
    const address: Address = { url, isSeed, node: undefined, failures: 0, restsUntil: 0, connection: undefined }
    this.#addresses.set(url, address)
    return address
  }
}

/** Longer each time, and not the same for all: 1, 2, 4, 8 ticks at most, half of it by chance. */
export function restTicks(failures: number): number {
  const ticks = Math.min(2 ** Math.max(0, failures - 1), restTicksMax)
  return Math.ceil(ticks / 2 + (Math.random() * ticks) / 2)
}

function shuffle<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ item }) => item)
}
