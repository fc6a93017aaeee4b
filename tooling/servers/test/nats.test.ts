import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findNats, startNats, startNatsCluster } from '@synod/servers'
import { afterEach, expect, it, vi } from 'vitest'
import { isRunning, killHard, runAsChild } from './processes.ts'

afterEach(() => vi.unstubAllEnvs())

it('refuses a NATS_SERVER that is none', async () => {
  vi.stubEnv('NATS_SERVER', '/does/not/exist')
  await expect(findNats()).rejects.toMatchObject({ code: 'nats_not_found' })
})

it('starts a server with JetStream that leaves nothing behind', { timeout: 180_000 }, async () => {
  const server = await startNats({ jetstream: true })
  expect((await fetch(`http://127.0.0.1:${server.monitorPort}/healthz`)).status).toBe(200)
  expect(isRunning(server.pid)).toBe(true)
  await server.stop()
  expect(isRunning(server.pid)).toBe(false)
  expect(existsSync(server.dataDir)).toBe(false)
})

it('keeps a data folder that it was given, over a kill too', { timeout: 180_000 }, async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'synod-nats-test-'))
  const first = await startNats({ dataDir, jetstream: true })
  await first.kill()
  expect(existsSync(join(dataDir, 'jetstream'))).toBe(true)
  const second = await startNats({ dataDir, jetstream: true, port: first.port })
  expect(second.url).toBe(first.url)
  await second.stop()
  rmSync(dataDir, { recursive: true })
})

it('starts three servers with one JetStream', { timeout: 180_000 }, async () => {
  const cluster = await startNatsCluster({ size: 3 })
  const pages = await Promise.all(
    cluster.servers.map(
      async (server) =>
        (await (await fetch(`http://127.0.0.1:${server.monitorPort}/jsz`)).json()) as {
          meta_cluster: { leader: string; cluster_size: number }
        },
    ),
  )
  expect(new Set(pages.map((page) => page.meta_cluster.leader)).size).toBe(1)
  expect(pages.map((page) => page.meta_cluster.cluster_size)).toEqual([3, 3, 3])
  await cluster.stop()
})

it('goes with a process that was killed', { timeout: 180_000 }, async () => {
  const { child, printed } = await runAsChild<{ pid: number; dataDir: string }>(
    `import { startNats } from '@synod/servers'; const { pid, dataDir } = await startNats(); console.log(JSON.stringify({ pid, dataDir }))`,
  )
  await killHard(child)
  await vi.waitFor(() => expect(existsSync(printed.dataDir)).toBe(false), { timeout: 10_000, interval: 50 })
  expect(isRunning(printed.pid)).toBe(false)
})
