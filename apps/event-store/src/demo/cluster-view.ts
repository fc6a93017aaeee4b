/** What each node says, asked at that node and no other, over HTTP: a client goes where it is answered, so it cannot tell one from another. */
import { z } from 'zod'
import { clusterAnswer, type ClusterAnswer } from '../http/cluster-answer.ts'
import type { ObservedEvent } from './compare-histories.ts'
import { DemoError } from './demo-error.ts'

const readMillisecondsMax = 15_000
const pageEvents = 4096

const pageSchema = z.object({
  events: z.array(
    z.strictObject({
      stream: z.string(),
      revision: z.int(),
      position: z.int(),
      id: z.string(),
      type: z.string(),
      data: z.unknown(),
      metadata: z.unknown(),
      tags: z.array(z.string()),
      recordedAt: z.string(),
    }),
  ),
})
export class ClusterView {
  readonly urls: readonly string[]
  readonly #signal: AbortSignal

  /** @param signal ends reading, with its reason */
  constructor(urls: readonly string[], signal: AbortSignal) {
    this.urls = urls
    this.#signal = signal
  }

  /** What a node says of the cluster; undefined if it does not answer. */
  async status(url: string): Promise<ClusterAnswer | undefined> {
    try {
      const response = await fetch(new URL('/cluster', url), { signal: AbortSignal.timeout(2_000) })
      return clusterAnswer.parse(await response.json())
    } catch (error) {
      if (error instanceof z.ZodError) throw new DemoError(`GET /cluster at ${url} is not what it must be: ${error.message}`)
      return undefined // down, or too busy just now
    }
  }

  /** The position of the last event that this node has applied; undefined if it does not answer. */
  async position(url: string): Promise<number | undefined> {
    const status = await this.status(url)
    return status?.nodes.find(({ id }) => id === status.id)?.position ?? undefined
  }

  async isReady(url: string): Promise<boolean> {
    try {
      const response = await fetch(new URL('/health/ready', url), { signal: AbortSignal.timeout(2_000) })
      await response.arrayBuffer()
      return response.status === 200
    } catch {
      return false // not listening yet
    }
  }

  /** Everything that this node's own store holds below `path`, `/events` or `/streams/…`, page by page until one is empty. */
  async readAll(url: string, path: string): Promise<ObservedEvent[]> {
    const all: ObservedEvent[] = []
    for (;;) {
      this.#signal.throwIfAborted()
      const last = all.at(-1)
      const from = last === undefined ? 0 : (path === '/events' ? last.position : last.revision) + 1
      const query = `?consistency=local&direction=forward&limit=${pageEvents}&from=${from}`
      const response = await fetch(url + path + query, { signal: AbortSignal.timeout(readMillisecondsMax) })
      const text = await response.text()
      if (response.status !== 200) throw new DemoError(`GET ${url}${path}${query} answered ${response.status} ${text}`)
      const { events } = pageSchema.parse(JSON.parse(text))
      if (events.length === 0) return all
      for (const event of events) all.push(event)
    }
  }
}
