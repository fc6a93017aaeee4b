/**
 * Which nodes there are, which of them to talk to, and the connections to them. Any node that was named is enough: the first that
 * greets tells the others and the leader. One address is dialled at a time, the next a tick later or when it fails, and those that
 * fail rest longer each time. Appends and linearizable reads go to the leader when it is connected, else to any node that serves; so
 * a leader that dies costs no more than the next node's greeting. A connection that nobody needed for a while is closed, but the last.
 */
import { AddressBook, restTicks, restTicksMax, type Address } from './address-book.ts'
import type { ClientCounters, ConnectionStatus } from './client-status.ts'
import { NodeConnection, type ConnectionOwner, type ConnectionRequest, type Topology } from './node-connection.ts'
import { tickMilliseconds, type Ticker } from './ticker.ts'

export interface ConnectionNeeds {
  /** Whether anything wants a node. */
  readonly any: boolean
  /** Whether something was appended lately, which is quickest at the leader. */
  readonly leader: boolean
}

const suspectTicks = 1000 / tickMilliseconds
const idleTicksMax = 10_000 / tickMilliseconds

export class ClusterConnections implements ConnectionOwner {
  readonly #ticker: Ticker
  readonly #counters: ClientCounters
  readonly #needs: () => ConnectionNeeds
  readonly #onChange: (servesAgain: boolean) => void
  readonly #addresses: AddressBook
  #cluster: string | undefined
  #leader: string | undefined
  /** Topologies so far. */
  #told = 0
  #servingTarget: NodeConnection | undefined
  #lastProblem: string | undefined
  #isClosed = false

  constructor(
    nodes: readonly string[],
    ticker: Ticker,
    counters: ClientCounters,
    needs: () => ConnectionNeeds,
    /** Something may be possible now that was not before. `servesAgain`: what rests because a node could not take it need not rest on. */
    onChange: (servesAgain: boolean) => void,
  ) {
    this.#ticker = ticker
    this.#counters = counters
    this.#needs = needs
    this.#onChange = onChange
    this.#addresses = new AddressBook(nodes)
  }

  get cluster(): string | undefined {
    return this.#cluster
  }

  get leader(): string | undefined {
    return this.#leader
  }

  get lastProblem(): string | undefined {
    return this.#lastProblem
  }

  get isEmpty(): boolean {
    return this.#addresses.connections().length === 0
  }

  /** Where appends and linearizable reads go; undefined while no node is known to take them. */
  serving(): NodeConnection | undefined {
    if (this.#servingTarget === undefined) this.dial()
    return this.#servingTarget
  }

  /** Any node that answers, rather one that serves, and rather one that is not busy with leading. */
  any(): NodeConnection | undefined {
    const { now } = this.#ticker
    const best = this.#best(
      (connection) => (connection.isServing ? 4 : 0) + (connection.suspectUntil <= now ? 2 : 0) + (this.#isLeader(connection) ? 0 : 1),
    )
    if (best === undefined) this.dial()
    return best
  }

  /** The node could not take a request: others are asked first for a while. */
  suspect(connection: NodeConnection, problem: string): void {
    this.#lastProblem = `${connection.url}: ${problem}`
    connection.suspectUntil = this.#ticker.now + suspectTicks
    this.#refresh()
    this.dial()
  }

  /** Connects to one more node if that is of use now. */
  dial(): void {
    if (this.#isClosed || this.#isSatisfied()) return
    const leader = this.#leader
    const free = this.#addresses.all().filter((address) => this.#addresses.isFree(address, this.#ticker.now))
    const isDialling = this.#addresses.all().some(({ connection }) => connection !== undefined && !connection.isOpen)
    const next = free.find(({ node }) => node !== undefined && node === leader) ?? (isDialling ? undefined : free[0])
    if (next !== undefined) this.#connect(next)
  }

  tick(): void {
    for (const connection of this.#addresses.connections()) connection.tick()
    this.#refresh()
    this.#closeIdle()
    if (this.#isClosed || this.#isSatisfied()) return
    this.dial()
    // One more beside those that have not answered yet: the first may be a node that hangs.
    const another = this.#addresses.all().find((address) => this.#addresses.isFree(address, this.#ticker.now))
    if (another !== undefined && this.#servingTarget === undefined) this.#connect(another)
  }

  close(): void {
    this.#isClosed = true
    for (const connection of this.#addresses.connections()) connection.close()
  }

  describe(): readonly ConnectionStatus[] {
    return this.#addresses.connections().map((connection) => ({
      url: connection.url,
      node: connection.topology?.node,
      state: connection.isOpen ? ('open' as const) : ('connecting' as const),
      isServing: connection.isServing,
      isLeader: this.#isLeader(connection),
      openRequests: connection.openRequests,
    }))
  }

  onTopology(connection: NodeConnection, topology: Topology, before: Topology | undefined): void {
    const address = this.#addresses.get(connection.url)
    if (address?.connection !== connection) return
    this.#cluster ??= topology.cluster
    if (topology.cluster !== this.#cluster) {
      return this.#drop(
        address,
        `${connection.url}: it belongs to cluster ${topology.cluster}, not ${this.#cluster}: mend the list of nodes`,
      )
    }
    const twin = this.#addresses
      .connections()
      .find((other) => other !== connection && other.isOpen && other.topology?.node === topology.node)
    address.node = topology.node
    address.failures = 0
    if (twin !== undefined) return this.#drop(address, undefined)
    connection.toldAt = ++this.#told
    this.#lastProblem = this.#addresses.learn(topology.members) ?? this.#lastProblem
    const servesAgain = topology.isServing && before?.isServing !== true
    if (servesAgain) connection.suspectUntil = 0
    this.#changed(servesAgain)
  }

  onClosed(connection: NodeConnection, problem: string, requests: readonly ConnectionRequest[]): void {
    const address = this.#addresses.get(connection.url)
    // Otherwise it was dropped as of no use.
    if (address?.connection === connection) {
      address.connection = undefined
      if (!this.#isClosed) this.#onLost(address, problem, connection.topology !== undefined)
    }
    this.#refresh()
    for (const request of requests) request.onLost()
    this.#changed(false)
  }

  #connect(address: Address): void {
    this.#ticker.start()
    try {
      address.connection = new NodeConnection(address.url, this, this.#counters)
    } catch (error) {
      // A page served over https may not reach a node without, for instance.
      this.#onLost(address, `${address.url}: ${(error as Error).message}`, false)
    }
  }

  #onLost(address: Address, problem: string, hadGreeted: boolean): void {
    if (hadGreeted) this.#counters.connectionsLost++
    else {
      this.#counters.connectionsFailed++
      address.failures++
    }
    address.restsUntil = this.#ticker.now + restTicks(address.failures)
    this.#lastProblem = problem
  }

  /** Closes a connection that must not be used, or is of no use. */
  #drop(address: Address, problem: string | undefined): void {
    const { connection } = address
    if (problem !== undefined) {
      this.#lastProblem = problem
      this.#counters.connectionsFailed++
      address.failures++
    }
    address.restsUntil = this.#ticker.now + restTicksMax
    address.connection = undefined
    connection?.close()
  }

  /** Whether nothing would be better with one more connection. */
  #isSatisfied(): boolean {
    const needs = this.#needs()
    if (!needs.any && !needs.leader) return true
    const target = this.#servingTarget
    if (target === undefined || target.suspectUntil > this.#ticker.now) return false
    return !needs.leader || this.#leader === undefined || this.#isLeader(target)
  }

  #closeIdle(): void {
    for (const address of this.#addresses.all()) {
      const { connection } = address
      if (connection === undefined || connection.idleTicks < idleTicksMax || connection === this.#servingTarget) continue
      if (this.#addresses.connections().length > 1) this.#drop(address, undefined)
    }
  }

  #isLeader({ topology }: NodeConnection): boolean {
    return this.#leader !== undefined && topology?.node === this.#leader
  }

  #changed(servesAgain: boolean): void {
    this.#refresh()
    this.dial()
    this.#onChange(servesAgain)
  }

  #refresh(): void {
    const { now } = this.#ticker
    // The newest word of those that serve; a node that is cut off knows no better.
    const teller = this.#best((connection) => connection.toldAt + (connection.isServing ? this.#told : 0))
    if (teller !== undefined) this.#leader = teller.topology?.leader
    this.#servingTarget = this.#best((connection) =>
      connection.isServing ? 1 + (connection.suspectUntil <= now ? 2 : 0) + (this.#isLeader(connection) ? 1 : 0) : -1,
    )
  }

  /** The open connection with the highest score; none below 0. */
  #best(score: (connection: NodeConnection) => number): NodeConnection | undefined {
    let best: NodeConnection | undefined
    let highest = -1
    for (const { connection } of this.#addresses.all()) {
      if (connection?.isOpen !== true) continue
      const is = score(connection)
      if (is > highest) [best, highest] = [connection, is]
    }
    return best
  }
}
