/** Conditions, filters, retention and groups over the real event store, machine and log in one process, over HTTP and the connection. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { NodeMessage, StoredRecord } from '@synod/client-protocol'
import { FrameClient } from '../connection/frame-client.ts'
import { appendAtomically, call, query, record } from '../connection/records.ts'
import { openSoloNode, type SoloNode } from '../connection/solo-node.ts'
import { ask, post, type Answer } from './served.ts'

let node: SoloNode
let client: FrameClient
beforeAll(async () => {
  node = await openSoloNode()
  client = await FrameClient.connect(node.port)
})
afterAll(async () => {
  await client?.close()
  await node?.close()
})

let requests = 0
const append = (body: unknown, headers?: Record<string, string>): Promise<Answer> =>
  post(`${node.url}/append`, JSON.stringify(body), headers)
const event = (type: string, ...tags: string[]) => ({ type, data: { of: tags }, tags })
const write = (stream: string, ...events: object[]) => ({ stream, events })
const get = (path: string): Promise<Answer> => ask(node.url + path)
const positions = ({ body }: Answer): number[] => (body.events as { position: number }[]).map(({ position }) => position)

async function answerTo(request: number): Promise<NodeMessage> {
  const all = await client.until((message) => 'request' in message && message.request === request)
  return all.at(-1) ?? { kind: 'pong' }
}

describe('an append to several streams', () => {
  test('has one effect, and the answer stays the same under the key and by its ids', async () => {
    const ids = ['a', 'b'].map(() => crypto.randomUUID())
    const body = {
      writes: [
        { stream: 'one', expected: 'noStream', events: [{ ...event('A'), id: ids[0] }] },
        { stream: 'two', expected: 'noStream', events: [{ ...event('A'), id: ids[1] }, event('B')] },
      ],
      checks: [{ stream: 'three', expected: 'noStream' }],
      condition: { failIfEventsMatch: { items: [{ types: ['A'], tags: ['never'] }] } },
    }
    const first = await append(body, { 'idempotency-key': 'several' })
    expect(first).toMatchObject({
      status: 201,
      body: {
        streams: [
          { stream: 'one', revision: 0 },
          { stream: 'two', revision: 1 },
        ],
      },
    })
    expect(await append(body, { 'idempotency-key': 'several' })).toMatchObject({ status: 201, body: first.body })
    expect(positions(await get('/streams/two'))).toHaveLength(2)
    const changed = { ...body, writes: body.writes.toReversed() }
    expect(await append(changed, { 'idempotency-key': 'several' })).toMatchObject({ status: 409, body: { code: 'idempotency_key_reused' } })
  })

  test('that violates anything writes nothing, and tells all of it', async () => {
    const { body: before } = await append({ writes: [write('told', event('T', 'seat:1'))] })
    const { status, body } = await append({
      writes: [{ stream: 'told', expected: 'noStream', events: [event('T')] }, write('untouched', event('T'))],
      checks: [{ stream: 'absent', expected: 4 }],
      condition: { failIfEventsMatch: { items: [{ tags: ['seat:1'] }] } },
    })
    expect({ status, ...body }).toMatchObject({
      status: 409,
      code: 'wrong_expected_revision',
      violations: [
        { kind: 'revision', stream: 'told', expected: 'noStream', actual: 0 },
        { kind: 'revision', stream: 'absent', expected: 4, actual: 'noStream' },
        { kind: 'condition', position: before.position },
      ],
    })
    expect((await get('/streams/untouched')).status).toBe(404)
  })

  test('over the connection is judged by the same condition', async () => {
    const { body } = await append({ writes: [write('seats', event('Taken', 'seat:2'))] })
    const attempt = (after?: number): Promise<NodeMessage> => {
      const request = ++requests
      const condition = { failIfEventsMatch: { items: [{ types: ['Taken'], tags: ['seat:2'] }] }, ...(after !== undefined && { after }) }
      client.send(appendAtomically(request, { writes: [{ stream: 'seats', expected: 'any', records: [record()] }], condition }))
      return answerTo(request)
    }
    const refused = await attempt()
    expect(refused).toMatchObject({ kind: 'refused', code: 'condition_failed' })
    if (refused.kind === 'refused')
      expect(JSON.parse(refused.details)).toEqual({ violations: [{ kind: 'condition', position: body.position }] })
    expect(await attempt(Number(body.position))).toMatchObject({ kind: 'atomicallyAppended', revisions: [1] })
  })

  test('races of sixteen for one name have one winner', async () => {
    const claims = await Promise.all(
      Array.from({ length: 16 }, (_, at) =>
        append({
          writes: [write(`user-${at}`, event('Claimed', 'name:ada'))],
          condition: { failIfEventsMatch: { items: [{ tags: ['name:ada'] }] } },
        }),
      ),
    )
    expect(claims.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, ...Array<number>(15).fill(409)])
    expect(positions(await get('/events?tags=name:ada'))).toHaveLength(1)
  })
})

describe('filters', () => {
  test('combine by AND, and a comma inside a value is no separator', async () => {
    await append({
      writes: [
        write('order-1', event('Placed', 'a,b', 'x'), event('Paid', 'x')),
        write('order-2', event('Placed', 'x')),
        write('invoice-1', event('Placed', 'a,b')),
      ],
    })
    const found = async (filter: string): Promise<string[]> => {
      const { body } = await get(`/events?${filter}`)
      return (body.events as { stream: string; type: string }[]).map(({ stream, type }) => `${stream} ${type}`)
    }
    expect(await found('category=order&types=Placed')).toEqual(['order-1 Placed', 'order-2 Placed'])
    expect(await found('types=Placed,Paid&tags=x')).toEqual(['order-1 Placed', 'order-1 Paid', 'order-2 Placed'])
    expect(await found(`tags=${encodeURIComponent('a,b')}`)).toEqual(['order-1 Placed', 'invoice-1 Placed'])
    expect(await found(`tags=${encodeURIComponent('a,b')},x`)).toEqual(['order-1 Placed'])
    expect(await found('prefix=order-2,invoice&types=Placed')).toEqual(['order-2 Placed', 'invoice-1 Placed'])
    expect(await found('category=order&direction=backward&limit=1')).toEqual(['order-2 Placed'])
    expect(await found('types=Nothing')).toEqual([])
  })

  test('over the connection give the same, and how far was looked', async () => {
    const overHttp = await get('/events?types=Placed')
    const request = ++requests
    client.send(query(request, { filter: { items: [{ types: ['Placed'] }] } }))
    const page = await answerTo(request)
    expect(page).toMatchObject({ kind: 'queryPage', isEnd: true, considered: node.life.status().position })
    expect(page.kind === 'queryPage' ? page.events.map(({ position }: StoredRecord) => position) : []).toEqual(positions(overHttp))
    expect(overHttp.body).toMatchObject({ isEnd: true, considered: node.life.status().position })
  })

  test('of a subscription let pass what matches, and the checkpoint moves past the rest', async () => {
    const request = ++requests
    const filter = { categories: ['followed'] }
    client.send({ kind: 'subscribeFiltered', request, filter, start: { kind: 'beginning' }, creditBytes: 1_000_000 })
    await client.until((message) => message.kind === 'caughtUp' && message.request === request)
    const first = await append({ writes: [write('other', event('A')), write('followed-1', event('A'))] })
    await client.until((message) => message.kind === 'events' && message.request === request)
    const events = client.messages.flatMap((message) => (message.kind === 'events' && message.request === request ? message.events : []))
    expect(events.map(({ stream, position }) => [stream, position])).toEqual([['followed-1', first.body.position]])
    client.send({ kind: 'cancel', request })
  })

  test('of server-sent events let pass what matches, and `id` moves past the rest', async () => {
    const { body } = await append({ writes: [write('sse-1', event('Wanted', 'sse')), write('sse-2', event('Other', 'sse'))] })
    const controller = new AbortController()
    const response = await fetch(`${node.url}/events/subscription?types=Wanted&tags=sse`, { signal: controller.signal })
    let text = ''
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk
      if (text.includes('event: checkpoint')) break
    }
    controller.abort()
    const last = Number(body.position)
    expect([...text.matchAll(/^id: (\d+)\nevent: (\w+)$/gm)].map(([, id, kind]) => [Number(id), kind])).toEqual([
      [last - 1, 'event'],
      [last, 'caughtUp'],
      [last, 'checkpoint'],
    ])
  })

  test('atLeast waits until the node is there', async () => {
    const head = node.life.status().position
    const waiting = get(`/events?consistency=local&direction=backward&limit=1&atLeast=${head + 1}`)
    await append({ writes: [write('waited', event('A'))] })
    expect(positions(await waiting)).toEqual([head + 1])
  })
})

describe('a stream', () => {
  const put = (path: string, body: unknown): Promise<Answer> => ask(node.url + path, { method: 'PUT', body: JSON.stringify(body) })
  const destroy = (path: string): Promise<Answer> => ask(node.url + path, { method: 'DELETE' })

  test('says how long it is, keeps what it is told, can be deleted and used again, and ended', async () => {
    await append({ writes: [write('kept', ...Array.from({ length: 5 }, () => event('A')))] })
    expect((await get('/streams/kept/info')).body).toMatchObject({
      firstRevision: 0,
      lastRevision: 4,
      length: 5,
      lastEvent: { revision: 4 },
    })
    expect(await put('/streams/kept/metadata', { maxCount: 2, custom: { owner: 'me' } })).toMatchObject({
      status: 200,
      body: { version: 1 },
    })
    expect((await get('/streams/kept/metadata')).body).toEqual({
      stream: 'kept',
      metadata: { maxCount: 2, custom: { owner: 'me' } },
      version: 1,
      state: 'open',
    })
    expect(positions(await get('/streams/kept'))).toHaveLength(2)
    const { headers } = await ask(`${node.url}/streams/kept`, { method: 'HEAD' })
    expect([headers.get('synod-first-revision'), headers.get('synod-length')]).toEqual(['3', '2'])
    expect(await destroy('/streams/kept?expected=1')).toMatchObject({ status: 409, body: { code: 'wrong_expected_revision', actual: 4 } })
    expect(await destroy('/streams/kept?expected=4')).toMatchObject({ status: 200, body: { state: 'deleted' } })
    expect((await get('/streams/kept')).status).toBe(404)
    expect((await ask(`${node.url}/streams/kept`, { method: 'HEAD' })).status).toBe(404)
    expect(await append({ writes: [{ ...write('kept', event('A')), expected: 'noStream' }] })).toMatchObject({
      status: 201,
      body: { streams: [{ revision: 5 }] },
    })
    expect(await destroy('/streams/kept?hard=true')).toMatchObject({ status: 200, body: { state: 'tombstoned' } })
    expect(await append({ writes: [write('kept', event('A'))] })).toMatchObject({ status: 410, body: { code: 'stream_tombstoned' } })
    expect(await get('/streams/kept')).toMatchObject({ status: 410, body: { code: 'stream_tombstoned' } })
    expect((await destroy('/streams/never-was')).status).toBe(404)
  })
})

describe('a group', () => {
  test('is made, consumed, tells how it is, replays what it parked, and ends', async () => {
    const group = `${node.url}/groups/g`
    const put = (definition: object): Promise<Answer> => ask(group, { method: 'PUT', body: JSON.stringify(definition) })
    const definition = { filter: { categories: ['work'] }, partitions: 2 }
    expect(await put(definition)).toMatchObject({ status: 200, body: { group: 'g', definition } })
    expect(await put({ ...definition, partitions: 3 })).toMatchObject({ status: 409, body: { code: 'group_exists' } })
    await append({ writes: [write('work-1', event('A'), event('B')), write('elsewhere', event('A'))] })
    const request = ++requests
    client.send({ kind: 'consume', request, group: 'g', consumer: 'me', creditBytes: 1_000_000 })
    const isOf = (kind: NodeMessage['kind']) => (message: NodeMessage) =>
      message.kind === kind && 'request' in message && message.request === request
    await client.until(isOf('groupEvents'))
    const first = client.messages.find(isOf('groupEvents'))
    if (first?.kind !== 'groupEvents') throw new Error('no events')
    const { generation } = first
    const [event1] = first.events
    expect(event1).toMatchObject({ stream: 'work-1', revision: 0, attempt: 1 })
    client.send({ kind: 'reject', request, generation, position: event1?.position ?? 0, rejection: 'park', reason: 'broken' })
    await vi.waitFor(async () => expect((await get('/groups/g')).body).toMatchObject({ parked: 2 }), 10_000)
    expect((await get('/groups/g/parked')).body.parked).toMatchObject([
      { event: { stream: 'work-1', revision: 0 }, reason: 'broken' },
      { event: { stream: 'work-1', revision: 1 }, reason: 'follows' },
    ])
    expect((await get('/groups')).body).toMatchObject({ groups: [{ group: 'g', consumers: [{ consumer: 'me' }] }] })
    expect(await post(`${group}/replay`, '{}')).toMatchObject({ status: 200, body: { replayed: 2 } })
    await vi.waitFor(() => expect(client.messages.filter(isOf('groupEvents')).length).toBeGreaterThan(1), 10_000)
    const listed = ++requests
    client.send(call(listed, 'listGroups', {}))
    expect(await answerTo(listed)).toMatchObject({ kind: 'result', result: expect.stringContaining('"group":"g"') as string })
    expect((await ask(group, { method: 'DELETE' })).status).toBe(204)
    await client.until((message) => message.kind === 'refused' && message.request === request)
    expect(client.messages.find(isOf('refused'))).toMatchObject({ code: 'group_not_found' })
    expect((await get('/groups/g')).status).toBe(404)
  })
})
