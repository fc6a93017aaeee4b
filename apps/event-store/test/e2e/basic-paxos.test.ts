import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCluster, type LocalCluster } from '@synod/event-store'
import { appendInBackground, readEverywhere, requireAcknowledged } from './client.ts'

let cluster: LocalCluster
beforeAll(async () => void (cluster = await startCluster({ arguments: ['--paxos', 'basic'] })), 120_000)
afterAll(() => cluster?.remove(), 60_000)

test('one round a slot, any node proposes: a node killed on the way loses and doubles nothing', { timeout: 120_000 }, async () => {
  expect(await cluster.describe('n2')).toMatchObject({ role: 'replica', leader: null, mode: 'basic' })
  const background = appendInBackground(cluster, 6, 'basic')
  await cluster.until('some appends', 30_000, () => (background.acknowledged.length > 20 ? true : undefined))
  await cluster.kill('n1')
  const before = background.acknowledged.length
  await cluster.until('appends to go on', 30_000, () => (background.acknowledged.length > before + 20 ? true : undefined))
  await cluster.waitReady(['n1'])
  await background.stop()
  requireAcknowledged(await readEverywhere(cluster), background.acknowledged)
})
