/**
 * A cluster of hosted cores in one process and in virtual time: real runtime, real frames, memory disks that lose what was
 * not durable. The conformance suite drives it.
 */
import { PeerNetwork, type Configuration, type DecidedEntry, type Loglet, type LogStore } from '@synod/log'
import { MemoryDisk, memoryLogStore } from '@synod/log/memory'
import type { NodeId, Transport } from '@synod/transport'
import { memoryNetwork, VirtualScheduler, type MemoryNetwork } from '@synod/transport/memory'
import { hostProtocol } from '../host-protocol.ts'
import type { ProtocolDefinition } from '../protocol.ts'

export interface ClusterNode {
  readonly id: NodeId
  readonly loglet: Loglet
  /** What was delivered in this life of the node, in order. */
  readonly delivered: DecidedEntry[]
  readonly failures: Error[]
  readonly store: LogStore
  readonly transport: Transport
}

export class LogletCluster<M> {
  readonly scheduler = new VirtualScheduler()
  readonly network: MemoryNetwork
  readonly members: readonly NodeId[]
  readonly nodes = new Map<NodeId, ClusterNode>()
  readonly #definition: ProtocolDefinition<M>
  readonly #configuration: Configuration
  readonly #disks = new Map<NodeId, MemoryDisk>()
  #nonce: number

  constructor(definition: ProtocolDefinition<M>, size: number, seed: number) {
    this.#definition = definition
    this.#nonce = seed * 1000
    this.members = Array.from({ length: size }, (_, at) => `n${at + 1}`)
    this.network = memoryNetwork({ scheduler: this.scheduler, seed })
    this.#configuration = {
      cluster: '11'.repeat(16),
      epoch: 1,
      protocol: definition.name,
      protocolOptions: '{}',
      voters: this.members.map((node, at) => ({ node, incarnation: `${at}`.repeat(32) })),
    }
  }

  /** Starts all members; a leader, where there is one, is not yet known. */
  async start(): Promise<void> {
    for (const member of this.members) await this.startNode(member)
  }

  async startNode(id: NodeId): Promise<ClusterNode> {
    const voter = this.#configuration.voters.find(({ node }) => node === id)
    if (voter === undefined) throw new Error(`${id} is no member`)
    const disk = this.#disks.get(id) ?? new MemoryDisk()
    this.#disks.set(id, disk)
    const store = memoryLogStore(disk, { defer: (run) => void this.scheduler.at(this.scheduler.now() + 1, run) })
    await store.found({ node: id, incarnation: voter.incarnation, configuration: this.#configuration })
    const recovered = await store.open(id)
    const transport = this.network.transport(id, this.members)
    const failures: Error[] = []
    const onFailure = (error: Error): void => void failures.push(error)
    const nonce = ++this.#nonce
    const network = new PeerNetwork({
      transport,
      self: id,
      incarnation: voter.incarnation,
      boot: recovered.boot,
      nonce,
      configuration: this.#configuration,
      assemblyBytesMax: 64 * 1024 * 1024,
      onDoppelganger: onFailure,
    })
    const loglet = hostProtocol(this.#definition).open({
      self: id,
      configuration: this.#configuration,
      store,
      boot: recovered.boot,
      recovered: recovered.epochs.find(({ epoch }) => epoch === 1) ?? { epoch: 1, meta: new Map(), decidedThrough: 0, window: [] },
      network,
      scheduler: this.scheduler,
      seed: nonce,
      onFailure,
    })
    const node: ClusterNode = { id, loglet, delivered: [], failures, store, transport }
    this.nodes.set(id, node)
    void collect(loglet, node.delivered, failures)
    return node
  }

  /** As kill -9 and a power cut in one: what was not durable is gone, and nothing is said to anybody. */
  async crash(id: NodeId): Promise<void> {
    this.#disks.get(id)?.crash()
    const node = this.node(id)
    this.nodes.delete(id)
    await this.wait(Promise.all([node.transport.close(), node.loglet.close()]))
  }

  node(id: NodeId): ClusterNode {
    const node = this.nodes.get(id)
    if (node === undefined) throw new Error(`${id} is down`)
    return node
  }

  /** Offers until the entry is known to be decided; gives up after a minute of virtual time. */
  async decide(id: NodeId, entry: Uint8Array): Promise<void> {
    const deadline = this.scheduler.now() + 60_000
    while (this.scheduler.now() < deadline) {
      const as = await this.wait(this.node(id).loglet.offer(entry))
      if (as === 'offered') return
      await this.scheduler.run(50)
    }
    throw new Error(`an offer at ${id} was not decided within a minute`)
  }

  /** Lets virtual time run until the promise settles. */
  async wait<T>(promise: Promise<T>, forMs = 60_000): Promise<T> {
    let settled = false
    const seen = promise.finally(() => (settled = true))
    // Whoever waits gets it below; until then it is not unhandled.
    seen.catch(() => undefined)
    if (!(await this.scheduler.runUntil(() => settled, forMs))) throw new Error(`nothing came within ${forMs} ms of virtual time`)
    return seen
  }

  async until(condition: () => boolean, forMs = 60_000): Promise<void> {
    if (!(await this.scheduler.runUntil(condition, forMs)))
      throw new Error(`not so within ${forMs} ms of virtual time: ${condition.toString()}`)
  }

  /** Every live node believes that a quorum answers. */
  async ready(): Promise<void> {
    await this.until(() => [...this.nodes.values()].every(({ loglet }) => loglet.status().available))
  }

  async close(): Promise<void> {
    for (const id of this.nodes.keys()) await this.crash(id)
  }
}

async function collect(loglet: Loglet, delivered: DecidedEntry[], failures: Error[]): Promise<void> {
  try {
    for await (const batch of loglet.decided(1)) delivered.push(...batch)
  } catch (error) {
    failures.push(error instanceof Error ? error : new Error(String(error)))
  }
}
