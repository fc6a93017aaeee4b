/**
 * The hand-over from replay to live, again and again: subscriptions of every kind begin anywhere in the log while it grows, stop
 * reading for a while, end and resume at another node, while nodes are killed (kill -9). What each connection delivered is
 * compared with the final log: no gap, nothing twice, no disorder, and no checkpoint that claims more. In the suite a short form; the whole:
 *   SYNOD_HAND_OVER_EVENTS=200000 npx -y pnpm@12 test apps/event-store/test/e2e/hand-over.test.ts
 */
import { randomInt, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startCluster, type LocalCluster } from '@synod/event-store'
import { checkSubscription, Witness, type AskedFilter, type SeenEvent, type SubscriptionSeen } from '@synod/simulator/checkers'
import { readEverywhere } from './client.ts'

const target = Number(process.env.SYNOD_HAND_OVER_EVENTS ?? 15_000)
const followers = 12
const writers = 12
const batchEvents = 8
const killEveryMs = 4_000

const types = ['Arrived', 'Left', 'Moored']
const filters: readonly { readonly query: string; readonly filter: AskedFilter }[] = [
  { query: '', filter: {} },
  { query: 'types=Left', filter: { items: [{ types: ['Left'] }] } },
  { query: 'types=Left,Moored&tags=berth%3A3', filter: { items: [{ types: ['Left', 'Moored'], tags: ['berth:3'] }] } },
  { query: 'prefix=dock-1', filter: { prefixes: ['dock-1'] } },
  { query: 'category=ship', filter: { categories: ['ship'] } },
  { query: 'category=dock&tags=flag%3A1', filter: { categories: ['dock'], items: [{ tags: ['flag:1'] }] } },
]

interface Connection {
  readonly subscriber: string
  readonly filter: AskedFilter
  readonly from: number
  readonly afterPosition?: number
  readonly messages: SubscriptionSeen[]
}

test(`${target} events delivered across the hand-over`, { timeout: 120_000 + target * 3 }, async () => {
  await using cluster = await startCluster()
  const connections: Connection[] = []
  const state = { isOver: false, delivered: 0, head: 0 }
  const writing = Promise.all(Array.from({ length: writers }, (_, writer) => write(cluster, writer, state)))
  const following = Promise.all(Array.from({ length: followers }, (_, at) => followOn(cluster, at, state, connections)))
  let kills = 0
  for (let next = performance.now() + killEveryMs; state.delivered < target;) {
    await Promise.race([sleep(100), following, writing])
    if (performance.now() < next) continue
    const victim = `n${(kills++ % 3) + 1}`
    await cluster.kill(victim)
    await cluster.waitReady([victim])
    next = performance.now() + killEveryMs
  }
  state.isOver = true
  await Promise.all([writing, following])

  const events = await readEverywhere(cluster)
  const witness = new Witness(events.map((event) => ({ ...seenOf(event), ordinal: 0 })))
  for (const connection of connections) expect(checkSubscription(connection, witness)).toEqual([])
  const seen = connections.map(({ messages }) => messages)
  const caughtUp = seen.filter((messages) => messages.some(({ kind }) => kind === 'caughtUp')).length
  expect(caughtUp).toBeGreaterThan(0)

  // Nothing comes any more, and nothing matches: the checkpoint is at the end all the same.
  const quiet = await open(cluster.url('n1'), 'tags=nobody', undefined, (messages) =>
    messages.some((message) => message.kind === 'checkpoint' && message.position >= events.length),
  )
  expect(quiet.filter(({ kind }) => kind === 'event')).toEqual([])
  if (process.env.SYNOD_HAND_OVER_EVENTS !== undefined)
    console.log(JSON.stringify({ delivered: state.delivered, connections: connections.length, caughtUp, kills, events: events.length }))
})

/** Batches until it is over, each with ids of its own, tried again at the next node until it is acknowledged. */
async function write(cluster: LocalCluster, writer: number, state: { isOver: boolean; head: number }): Promise<void> {
  for (let n = 0; !state.isOver; n++) {
    const stream = `${n % 2 === 0 ? 'ship' : 'dock'}-${randomInt(20)}`
    const body = JSON.stringify(
      Array.from({ length: batchEvents }, () => ({
        id: randomUUID(),
        type: types[randomInt(types.length)],
        data: { writer, n },
        tags: [`berth:${randomInt(5)}`, `flag:${randomInt(3)}`],
      })),
    )
    for (let attempt = writer; ; attempt++) {
      try {
        const response = await fetch(`${cluster.urls[attempt % cluster.urls.length]}/streams/${stream}`, {
          method: 'POST',
          body,
          signal: AbortSignal.timeout(10_000),
        })
        const answer = (await response.json()) as { position?: number }
        if (response.status === 201) {
          state.head = Math.max(state.head, answer.position ?? 0)
          break
        }
        if (response.status !== 503) throw new TypeError(`an append was answered ${response.status} ${JSON.stringify(answer)}`)
      } catch (error) {
        if (error instanceof TypeError && error.message.startsWith('an append')) throw error
        // else the node died while it was asked, or is not there
      }
      await sleep(20)
    }
    await sleep(5)
  }
}

/** Connections one after the other: from anywhere, or from where the last one was. */
async function followOn(
  cluster: LocalCluster,
  at: number,
  state: { isOver: boolean; delivered: number; readonly head: number },
  connections: Connection[],
): Promise<void> {
  const { query, filter } = filters[at % filters.length] ?? { query: '', filter: {} }
  let resume: number | undefined
  for (let n = 0; !state.isOver; n++) {
    const afterPosition = resume
    const from = afterPosition === undefined ? 1 + randomInt(state.head + 1) : 1
    const messages: SubscriptionSeen[] = []
    connections.push({
      subscriber: `${at}.${n} ${query}`,
      filter,
      from,
      ...(afterPosition === undefined ? {} : { afterPosition }),
      messages,
    })
    const most = 100 + randomInt(3_000)
    try {
      await open(cluster.urls[randomInt(cluster.urls.length)] ?? '', `${query}&from=${from}`, afterPosition, async (all) => {
        state.delivered += all.slice(messages.length).filter(({ kind }) => kind === 'event').length
        messages.push(...all.slice(messages.length))
        // Now and then it reads nothing for a while: it falls out of the tail and comes back.
        if (randomInt(200) === 0) await sleep(randomInt(500))
        return state.isOver || messages.length >= most
      })
    } catch {
      // the node is not there, or died
      await sleep(50)
    }
    const last = messages.findLast(({ kind }) => kind === 'event' || kind === 'checkpoint')
    const position = last === undefined ? afterPosition : last.kind === 'event' ? last.event.position : last.position
    resume = randomInt(3) === 0 ? undefined : position
  }
}

/** Server-sent events until `enough` says so. Rejects when the connection ends before. */
async function open(
  url: string,
  query: string,
  lastEventId: number | undefined,
  enough: (messages: readonly SubscriptionSeen[]) => boolean | Promise<boolean>,
): Promise<SubscriptionSeen[]> {
  const controller = new AbortController()
  const headers: Record<string, string> = lastEventId === undefined ? {} : { 'last-event-id': String(lastEventId) }
  const response = await fetch(`${url}/events/subscription?${query}`, {
    headers,
    signal: AbortSignal.any([controller.signal, AbortSignal.timeout(60_000)]),
  })
  if (!response.ok || response.body === null) throw new Error(`${url} answered ${response.status}: ${await response.text()}`)
  const messages: SubscriptionSeen[] = []
  let text = ''
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const parts = (text + chunk).split('\n\n')
    text = parts.pop() ?? ''
    messages.push(...parts.filter((part) => !part.startsWith(':')).map(messageOf))
    if (!(await enough(messages))) continue
    controller.abort()
    return messages
  }
  throw new Error(`${url} ended after ${messages.length} messages`)
}

function messageOf(part: string): SubscriptionSeen {
  const found = /^id: (\d+)\nevent: (\w+)\ndata: (.*)$/.exec(part)
  if (found === null) throw new Error(`not a message: ${part}`)
  const [, position, kind = '', data = ''] = found
  if (kind === 'event') return { kind, event: seenOf(JSON.parse(data)) }
  if (kind === 'caughtUp' || kind === 'checkpoint') return { kind, position: Number(position) }
  const { lag } = JSON.parse(data) as { lag: number }
  return { kind: 'fellBehind', position: Number(position), lag }
}

function seenOf(event: unknown): SeenEvent {
  const { id, stream, revision, position, type, tags } = event as Omit<SeenEvent, 'identity' | 'ordinal'> & { readonly id: string }
  return {
    identity: id,
    ordinal: 0,
    stream,
    revision,
    position,
    ...(type === undefined ? {} : { type }),
    ...(tags === undefined ? {} : { tags }),
  }
}
