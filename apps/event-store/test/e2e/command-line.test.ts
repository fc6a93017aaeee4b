import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LocalCluster } from '@synod/event-store'
import { append, readEverywhere, requireAcknowledged, type Acknowledged } from './client.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const data = mkdtempSync(join(tmpdir(), 'synod-command-line-'))
afterAll(() => rmSync(data, { recursive: true, force: true }))

async function run(
  given: readonly string[],
  environment: NodeJS.ProcessEnv = { SYNOD_DATA: data },
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const child = spawn(process.execPath, [main, ...given], { env: { ...process.env, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] })
  let [out, err] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
  const [code] = (await once(child, 'close')) as [number]
  return { code, out, err }
}

describe('the command line', { timeout: 60_000 }, () => {
  test.each([
    [['start', '--bogus'], /unknown option '--bogus'/],
    [['start', '--nodes', 'many'], /--nodes <count>.*'many'.*integers from 1 to 15/],
    [['start', '--nodes', '0'], /integers from 1 to 15/],
    [['start', '--port', '99999'], /integers from 1 to 65535/],
    [['start', '--paxos', 'fast'], /allowed are basic, multi/],
    [['start', '--paxos', 'basic', '--consensus', 'other'], /--paxos is an option of @synod\/consensus-paxos/],
    [['start', 'now'], /too many arguments/],
    [['node'], /required option '--config <file>'/],
    [['frobnicate'], /unknown command 'frobnicate'/],
    [[], /Usage: synod/],
  ])('%j is wrong usage', async (given, message) => {
    const { code, err } = await run(given)
    expect(err).toMatch(message)
    expect(code).toBe(2)
    expect(readdirSync(data)).toEqual([])
  })

  test.each([[['--help']], [['start', '--help']], [['node', '--help']], [['init', '--help']]])('%j helps', async (given) => {
    const { code, out } = await run(given)
    expect(code).toBe(0)
    expect(out).toMatch(/Usage: synod/)
  })

  test('a configuration that is not there, or wrong, is refused with 78', async () => {
    const { code, err } = await run(['node', '--config', join(data, 'nope.json')])
    expect(err).toMatch(/nope\.json: cannot be read \(ENOENT\)/)
    expect(code).toBe(78)
    const init = await run(['init', '--config', join(data, 'nope.json')])
    expect(init.code).toBe(1)
  })

  test('a package that is not there is refused before anything is founded', async () => {
    const { code, err } = await run(['start', '--consensus', '@synod/nowhere', '--port', '19200', '--nodes', '1'])
    expect(err).toMatch(/package @synod\/nowhere is found neither/)
    expect(code).toBe(1)
    const transport = await run(['start', '--transport', '@synod/nothing', '--port', '19200'])
    expect(transport.err).toMatch(/package @synod\/nothing is found neither/)
    expect(readdirSync(data)).toEqual([])
  })

  test('a port that is taken: which, and what to do; nothing is left', async () => {
    const server = createServer().listen({ port: 0, host: '127.0.0.1' })
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const { code, err } = await run(['start', '--port', String(port)])
    server.close()
    expect(err).toMatch(new RegExp(`port ${port} at 127\\.0\\.0\\.1, for node n1, is in use.*--port`))
    expect(code).toBe(1)
    expect(readdirSync(data)).toEqual([])
  })
})

describe('a data folder', { timeout: 120_000 }, () => {
  const acknowledged: Acknowledged[] = []
  let cluster: LocalCluster
  beforeAll(async () => {
    cluster = new LocalCluster({ nodes: 1, arguments: ['--paxos', 'basic'] })
    await cluster.start()
  }, 120_000)
  afterAll(() => cluster?.remove(), 60_000)

  test('one node is a cluster too, without a leader in basic mode', async () => {
    acknowledged.push(await append(cluster, 's', 1))
    expect(await cluster.describe()).toMatchObject({
      role: 'replica',
      leader: null,
      mode: 'basic',
      nodes: [{ id: 'n1', state: 'serving' }],
    })
  })

  test('is one start’s at a time', async () => {
    const { code, err } = await run(['start', '--port', String(cluster.port + 5)], { SYNOD_DATA: cluster.data })
    expect(err).toMatch(new RegExp(`process ${cluster.pid} `))
    expect(code).toBe(1)
  })

  test('a second cluster at the same ports is refused, at others it is another cluster', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'synod-second-'))
    const { code, err } = await run(['start', '--nodes', '1', '--port', String(cluster.port)], { SYNOD_DATA: elsewhere })
    expect(err).toMatch(new RegExp(`port ${cluster.port} `))
    expect(code).toBe(1)
    rmSync(elsewhere, { recursive: true })
    await using second = new LocalCluster({ nodes: 1 })
    await second.start()
    expect((await second.describe()).cluster).not.toBe((await cluster.describe()).cluster)
    expect((await append(second, 'mine', 1)).position).toBe(1)
    expect(await readEverywhere(cluster, ['n1'])).toHaveLength(1)
  })

  test('what is there is not taken for something else', async () => {
    expect(await cluster.stop('SIGINT')).toBe(0)
    const environment = { SYNOD_DATA: cluster.data }
    const size = await run(['start', '--nodes', '3'], environment)
    expect(size.err).toMatch(/holds a cluster of 1 nodes .*not of 3 \(--nodes\)/)
    const mode = await run(['start', '--paxos', 'multi'], environment)
    expect(mode.err).toMatch(/"mode":"basic".*not with .*"mode":"multi"/)
    expect([size.code, mode.code]).toEqual([1, 1])
    await cluster.start()
    requireAcknowledged(await readEverywhere(cluster, ['n1']), acknowledged)
  })

  test('two signals stop it as one does', async () => {
    process.kill(cluster.pid, 'SIGINT')
    expect(await cluster.stop('SIGTERM')).toBe(0)
  })
})
