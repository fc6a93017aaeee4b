/**
 * What a careful client of a cluster does. Nodes are equal; each caller has one that it prefers. A node that does not answer, or
 * says 503, is left alone for a moment and the request goes to another one with the same event ids and the same Idempotency-Key:
 * whether the first attempt was appended or not, the answer is the one of the first time.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { Acknowledgement, ObservedEvent } from './compare-histories.ts'
import { DemoError } from './demo-error.ts'
import type { FlightEvent } from './flights.ts'

/** A node says 503 within 4 s. */
const answerMillisecondsMax = 6_000
const readMillisecondsMax = 15_000
const avoidMilliseconds = 500
/** One append, all its attempts. */
const appendMillisecondsMax = 60_000
const pageEvents = 4096

const appendedSchema = z.object({ revision: z.int(), position: z.int() })
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
const statusSchema = z.object({
  id: z.string(),
  leader: z.string().nullable(),
  nodes: z.array(z.object({ id: z.string(), url: z.string(), pid: z.int().nullable(), state: z.string(), position: z.int().nullable() })),
})

export type ClusterStatus = z.infer<typeof statusSchema>

export interface AppendRequest {
  readonly stream: string
  /** The revision of the last event that is there, or `noStream`. */
  readonly expected: number | 'noStream'
  readonly events: readonly FlightEvent[]
}

export class ClusterClient {
  readonly urls: readonly string[]
  readonly #signal: AbortSignal
  readonly #avoidUntil: number[]
  #attemptsRepeated = 0

  /** @param signal ends waiting and trying again, with its reason */
  constructor(urls: readonly string[], signal: AbortSignal) {
    this.urls = urls
    this.#signal = signal
    this.#avoidUntil = urls.map(() => 0)
  }

  /** Attempts that ended without an answer or with 503, and were made again elsewhere. */
  get attemptsRepeated(): number {
    return this.#attemptsRepeated
  }

  /** @param home index of the node that this caller prefers. @throws DemoError for a refusal, which a single writer must never see */
  async append(request: AppendRequest, home: number): Promise<Acknowledgement> {
    const { stream, expected, events } = request
    const path = `/streams/${encodeURIComponent(stream)}?expected=${expected}`
    const headers = { 'content-type': 'application/json', 'idempotency-key': `demo-${events[0]?.id}` }
    const body = JSON.stringify(events)
    const deadline = performance.now() + appendMillisecondsMax
    for (let last = 'nothing was tried'; performance.now() < deadline; this.#attemptsRepeated++) {
      const node = await this.#pick(home)
      const url = this.urls[node] ?? ''
      try {
        const response = await fetch(url + path, { method: 'POST', headers, body, signal: AbortSignal.timeout(answerMillisecondsMax) })
        const text = await response.text()
        if (response.status === 201) return { stream, ...appendedSchema.parse(JSON.parse(text)) }
        last = `${url} answered ${response.status} ${text}`
        if (response.status !== 503) throw new DemoError(`an append to ${stream} with expected=${expected} was refused: ${last}`)
      } catch (error) {
        if (error instanceof DemoError || error instanceof z.ZodError || error instanceof SyntaxError) throw error
        last = `${url}: ${reasonOf(error)}`
      }
      this.#avoidUntil[node] = performance.now() + avoidMilliseconds
      if (performance.now() >= deadline)
        throw new DemoError(`an append to ${stream} found no node for ${appendMillisecondsMax / 1000} s; at last ${last}`)
    }
    throw new DemoError(`an append to ${stream} found no node for ${appendMillisecondsMax / 1000} s`)
  }

  /** What a node says of the cluster; undefined if it does not answer. */
  async status(url: string): Promise<ClusterStatus | undefined> {
    try {
      const response = await fetch(new URL('/cluster', url), { signal: AbortSignal.timeout(2_000) })
      return statusSchema.parse(await response.json())
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

  /** The preferred node unless it is avoided just now; waits while all are. */
  async #pick(home: number): Promise<number> {
    for (;;) {
      this.#signal.throwIfAborted()
      const now = performance.now()
      for (let offset = 0; offset < this.urls.length; offset++) {
        const node = (home + offset) % this.urls.length
        if ((this.#avoidUntil[node] ?? 0) <= now) return node
      }
      await sleep(20)
    }
  }
}

/** `fetch failed` hides why in the cause. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error
  return cause instanceof Error ? `${message} (${cause.message})` : message
}
