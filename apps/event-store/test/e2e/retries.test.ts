/**
 * A retry of every kind of append has one effect and the original answer: at another node, after a change of the leader, after all
 * were stopped and started again. Refusals that were decided are remembered under a key.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startCluster, type LocalCluster } from '@synod/event-store'
import { readEverywhere } from './client.ts'

interface Asked {
  readonly name: string
  readonly path: string
  readonly body: unknown
  readonly headers?: Record<string, string>
  readonly status: number
}

const event = (tags: readonly string[] = []): unknown => ({ id: randomUUID(), type: 'Tested', data: { n: 1 }, tags })
const nameless = { type: 'Tested', data: { n: 1 } }
const key = (): Record<string, string> => ({ 'idempotency-key': randomUUID() })

const kinds: readonly Asked[] = [
  { name: 'ids', path: '/streams/ids', body: [event(), event()], status: 201 },
  { name: 'ids, no stream expected', path: '/streams/ids-none?expected=noStream', body: [event()], status: 201 },
  { name: 'a key', path: '/streams/key', body: [nameless], headers: key(), status: 201 },
  { name: 'a key and ids', path: '/streams/both?expected=noStream', body: [event()], headers: key(), status: 201 },
  {
    name: 'several streams, ids',
    path: '/append',
    body: {
      writes: [
        { stream: 'left', expected: 'noStream', events: [event(), event()] },
        { stream: 'right', events: [event()] },
      ],
    },
    status: 201,
  },
  {
    name: 'several streams, a key',
    path: '/append',
    body: {
      writes: [
        { stream: 'up', events: [nameless] },
        { stream: 'down', expected: 'noStream', events: [nameless] },
      ],
    },
    headers: key(),
    status: 201,
  },
  {
    name: 'a condition that its own events violate',
    path: '/append',
    body: {
      writes: [{ stream: 'seat', events: [event(['seat:1'])] }],
      condition: { failIfEventsMatch: { items: [{ tags: ['seat:1'] }] } },
    },
    status: 201,
  },
  {
    name: 'a check on another stream',
    path: '/append',
    body: { writes: [{ stream: 'checked', events: [event()] }], checks: [{ stream: 'never', expected: 'noStream' }] },
    status: 201,
  },
  {
    name: 'a refusal under a key',
    path: '/append',
    body: { writes: [{ stream: 'never-written', expected: 'streamExists', events: [nameless] }] },
    headers: key(),
    status: 409,
  },
]

test('one effect and the original answer', { timeout: 240_000 }, async () => {
  await using cluster = await startCluster()
  const first = await Promise.all(kinds.map((asked, at) => ask(cluster, at, asked)))
  expect(first.map(({ status }) => status)).toEqual(kinds.map(({ status }) => status))
  const before = await readEverywhere(cluster)
  const same = async (): Promise<void> => {
    for (let node = 0; node < 3; node++) {
      const again = await Promise.all(kinds.map((asked) => ask(cluster, node, asked)))
      expect(named(again)).toEqual(named(first))
    }
  }
  await same()
  const leader = await cluster.leader()
  await cluster.kill(leader)
  await cluster.waitReady([leader])
  await same()
  await cluster.stop()
  await cluster.start()
  await same()
  expect(await readEverywhere(cluster)).toEqual(before)
})

function named(answers: readonly unknown[]): readonly unknown[] {
  return answers.map((answer, at) => ({ name: kinds[at]?.name, answer }))
}

/** At a node, again while it is not available. */
async function ask(cluster: LocalCluster, node: number, { path, body, headers = {} }: Asked): Promise<{ status: number; answer: unknown }> {
  for (const deadline = performance.now() + 30_000; ;) {
    const url = cluster.urls[node % cluster.urls.length] ?? ''
    try {
      const response = await fetch(`${url}${path}`, {
        method: 'POST',
        body: JSON.stringify(body),
        headers,
        signal: AbortSignal.timeout(10_000),
      })
      const answer: unknown = await response.json()
      if (response.status !== 503) return { status: response.status, answer }
    } catch (error) {
      if (performance.now() > deadline) throw error
    }
    if (performance.now() > deadline) throw new Error(`${url} did not become available`)
    await sleep(50)
  }
}
