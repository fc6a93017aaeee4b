import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostgres } from '@synod/servers'
import { startCluster, type LocalCluster } from '@synod/event-store'
import { append, appendOnce, readAll, readEverywhere, requireAcknowledged, type Acknowledged } from './client.ts'

const acknowledged: Acknowledged[] = []
let cluster: LocalCluster
beforeAll(async () => void (cluster = await startCluster({ arguments: ['--no-restart'] })), 120_000)
afterAll(() => cluster?.remove(), 60_000)

interface NodeFile {
  id: string
  http: { port: number }
  peers: Record<string, { url: string }>
  store: { options: Record<string, string> }
  readSide: { options: Record<string, string> }
}

/** A node of its own beside the cluster: what it says of itself, and its end. */
async function saysWhyNotReady(config: NodeFile): Promise<{ readonly message: string; readonly code: number | null }> {
  const file = join(cluster.data, 'other.json')
  writeFileSync(file, JSON.stringify(config))
  const main = join(import.meta.dirname, '../../src/main.ts')
  const child = spawn(process.execPath, [main, 'node', '--config', file], { stdio: ['ignore', 'ignore', 'ignore'] })
  const exit = once(child, 'exit')
  const message = await cluster.until('the node to say why it is not ready', 30_000, async () => {
    const response = await fetch(`http://127.0.0.1:${config.http.port}/health/ready`).catch(() => undefined)
    const text = await response?.text()
    return response?.status === 503 && /belongs/.test(text ?? '') ? text : undefined
  })
  child.kill('SIGTERM')
  const [code] = (await exit) as [number | null]
  return { message, code }
}

describe('three nodes of which some are dead, wiped or strangers', { timeout: 120_000 }, () => {
  test('one dead of three: appends go on', async () => {
    acknowledged.push(await append(cluster, 's', 1))
    await cluster.kill('n3')
    for (let n = 0; n < 20; n++) acknowledged.push(await append(cluster, 's', { n }))
    const answer = await cluster.describe('n1')
    expect(answer.nodes[2]).toMatchObject({ id: 'n3', pid: null, state: 'unreachable' })
  })

  test('two dead of three: 503 in time, with the reason; the last one still says what it has', async () => {
    await cluster.kill('n2')
    const url = cluster.url('n1')
    // The first one may wait for a quorum that is gone; it is told in time all the same.
    for (let n = 0; n < 3; n++) {
      const askedAt = performance.now()
      const response = await appendOnce(url, 's', 'lost?')
      expect(performance.now() - askedAt).toBeLessThan(4500)
      expect({ status: response.status, retry: response.headers.get('retry-after') }).toEqual({ status: 503, retry: '1' })
      expect(await response.json()).toMatchObject({ code: 'unavailable' })
    }
    await cluster.until('n1 to say that it is not ready', 10_000, async () => ((await cluster.isReady('n1')) ? undefined : true))
    expect((await fetch(`${url}/events`)).status).toBe(503)
    expect((await fetch(`${url}/health/live`)).status).toBe(200)
    expect((await cluster.describe('n1')).nodes.map(({ pid }) => pid === null)).toEqual([false, true, true])
    requireAcknowledged(await readAll(url), acknowledged)
  })

  test('started again: nothing is lost', async () => {
    expect(await cluster.stop()).toBe(0)
    await cluster.start()
    requireAcknowledged(await readEverywhere(cluster), acknowledged)
  })

  test('with the store of another node, or of another cluster, a node takes no part, says so, and does not touch it', async () => {
    await cluster.stop()
    await using postgres = await startPostgres({ dataDir: join(cluster.data, 'n1', 'postgres') }).then((server) => ({
      ...server,
      [Symbol.asyncDispose]: () => server.stop(),
    }))
    const own = JSON.parse(readFileSync(join(cluster.data, 'n1', 'config.json'), 'utf8')) as NodeFile & { cluster: string }
    const options = { connectionString: postgres.connectionString }
    const at = { ...own, store: { ...own.store, options }, readSide: { ...own.readSide, options } }
    const asOther = await saysWhyNotReady({ ...at, id: 'n2', http: own.http } as NodeFile)
    expect(asOther).toMatchObject({ code: 0, message: expect.stringMatching(/belongs to node n1, not to n2/) as string })
    const asStranger = await saysWhyNotReady({ ...at, cluster: 'f'.repeat(32) } as NodeFile)
    expect(asStranger).toMatchObject({ code: 0, message: expect.stringMatching(new RegExp(`belongs to cluster ${own.cluster}`)) as string })
  })

  test('a wiped store stays alive, says so, never votes; the others go on', async () => {
    rmSync(join(cluster.data, 'n3', 'postgres'), { recursive: true })
    await cluster.start()
    expect(await cluster.describe('n3').then(({ nodes }) => nodes[2])).toMatchObject({ id: 'n3', state: 'wiped', position: 0 })
    const url = cluster.url('n3')
    for (const path of ['/health/ready', '/events', '/events?consistency=local', '/streams/s?consistency=local', '/events/subscription']) {
      const response = await fetch(url + path)
      expect({ path, status: response.status }).toEqual({ path, status: 503 })
      expect(await response.json()).toMatchObject({ code: 'unavailable', message: expect.stringMatching(/wiped/) as string })
    }
    expect((await appendOnce(url, 's', 1)).status).toBe(503)
    expect((await fetch(`${url}/health/live`)).status).toBe(200)
    acknowledged.push(await append(cluster, 's', 'two of three'))
    // n3 and one other are no quorum: n3 does not count.
    await cluster.kill('n2')
    expect((await appendOnce(cluster.url('n1'), 's', 'no')).status).toBe(503)
  })

  test('a majority wiped never founds a cluster of its own', async () => {
    expect(await cluster.stop()).toBe(0)
    renameSync(join(cluster.data, 'n2', 'postgres'), join(cluster.data, 'n2-postgres-aside'))
    await expect(
      Promise.race([
        cluster.start(),
        cluster.until('two wiped nodes', 60_000, () => (cluster.printed.match(/^n\d takes no part/gm)?.length === 2 ? 'waits' : undefined)),
      ]),
    ).resolves.toBe('waits')
    await cluster.stop()
    rmSync(join(cluster.data, 'n2', 'postgres'), { recursive: true })
    renameSync(join(cluster.data, 'n2-postgres-aside'), join(cluster.data, 'n2', 'postgres'))
    await cluster.start()
    requireAcknowledged(await readEverywhere(cluster, ['n1', 'n2']), acknowledged)
  })
})
