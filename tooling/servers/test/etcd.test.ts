import { findEtcd, startEtcdCluster } from '@synod/servers'
import { afterEach, expect, it, vi } from 'vitest'
import { isRunning, killHard, runAsChild } from './processes.ts'

afterEach(() => vi.unstubAllEnvs())

it('refuses an ETCD_SERVER that is none', async () => {
  vi.stubEnv('ETCD_SERVER', '/does/not/exist')
  await expect(findEtcd()).rejects.toMatchObject({ code: 'etcd_not_found' })
})

it('starts three servers that know one leader, and leaves nothing behind', { timeout: 180_000 }, async () => {
  const cluster = await startEtcdCluster()
  expect(cluster.version).toMatch(/^3\.\d+\.\d+/)
  expect(cluster.urls).toContain(cluster.leaderUrl)
  const put = { key: btoa('key'), value: btoa('value') }
  const answer = await fetch(`${cluster.urls[0]}/v3/kv/put`, { method: 'POST', body: JSON.stringify(put) })
  expect(await answer.json()).toMatchObject({ header: { revision: '2' } })
  const read = await fetch(`${cluster.urls[2]}/v3/kv/range`, { method: 'POST', body: JSON.stringify({ key: put.key }) })
  expect(await read.json()).toMatchObject({ kvs: [{ value: put.value }] })
  expect(cluster.pids.map(isRunning)).toEqual([true, true, true])
  await cluster.stop()
  expect(cluster.pids.map(isRunning)).toEqual([false, false, false])
})

it('goes with a process that was killed', { timeout: 180_000 }, async () => {
  const { child, printed } = await runAsChild<{ pids: number[] }>(
    `import { startEtcdCluster } from '@synod/servers'; const { pids } = await startEtcdCluster(); console.log(JSON.stringify({ pids }))`,
  )
  expect(printed.pids.map(isRunning)).toEqual([true, true, true])
  await killHard(child)
  await vi.waitFor(() => expect(printed.pids.map(isRunning)).toEqual([false, false, false]), { timeout: 10_000, interval: 50 })
})
