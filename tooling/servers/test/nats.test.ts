import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findNats, natsNameAt, startNats, startNatsCluster } from '@synod/servers'
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

it('does not take somebody else’s server at its port for its own', { timeout: 180_000 }, async () => {
  await using first = await startNats({ name: 'first' })
  await expect(startNats({ port: first.port })).rejects.toMatchObject({ code: 'server_did_not_start' })
  expect(await natsNameAt(first.host, first.port)).toBe('first')
  expect(readFileSync(first.pidFile, 'utf8')).toBe(String(first.pid))
})

it('knows a NATS server by its greeting', async () => {
  const greetings = ['HTTP/1.1 400 Bad Request\r\n\r\n', 'INFO {"server_name":\r\n', 'INFO {}', '']
  for (const greeting of greetings) {
    const server = createServer((socket) => socket.end(greeting)).listen({ port: 0, host: '127.0.0.1' })
    await once(server, 'listening')
    expect(await natsNameAt('127.0.0.1', (server.address() as AddressInfo).port)).toBeUndefined()
    server.close()
  }
  expect(await natsNameAt('127.0.0.1', 1)).toBeUndefined()
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
