import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCluster, type LocalCluster } from '@synod/event-store'
import { append, readEverywhere } from './client.ts'

const requests = 100
const eventsEach = 500

let cluster: LocalCluster
beforeAll(async () => void (cluster = await startCluster({ arguments: ['--no-restart'] })), 120_000)
afterAll(() => cluster?.remove(), 60_000)

test('a node that missed 50,000 events catches up from its peers, while appends go on', { timeout: 180_000 }, async () => {
  const { id: dead } = await follower()
  await cluster.kill(dead)
  for (let at = 0; at < requests; at += 4) await Promise.all([0, 1, 2, 3].map((lane) => appendMany(at + lane)))
  const missed = requests * eventsEach
  expect((await cluster.describe(await leader())).nodes.find(({ id }) => id === dead)?.pid).toBe(null)

  await cluster.stop()
  await cluster.start()
  for (let n = 0; n < 20; n++) await append(cluster, 'after', { n })
  const events = await readEverywhere(cluster)
  expect(events).toHaveLength(missed + 20)
  expect(events.map(({ position }) => position)).toEqual(events.map((_, at) => at + 1))
})

async function leader(): Promise<string> {
  const answer = await cluster.describe()
  if (answer.leader === null) throw new Error('nobody leads')
  return answer.leader
}

async function follower(): Promise<{ readonly id: string }> {
  const { nodes, leader: leads } = await cluster.describe()
  const node = nodes.find(({ id }) => id !== leads)
  if (node === undefined) throw new Error('no follower')
  return node
}

/** To whichever node takes it; the ids make a repetition harmless. */
async function appendMany(at: number): Promise<void> {
  const body = JSON.stringify(
    Array.from({ length: eventsEach }, (_, n) => ({ id: randomUUID(), type: 'Missed', data: { at, n, text: 'x'.repeat(200) } })),
  )
  let last = ''
  for (let attempt = 0; attempt < 300; attempt++) {
    const url = cluster.urls[attempt % cluster.urls.length] ?? ''
    try {
      const response = await fetch(`${url}/streams/missed-${at % 10}`, { method: 'POST', body, signal: AbortSignal.timeout(10_000) })
      if (response.status === 201) return
      last = `${response.status} ${await response.text()}`
    } catch (error) {
      last = String(error) // the dead node
    }
  }
  throw new Error(`an append was not acknowledged: ${last}`)
}
