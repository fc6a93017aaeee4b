import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startCluster, type LocalCluster } from '@synod/event-store'
import {
  append,
  appendInBackground,
  appendOnce,
  follow,
  readAll,
  readEverywhere,
  requireAcknowledged,
  type Acknowledged,
} from './client.ts'

const ids = ['n1', 'n2', 'n3']
const acknowledged: Acknowledged[] = []
let cluster: LocalCluster
beforeAll(async () => void (cluster = await startCluster()), 120_000)
afterAll(() => cluster?.remove(), 60_000)

describe('three nodes with their databases, as processes', { timeout: 120_000 }, () => {
  test('every node is ready, and they agree who they are', async () => {
    expect(cluster.urls).toHaveLength(3)
    await cluster.waitReady()
    const leader = await cluster.leader()
    for (const id of ids) {
      const answer = await cluster.describe(id)
      expect(answer).toMatchObject({
        id,
        leader,
        role: id === leader ? 'leader' : 'follower',
        protocol: '@synod/consensus-paxos',
        mode: 'multi',
      })
      expect(answer.nodes.map((node) => node.id)).toEqual(ids)
      expect(answer.nodes.map(({ state }) => state)).toEqual(['serving', 'serving', 'serving'])
      expect(new Set(answer.nodes.map(({ pid }) => pid)).size).toBe(3)
    }
  })

  test('every node takes appends, answers reads and can be followed', async () => {
    for (const id of ids) {
      const response = await appendOnce(cluster.url(id), `flight/${id}`, { from: id })
      expect(response.status).toBe(201)
      for (const reader of ids) {
        const read = await fetch(`${cluster.url(reader)}/streams/${encodeURIComponent(`flight/${id}`)}`)
        expect(await read.json()).toMatchObject({
          events: [{ stream: `flight/${id}`, revision: 0, data: { from: id }, metadata: null, tags: [] }],
        })
      }
    }
    for (const id of ids) {
      const messages = await follow(`${cluster.url(id)}/events/subscription?from=2`, (seen) =>
        seen.some(({ event }) => event === 'caughtUp'),
      )
      expect(messages.filter(({ event }) => event === 'event').map((message) => message.id)).toEqual([2, 3])
      const later = await follow(`${cluster.url(id)}/events/subscription`, (seen) => seen.length > 0, { 'last-event-id': '2' })
      expect(later[0]).toMatchObject({ id: 3, event: 'event', data: { position: 3 } })
    }
  })

  test('a subscription goes on with what is appended at another node', async () => {
    const following = follow(
      `${cluster.url('n2')}/streams/live/subscription`,
      (seen) => seen.filter(({ event }) => event === 'event').length === 5,
    )
    for (let n = 0; n < 5; n++) acknowledged.push(await append(cluster, 'live', { n }))
    const events = (await following).filter(({ event }) => event === 'event')
    expect(events.map(({ data }) => data)).toMatchObject([0, 1, 2, 3, 4].map((n) => ({ stream: 'live', revision: n, data: { n } })))
  })

  test('what was expected decides, and a retry answers as the first try did', async () => {
    const url = cluster.url('n3')
    const create = (): Promise<Response> =>
      fetch(`${url}/streams/once?expected=noStream`, { method: 'POST', body: '[{"type":"A","data":1}]' })
    expect((await create()).status).toBe(201)
    const again = await create()
    expect({ status: again.status, body: await again.json() }).toMatchObject({
      status: 409,
      body: { code: 'wrong_expected_revision', expected: 'noStream', actual: 0 },
    })
    const id = randomUUID()
    const first = await (await appendOnce(cluster.url('n1'), 'retried', 1, { 'idempotency-key': 'key' }, id)).json()
    const second = await appendOnce(cluster.url('n2'), 'retried', 1, { 'idempotency-key': 'key' }, id)
    expect({ status: second.status, body: await second.json() }).toEqual({ status: 201, body: first })
    const third = await appendOnce(cluster.url('n3'), 'retried', 1, {}, id)
    expect({ status: third.status, body: await third.json() }).toEqual({ status: 201, body: first })
    expect((await fetch(`${url}/streams/nobody`)).status).toBe(404)
  })

  test('the largest request there is, from each node to each node', async () => {
    const text = 'x'.repeat(1_048_000)
    const body = JSON.stringify(Array.from({ length: 8 }, () => ({ type: 'Large', data: text })))
    expect(body.length).toBeGreaterThan(8_380_000)
    for (const id of ids) {
      // A busy machine may take longer than an answer may take; that is what the key is for.
      const appended = await cluster.until('a large append', 60_000, async () => {
        const response = await fetch(`${cluster.url(id)}/streams/large-${id}`, {
          method: 'POST',
          body,
          headers: { 'idempotency-key': `large-${id}` },
        })
        const answer = (await response.json()) as Record<string, unknown>
        return response.status === 503 ? undefined : { status: response.status, ...answer }
      })
      expect(appended).toMatchObject({ status: 201, revision: 7 })
      for (const reader of ids) {
        const { events } = (await (await fetch(`${cluster.url(reader)}/streams/large-${id}`)).json()) as { events: { data: string }[] }
        // A page ends at 8 MiB: it may hold fewer, never none.
        expect(events.length).toBeGreaterThan(6)
        expect(events.every(({ data }) => data === text)).toBe(true)
      }
    }
  })

  test('kill -9 of the leader during appends: others go on, nothing is lost or doubled, it catches up', async () => {
    const background = appendInBackground(cluster, 4, 'leader')
    await cluster.until('some appends', 20_000, () => (background.acknowledged.length > 50 ? true : undefined))
    const leader = await cluster.leader()
    const dead = await cluster.kill(leader)
    const before = background.acknowledged.length
    const killedAt = performance.now()
    await cluster.until('appends to go on', 20_000, () => (background.acknowledged.length > before + 20 ? true : undefined))
    expect(performance.now() - killedAt).toBeLessThan(15_000)
    await cluster.waitReady([leader])
    expect((await cluster.node(leader)).pid).not.toBe(dead)
    await background.stop()
    acknowledged.push(...background.acknowledged)
    requireAcknowledged(await readEverywhere(cluster), acknowledged)
  })

  test('kill -9 of the leader’s Postgres: the same', async () => {
    const background = appendInBackground(cluster, 4, 'postgres')
    await cluster.until('some appends', 20_000, () => (background.acknowledged.length > 20 ? true : undefined))
    await cluster.killPostgres(await cluster.leader())
    const before = background.acknowledged.length
    await cluster.until('appends to go on', 30_000, () => (background.acknowledged.length > before + 20 ? true : undefined))
    await cluster.waitReady()
    await background.stop()
    acknowledged.push(...background.acknowledged)
    requireAcknowledged(await readEverywhere(cluster), acknowledged)
  })

  test('kill -9 of all nodes with their databases at once: all is there again', async () => {
    const background = appendInBackground(cluster, 4, 'all')
    await cluster.until('some appends', 20_000, () => (background.acknowledged.length > 50 ? true : undefined))
    await Promise.all(ids.flatMap((id) => [cluster.kill(id), cluster.killPostgres(id)]))
    await cluster.waitReady()
    await background.stop()
    acknowledged.push(...background.acknowledged)
    requireAcknowledged(await readEverywhere(cluster), acknowledged)
  })

  test('stopped by TERM and started again: all is there', async () => {
    const before = await readEverywhere(cluster)
    expect(await cluster.stop()).toBe(0)
    await cluster.start()
    expect(await readEverywhere(cluster)).toEqual(before)
    acknowledged.push(await append(cluster, 'again', 1))
  })

  test('kill -9 of start itself: nodes end, the next start takes their databases over', async () => {
    const { nodes } = await cluster.describe()
    await cluster.killSupervisor()
    await cluster.until('the nodes to end', 15_000, async () => {
      const alive = nodes.filter(({ pid }) => pid !== null && isAlive(pid))
      return alive.length === 0 ? true : undefined
    })
    await cluster.start()
    requireAcknowledged(await readEverywhere(cluster), acknowledged)
    expect(await readAll(cluster.url('n1'), 'linearizable')).toHaveLength((await cluster.node('n1')).position ?? -1)
  })
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
