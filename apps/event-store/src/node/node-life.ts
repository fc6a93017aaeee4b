import type { EventStore } from '@synod/events'
import type { ComposedNode, NodeCounters } from '../compose-node.ts'
import type { NodeConfig } from '../config/node-config.ts'
import { unavailable } from '../http/http-error.ts'
import type { NodeStatus, NodeView } from './node-view.ts'

/** A node from the first moment of its process to the last, as the HTTP layer sees it. */
export class NodeLife implements NodeView {
  readonly id: string
  readonly cluster: string
  readonly members: readonly { readonly id: string; readonly url: string }[]
  readonly transport: string
  readonly #config: NodeConfig
  readonly #listeners = new Set<() => void>()
  #node: Pick<ComposedNode, 'log' | 'events' | 'counters'> | undefined
  #stopping = false

  constructor(config: NodeConfig) {
    this.#config = config
    this.id = config.id
    this.cluster = config.cluster
    this.transport = config.transport.package
    this.members = Object.entries(config.peers).map(([id, { url }]) => ({ id, url }))
  }

  started(node: Pick<ComposedNode, 'log' | 'events' | 'counters' | 'onStatus'>): void {
    this.#node = node
    node.onStatus(() => this.#changed())
    this.#changed()
  }

  /** From now on new requests are refused; those under way go on. */
  stopping(): void {
    this.#stopping = true
    this.#changed()
  }

  status(): NodeStatus {
    const log = this.#node?.log.status()
    const common = { decidedSlot: log?.decided ?? 0, appliedSlot: log?.applied ?? 0, position: this.#node?.events?.position() ?? 0 }
    const { state, why } = this.#state()
    // A store that is wiped or foreign does not know this cluster's protocol: what the config file says then stands in for it.
    const { package: protocol, options } = this.#config.consensus
    return {
      state,
      ...(why !== undefined && { why }),
      ...common,
      role: log?.role === 'leader' || log?.role === 'replica' ? log.role : 'follower',
      leader: log?.leader ?? null,
      protocol: log?.protocol || protocol,
      mode: log?.mode || (typeof options.mode === 'string' ? options.mode : ''),
      epoch: log?.epoch ?? 0,
    }
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Undefined until its packages are open. */
  counters(): NodeCounters | undefined {
    return this.#node?.counters()
  }

  store(): EventStore {
    const { state, why } = this.#state()
    const events = this.#node?.events
    if (events === undefined || state === 'stopping') throw unavailable(`${this.id} is ${state}${why === undefined ? '' : `: ${why}`}`)
    return events
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }

  #state(): Pick<NodeStatus, 'state' | 'why'> {
    if (this.#stopping) return { state: 'stopping', why: 'ask another node' }
    if (this.#node === undefined) return { state: 'starting', why: 'try again in a moment' }
    const { state, why } = this.#node.log.status()
    return { state, ...(why !== undefined && { why }) }
  }
}
