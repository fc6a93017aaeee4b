/** The HTTP layer over the real event store, machine and log in one process; only disks and wires are memory. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { composeNode, foundStore, nodeConfigSchema, NodeLife, openHttpServer, type ComposedNode, type HttpServer } from '@synod/event-store'
import { ask, post } from './served.ts'

const adapters = join(import.meta.dirname, '../fixtures/memory-adapters.ts')
const solo = join(import.meta.dirname, '../fixtures/solo-loglet.ts')

function configOf(disk: string, consensus = { package: solo, options: {} }) {
  return nodeConfigSchema.parse({
    id: 'n1',
    cluster: 'c'.repeat(32),
    peers: { n1: { address: disk, url: 'http://127.0.0.1:1', incarnation: '1'.repeat(32) } },
    http: { port: 1 },
    consensus,
    transport: { package: adapters },
    store: { package: adapters, options: { disk } },
    readSide: { package: adapters },
  })
}

async function open(
  disk: string,
  consensus?: { package: string; options: Record<string, unknown> },
  isFounded = true,
): Promise<{ url: string; close(): Promise<void> }> {
  const config = configOf(disk, consensus)
  if (isFounded) await foundStore(config, import.meta.filename)
  const life = new NodeLife(config)
  const failed: Error[] = []
  const node: ComposedNode = await composeNode(config, import.meta.filename, {
    onFailure: (error) => failed.push(error),
    warn: () => undefined,
  })
  life.started(node)
  const http: HttpServer = await openHttpServer({
    host: '127.0.0.1',
    port: 0,
    node: life,
    limits: config.limits,
    logger: pino({ level: 'silent' }),
  })
  const url = `http://127.0.0.1:${http.port}`
  return {
    url,
    async close() {
      await http.close()
      await node.close()
      expect(failed).toEqual([])
    },
  }
}

describe.each([
  ['a loglet of somebody’s own', undefined],
  ['Multi-Paxos', { package: '@synod/consensus-paxos', options: { mode: 'multi' } }],
  ['basic Paxos', { package: '@synod/consensus-paxos', options: { mode: 'basic' } }],
])('one node in one process with %s', (name, consensus) => {
  let node: Awaited<ReturnType<typeof open>>
  const at = (path: string): string => node.url + path
  const one = (data: unknown, more: object = {}): string => JSON.stringify([{ type: 'A', data, ...more }])
  beforeAll(async () => {
    node = await open(name, consensus)
    await vi.waitFor(async () => expect((await ask(at('/health/ready'))).status).toBe(200), 10_000)
  })
  afterAll(() => node?.close())

  test('an empty store is no error, an absent stream is', async () => {
    expect(await ask(at('/events'))).toMatchObject({ status: 200, body: { events: [] } })
    expect(await ask(at('/events?direction=backward'))).toMatchObject({ status: 200, body: { events: [] } })
    expect(await ask(at('/streams/nope'))).toMatchObject({ status: 404, body: { code: 'stream_not_found' } })
    expect(await ask(at('/streams/nope?consistency=local'))).toMatchObject({ status: 404, body: { code: 'stream_not_found' } })
  })

  test('what is appended is read, from each end and across it', async () => {
    for (let n = 0; n < 5; n++) expect((await post(at('/streams/s'), one({ n }))).body).toEqual({ revision: n, position: n + 1 })
    const revisions = async (query: string): Promise<unknown[]> => {
      const { status, body } = await ask(at(`/streams/s${query}`))
      expect(status).toBe(200)
      return (body.events as { revision: number }[]).map(({ revision }) => revision)
    }
    expect(await revisions('')).toEqual([0, 1, 2, 3, 4])
    expect(await revisions('?from=3')).toEqual([3, 4])
    expect(await revisions('?from=5')).toEqual([])
    expect(await revisions('?from=9007199254740991')).toEqual([])
    expect(await revisions('?direction=backward&limit=2')).toEqual([4, 3])
    expect(await revisions('?direction=backward&from=1')).toEqual([1, 0])
    expect(await revisions('?direction=backward&from=9007199254740991&limit=1')).toEqual([4])
    const positions = async (query: string): Promise<unknown[]> =>
      ((await ask(at(`/events${query}`))).body.events as { position: number }[]).map(({ position }) => position)
    expect(await positions('?from=0&limit=2')).toEqual([1, 2])
    expect(await positions('?from=1&limit=2')).toEqual([1, 2])
    expect(await positions('?direction=backward&from=2')).toEqual([2, 1])
    expect(await positions('?from=6')).toEqual([])
  })

  test('an append is one thing, and answers with its last event', async () => {
    const body = JSON.stringify([1, 2, 3].map((data) => ({ type: 'A', data })))
    expect((await post(at('/streams/batch'), body)).body).toMatchObject({ revision: 2 })
  })

  test.each([
    ['noStream', 409],
    ['0', 409],
    ['9007199254740991', 409],
    ['1', 201],
    ['streamExists', 201],
    ['any', 201],
  ])('expected=%s of a stream at 1: %i', async (expected, status) => {
    const stream = `expected-${expected}`
    await post(at(`/streams/${stream}`), JSON.stringify([1, 2].map((data) => ({ type: 'A', data }))))
    const answer = await post(at(`/streams/${stream}?expected=${expected}`), one(1))
    expect(answer.status).toBe(status)
    if (status === 409) {
      expect(answer.body).toMatchObject({
        code: 'wrong_expected_revision',
        expected: /\d/.test(expected) ? Number(expected) : expected,
        actual: 1,
      })
    }
  })

  test('streamExists of none: 409 with noStream', async () => {
    const answer = await post(at('/streams/none?expected=streamExists'), one(1))
    expect(answer).toMatchObject({ status: 409, body: { code: 'wrong_expected_revision', expected: 'streamExists', actual: 'noStream' } })
  })

  test('a key answers as it did, and belongs to one request', async () => {
    const headers = { 'idempotency-key': randomUUID() }
    const first = await post(at('/streams/keyed?expected=noStream'), one(1), headers)
    expect(first.status).toBe(201)
    expect(await post(at('/streams/keyed?expected=noStream'), one(1), headers)).toMatchObject({ status: 201, body: first.body })
    expect(await post(at('/streams/keyed'), one(2), headers)).toMatchObject({ status: 409, body: { code: 'idempotency_key_reused' } })
  })

  test('the same ids are the same append, some of them are a conflict', async () => {
    const [a, b] = [randomUUID(), randomUUID()]
    const first = await post(at('/streams/ids?expected=noStream'), one(1, { id: a }))
    expect(await post(at('/streams/ids?expected=noStream'), one(1, { id: a.toUpperCase() }))).toMatchObject({
      status: 201,
      body: first.body,
    })
    const partly = JSON.stringify([a, b].map((id) => ({ id, type: 'A', data: 1 })))
    expect(await post(at('/streams/ids'), partly)).toMatchObject({ status: 409, body: { code: 'event_id_conflict' } })
  })

  test.each([
    ['an event of more than 1 MiB', '/streams/s', one('x'.repeat(1_048_600)), 413, 'too_large'],
    ['a stream’s name of more than 512 bytes', `/streams/${'x'.repeat(513)}`, one(1), 413, 'too_large'],
    ['a stream’s name that is reserved', '/streams/%24system', one(1), 400, 'invalid_argument'],
    ['a type that is reserved', '/streams/s', JSON.stringify([{ type: '$x', data: 1 }]), 400, 'invalid_argument'],
    ['65 tags', '/streams/s', one(1, { tags: Array.from({ length: 65 }, String) }), 413, 'too_large'],
    ['no name', '/streams/', one(1), 400, 'invalid_argument'],
  ])('%s', async (_what, path, body, status, code) => {
    expect(await post(at(path), body)).toMatchObject({ status, body: { code } })
  })

  test.each(['a\u0000b', 'a/b', '../x', '100%', '🛩', ' ', '"', 'a\nb'])('a stream may be called %j', async (stream) => {
    const path = `/streams/${encodeURIComponent(stream)}`
    expect((await post(at(path), one({ stream }, { metadata: { m: stream }, tags: [stream] }))).status).toBe(201)
    expect((await ask(at(path))).body).toMatchObject({ events: [{ stream, data: { stream }, metadata: { m: stream }, tags: [stream] }] })
  })

  test('data comes back byte for byte', async () => {
    const data = '{"n": 12345678901234567890, "s": "\\u0000\\ud800 ü", "d": 1.0}'
    await post(at('/streams/bytes'), `[{"type":"A","data":${data}}]`)
    expect(await (await fetch(at('/streams/bytes'))).text()).toContain(`"data":${data},`)
  })

  test('what is appended while somebody follows is delivered once, in order', async () => {
    const controller = new AbortController()
    const response = await fetch(at('/streams/followed/subscription'), { signal: controller.signal })
    const appending = Promise.all(Array.from({ length: 50 }, (_, n) => post(at('/streams/followed'), one(n))))
    let text = ''
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk
      if (text.split('event: event').length === 51 && text.endsWith('\n\n')) break
    }
    await appending
    expect([...text.matchAll(/"revision":(\d+)/g)].map(([, revision]) => Number(revision))).toEqual(Array.from({ length: 50 }, (_, n) => n))
    expect(text).toContain('event: caughtUp')
    controller.abort()
  })
})

test('a store without a genesis record: 503 with the reason everywhere, and alive', async () => {
  const node = await open('never founded', undefined, false)
  for (const path of ['/health/ready', '/events', '/events?consistency=local', '/streams/s?consistency=local', '/events/subscription']) {
    const { status, body, headers } = await ask(node.url + path)
    expect({ path, status, code: body.code, retry: headers.get('retry-after') }).toEqual({
      path,
      status: 503,
      code: 'unavailable',
      retry: '1',
    })
    expect(body.message).toMatch(/wiped/)
  }
  expect((await post(`${node.url}/streams/s`, '[{"type":"A","data":1}]')).status).toBe(503)
  expect(await ask(`${node.url}/cluster`)).toMatchObject({
    status: 200,
    body: { leader: null, nodes: [{ state: 'wiped', pid: process.pid }] },
  })
  expect((await ask(`${node.url}/health/live`)).status).toBe(200)
  await node.close()
})
