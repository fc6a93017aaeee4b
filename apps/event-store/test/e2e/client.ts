/** A client as a careful service would write one: it retries with the same key, at any node, until it knows. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LocalCluster } from '@synod/event-store'

export interface ReadEvent {
  readonly stream: string
  readonly revision: number
  readonly position: number
  readonly id: string
  readonly type: string
  readonly data: unknown
}

export interface Acknowledged {
  readonly stream: string
  readonly id: string
  readonly revision: number
  readonly position: number
}

export async function appendOnce(
  url: string,
  stream: string,
  data: unknown,
  headers: Record<string, string> = {},
  id: string = randomUUID(),
): Promise<Response> {
  const body = JSON.stringify([{ id, type: 'Tested', data }])
  return fetch(`${url}/streams/${encodeURIComponent(stream)}`, { method: 'POST', body, headers, signal: AbortSignal.timeout(10_000) })
}

/** Retries for half a minute. */
export async function append(cluster: LocalCluster, stream: string, data: unknown): Promise<Acknowledged> {
  const id = randomUUID()
  const key = randomUUID()
  let last = ''
  for (let attempt = 0, deadline = performance.now() + 30_000; performance.now() < deadline; attempt++) {
    const url = cluster.urls[attempt % cluster.urls.length] ?? ''
    try {
      const response = await appendOnce(url, stream, data, { 'idempotency-key': key }, id)
      const answer = (await response.json()) as { revision: number; position: number }
      if (response.status === 201) return { stream, id, ...answer }
      last = `${response.status} ${JSON.stringify(answer)}`
      if (response.status !== 503) break
    } catch (error) {
      last = String(error) // the node died while it was asked, or is not there
    }
    await sleep(20)
  }
  throw new Error(`an append was not acknowledged: ${last}`)
}

/** Clients that append one after the other until stopped; `acknowledged` grows meanwhile. */
export function appendInBackground(
  cluster: LocalCluster,
  clients: number,
  prefix: string,
): { readonly acknowledged: Acknowledged[]; stop(): Promise<void> } {
  const acknowledged: Acknowledged[] = []
  let stopped = false
  const running = Array.from({ length: clients }, async (_, client) => {
    for (let n = 0; !stopped; n++) acknowledged.push(await append(cluster, `${prefix}-${client}`, { n }))
  })
  const all = Promise.all(running)
  all.catch(() => undefined) // told by stop
  return {
    acknowledged,
    async stop() {
      stopped = true
      await all
    },
  }
}

export async function readAll(url: string, consistency: 'local' | 'linearizable' = 'local'): Promise<ReadEvent[]> {
  const events: ReadEvent[] = []
  for (let from = 1; ;) {
    const response = await fetch(`${url}/events?from=${from}&limit=4096&consistency=${consistency}`, {
      signal: AbortSignal.timeout(10_000),
    })
    if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`)
    const page = ((await response.json()) as { events: ReadEvent[] }).events
    if (page.length === 0) return events
    events.push(...page)
    from = (page.at(-1)?.position ?? 0) + 1
  }
}

/** What every node has, once all have as much; throws unless it is the same everywhere and dense. */
export async function readEverywhere(cluster: LocalCluster, ids: readonly string[] = ['n1', 'n2', 'n3']): Promise<ReadEvent[]> {
  const logs = await cluster.until('all nodes to have the same events', 60_000, async () => {
    const read = await Promise.all(ids.map((id) => readAll(cluster.url(id))))
    return new Set(read.map(({ length }) => length)).size === 1 ? read : undefined
  })
  const [first = []] = logs
  for (const [index, log] of logs.entries()) {
    if (JSON.stringify(log) !== JSON.stringify(first)) throw new Error(`${ids[index]} has other events than ${ids[0]}`)
  }
  first.forEach((event, index) => {
    if (event.position !== index + 1) throw new Error(`position ${event.position} stands at place ${index + 1}`)
  })
  return first
}

/** Throws unless each acknowledged append is there once, where it was acknowledged. */
export function requireAcknowledged(events: readonly ReadEvent[], acknowledged: readonly Acknowledged[]): void {
  const seen = new Map<string, ReadEvent>()
  for (const event of events) {
    if (seen.has(event.id)) throw new Error(`event ${event.id} is there twice`)
    seen.set(event.id, event)
  }
  for (const { id, stream, revision, position } of acknowledged) {
    const event = seen.get(id)
    if (event === undefined) throw new Error(`event ${id}, acknowledged at ${position}, is lost`)
    if (event.position !== position || event.revision !== revision || event.stream !== stream) {
      throw new Error(
        `event ${id} was acknowledged at ${stream} ${revision}, position ${position}, and is at ${event.stream} ${event.revision}, position ${event.position}`,
      )
    }
  }
}

export interface Message {
  readonly id: number
  readonly event: string
  readonly data: { readonly position: number }
}

/** Server-sent events until `enough` says so; the connection is closed then. */
export async function follow(
  url: string,
  enough: (messages: readonly Message[]) => boolean,
  headers: Record<string, string> = {},
): Promise<Message[]> {
  const controller = new AbortController()
  const response = await fetch(url, { headers, signal: AbortSignal.any([controller.signal, AbortSignal.timeout(60_000)]) })
  if (!response.ok || response.body === null) throw new Error(`${url} answered ${response.status}: ${await response.text()}`)
  const messages: Message[] = []
  let text = ''
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const parts = (text + chunk).split('\n\n')
    text = parts.pop() ?? ''
    for (const part of parts) {
      if (part.startsWith(':')) continue
      const found = /^id: (\d+)\nevent: (\w+)\ndata: (.*)$/.exec(part)
      if (found === null) throw new Error(`not a message: ${part}`)
      messages.push({ id: Number(found[1]), event: found[2] ?? '', data: JSON.parse(found[3] ?? '') as Message['data'] })
      if (!enough(messages)) continue
      controller.abort()
      return messages
    }
  }
  throw new Error(`${url} ended after ${messages.length} messages`)
}
