/** What `status` shows: `GET /cluster` of whichever node answers first, and each node's own count of appends. */
import { clusterAnswer, type ClusterAnswer } from '../http/cluster-answer.ts'
import { NoNodeError } from './command-errors.ts'

export interface NodeStatusJson {
  readonly id: string
  readonly url: string
  /** `replica` in a protocol without a leader; null when the node cannot be reached. */
  readonly role: 'leader' | 'follower' | 'replica' | null
  readonly state: string
  readonly pid: number | null
  readonly decidedSlot: number | null
  readonly appliedSlot: number | null
  readonly position: number | null
  /** Slots: what the furthest node knows to be decided, and this one has not applied. */
  readonly lag: number | null
  /** Acknowledged by this node, since the look before. */
  readonly appendsPerSecond: number | null
}

export interface ClusterStatusJson {
  readonly at: string
  readonly cluster: string
  readonly leader: string | null
  readonly protocol: string
  readonly mode: string
  readonly transport: string
  readonly epoch: number
  readonly nodes: readonly NodeStatusJson[]
}

const answerMilliseconds = 2000
const appendsCounted = /^synod_append_seconds_count\{[^}]*outcome="appended"[^}]*\} (\d+)$/m

export class ClusterStatus {
  readonly #urls: readonly string[]
  readonly #signal: AbortSignal
  /** Of each node's process: when, and how many appends until then. */
  #before = new Map<string, { readonly at: number; readonly appends: number }>()

  constructor(urls: readonly string[], signal: AbortSignal) {
    this.#urls = urls
    this.#signal = signal
  }

  /** @throws NoNodeError */
  async look(): Promise<ClusterStatusJson> {
    const answer = await this.#describe()
    const { cluster, leader, protocol, mode, transport, epoch } = answer
    const rates = await Promise.all(answer.nodes.map((node) => this.#rate(node.url, node.pid)))
    this.#before = new Map(rates.flatMap(({ key, seen }) => (seen === undefined ? [] : [[key, seen]])))
    const decided = Math.max(...answer.nodes.map(({ decidedSlot }) => decidedSlot ?? 0))
    const nodes = answer.nodes.map((node, index) => ({
      id: node.id,
      url: node.url,
      role:
        node.pid === null
          ? null
          : leader === null
            ? ('replica' as const)
            : node.id === leader
              ? ('leader' as const)
              : ('follower' as const),
      state: node.state,
      pid: node.pid,
      decidedSlot: node.decidedSlot,
      appliedSlot: node.appliedSlot,
      position: node.position,
      lag: node.appliedSlot === null ? null : decided - node.appliedSlot,
      appendsPerSecond: rates[index]?.perSecond ?? null,
    }))
    return { at: new Date().toISOString(), cluster, leader, protocol, mode, transport, epoch, nodes }
  }

  async #describe(): Promise<ClusterAnswer> {
    const asked = this.#urls.map(async (url) => clusterAnswer.parse(await (await this.#get(`${url}/cluster`)).json()))
    try {
      return await Promise.any(asked)
    } catch (error) {
      this.#signal.throwIfAborted()
      const [first] = (error as AggregateError).errors as readonly Error[]
      const why = (first?.cause as Error | undefined)?.message ?? first?.message
      throw new NoNodeError(`no node answers at ${this.#urls.join(', ')} (${why}): name others with --nodes, or start them`, {
        cause: error,
      })
    }
  }

  /** Null at first, and for a node that was started again meanwhile. */
  async #rate(url: string, pid: number | null): Promise<{ key: string; seen?: { at: number; appends: number }; perSecond: number | null }> {
    const key = `${url} ${pid}`
    if (pid === null) return { key, perSecond: null }
    try {
      const page = await (await this.#get(new URL('/metrics', url).href)).text()
      const seen = { at: performance.now(), appends: Number(appendsCounted.exec(page)?.[1] ?? 0) }
      const before = this.#before.get(key)
      const perSecond = before === undefined ? null : ((seen.appends - before.appends) * 1000) / (seen.at - before.at)
      return { key, seen, perSecond: perSecond === null ? null : Math.round(perSecond * 10) / 10 }
    } catch {
      return { key, perSecond: null } // it is shown as unknown
    }
  }

  #get(url: string): Promise<Response> {
    return fetch(url, { signal: AbortSignal.any([this.#signal, AbortSignal.timeout(answerMilliseconds)]) })
  }
}
