/**
 * What clients of real processes saw while nodes were killed, judged by the checkers of the simulator: linearizable appends and
 * reads, each acknowledged append once and in its place, verdicts, sessions and a subscription. It is how any history of a real
 * cluster is checked; docs/simulation.md tells it.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  checkHistory,
  revealedByAll,
  revealedByStream,
  type AppendOperation,
  type Expected,
  type HistoryOperation,
  type PageAsked,
  type SeenEvent,
} from '@synod/simulator/checkers'
import { startCluster, type LocalCluster } from '@synod/event-store'
import { expect, test } from 'vitest'
import { follow, readAll, readEverywhere, type ReadEvent } from './client.ts'

const clients = 6
const streams = ['red', 'green', 'blue']
const pick = <T>(items: readonly T[]): T => items[Math.floor(Math.random() * items.length)]!

/** The events say in their data which append they belong to. */
function seen({ data, position, stream, revision }: ReadEvent): SeenEvent {
  return { ...(data as { identity: string; ordinal: number }), position, stream, revision }
}

class History {
  readonly operations: HistoryOperation[] = []
  readonly #cluster: LocalCluster
  /** By url: counts up when a node is about to be killed, and when it is dead. */
  readonly lives = new Map<string, number>()
  isOver = false

  constructor(cluster: LocalCluster) {
    this.#cluster = cluster
  }

  async client(name: string): Promise<void> {
    const known = new Map<string, number>()
    for (let count = 1; !this.isOver; count++) {
      if (Math.random() < 0.6) await this.#append(name, `${name}.${count}`, known)
      else await this.#read(name)
      await sleep(5)
    }
  }

  /** One append under one key, tried at any node until it is answered: all tries are one operation. */
  async #append(client: string, identity: string, known: Map<string, number>): Promise<void> {
    const stream = pick(streams)
    const last = known.get(stream)
    const expected: Expected = pick(['any', 'any', 'noStream', 'streamExists', last ?? 'noStream', (last ?? 0) + 1])
    const count = 1 + Math.floor(Math.random() * 3)
    const body = JSON.stringify(
      Array.from({ length: count }, (_, ordinal) => ({ id: randomUUID(), type: 'Tested', data: { identity, ordinal } })),
    )
    const operation = { kind: 'append', client, identity, stream, expected, count, call: performance.now() } as const
    for (let outcome: AppendOperation['outcome'] | undefined; outcome === undefined;) {
      if (this.isOver) {
        this.operations.push({ ...operation, returned: Infinity, outcome: { kind: 'unknown' } })
        return
      }
      const { answer, session } = await this.#ask(`/streams/${stream}?expected=${expected}`, {
        method: 'POST',
        body,
        headers: { 'idempotency-key': identity },
      })
      if (answer?.status === 201) outcome = { kind: 'appended', ...(answer.body as { revision: number; position: number }) }
      else if (answer?.status === 409) {
        const { code, actual } = answer.body as { code: string; actual: number | 'noStream' }
        if (code !== 'wrong_expected_revision') throw new Error(`append ${identity} was answered ${JSON.stringify(answer.body)}`)
        outcome = { kind: 'rejected', actual: actual === 'noStream' ? -1 : actual }
      } else {
        await sleep(20)
        continue
      }
      known.set(stream, outcome.kind === 'appended' ? outcome.revision : Math.max(0, outcome.actual))
      this.operations.push({ ...operation, returned: performance.now(), ...session, outcome })
    }
  }

  async #read(client: string): Promise<void> {
    const stream = pick([undefined, ...streams])
    const asked: PageAsked = { consistency: pick(['linearizable', 'linearizable', 'local']), direction: 'backward', limit: 20 }
    const call = performance.now()
    const { answer, session } = await this.#ask(
      `/${stream === undefined ? 'events' : `streams/${stream}`}?consistency=${asked.consistency}&direction=backward&limit=20`,
    )
    if (answer === undefined || answer.status === 503) return
    const events = answer.status === 404 ? undefined : (answer.body as { events: ReadEvent[] }).events.map(seen)
    const revealed = stream === undefined ? revealedByAll(events ?? [], asked) : revealedByStream(events, stream, asked)
    if (typeof revealed === 'string') throw new Error(`a page of ${stream ?? 'all events'}: ${revealed}`)
    this.operations.push({ ...revealed, client, call, returned: performance.now(), ...session })
  }

  /** At any node. The session is the life of the node that answered, where no other began meanwhile. */
  async #ask(
    path: string,
    options: RequestInit = {},
  ): Promise<{ answer?: { status: number; body: unknown }; session?: { session: string } }> {
    const url = pick(this.#cluster.urls)
    const life = this.lives.get(url) ?? 0
    try {
      const response = await fetch(`${url}${path}`, { ...options, signal: AbortSignal.timeout(5_000) })
      const answer = { status: response.status, body: (await response.json()) as unknown }
      return (this.lives.get(url) ?? 0) === life ? { answer, session: { session: `${url}/${life}` } } : { answer }
    } catch {
      return {} // the node died while it was asked, or is not there: nothing is known
    }
  }
}

test('the history of clients while nodes are killed is that of one store', { timeout: 180_000 }, async () => {
  await using cluster = await startCluster()
  const history = new History(cluster)
  const running = Promise.all(Array.from({ length: clients }, (_, at) => history.client(`c${at + 1}`)))
  running.catch(() => undefined) // told below
  const grown = async (by: number): Promise<void> => {
    const before = history.operations.length
    await cluster.until(`${by} operations`, 60_000, () => (history.operations.length >= before + by ? true : undefined))
  }
  await grown(150)
  const leader = await cluster.leader()
  const follower = ['n1', 'n2', 'n3'].find((id) => id !== leader)!
  for (const id of [leader, follower]) {
    history.lives.set(cluster.url(id), 1)
    await cluster.kill(id)
    history.lives.set(cluster.url(id), 2)
    await grown(150)
    await cluster.waitReady([id])
  }
  await grown(150)
  history.isOver = true
  await running

  const events = (await readEverywhere(cluster)).map(seen)
  const head = (await readAll(cluster.url('n1'), 'linearizable')).length
  const messages = await follow(`${cluster.url('n2')}/events/subscription?from=1`, (told) =>
    told.some(({ event, data }) => event === 'caughtUp' && data.position >= head),
  )
  const subscription = {
    subscriber: 'n2',
    from: 1,
    messages: messages.map(({ event, data }) =>
      event === 'event'
        ? { kind: 'event' as const, event: seen(data as unknown as ReadEvent) }
        : { kind: event as 'caughtUp' | 'checkpoint', position: data.position },
    ),
  }
  const { operations } = history
  expect(checkHistory({ operations, subscriptions: [subscription] }, events)).toEqual([])
  const kinds = operations.map((operation) => (operation.kind === 'append' ? operation.outcome.kind : operation.kind))
  for (const kind of ['appended', 'rejected', 'readAll', 'readStream']) expect(kinds).toContain(kind)

  // It can fail: an acknowledged append that is not there, and a read that is older than what was acknowledged before it.
  const [lost] = operations.filter((operation) => operation.kind === 'append' && operation.outcome.kind === 'appended')
  if (lost?.kind !== 'append') throw new Error('nothing was appended')
  const without = events.filter(({ identity }) => identity !== lost.identity)
  expect(checkHistory({ operations, subscriptions: [] }, without).map(({ kind }) => kind)).toContain('lost')
  const stale: HistoryOperation = {
    kind: 'readAll',
    consistency: 'linearizable',
    client: 'late',
    call: performance.now(),
    returned: performance.now() + 1,
    head: { is: 1 },
    events: [],
  }
  expect(checkHistory({ operations: [...operations, stale], subscriptions: [] }, events).map(({ kind }) => kind)).toContain(
    'linearizability',
  )
})
