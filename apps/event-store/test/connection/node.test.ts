/** The connection over the real event store, machine and log in one process; HTTP beside it is the witness. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeRecord } from '@synod/event-record'
import type { NodeMessage, StoredRecord } from '@synod/client-protocol'
import { ask, post } from '../http/served.ts'
import { FrameClient } from './frame-client.ts'
import { append, idOf, json, read, record, subscribe } from './records.ts'
import type { NodeMemory } from './solo-node-process.ts'
import { openSoloNode, type SoloNode } from './solo-node.ts'

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
const next = (): number => ++requests

function valueOf({ record: bytes }: StoredRecord): unknown {
  return JSON.parse(new TextDecoder().decode(decodeRecord(bytes).data))
}

/** The answer to one request, and what came of it before. */
async function answerTo(request: number): Promise<NodeMessage> {
  const all = await client.until((message) => 'request' in message && message.request === request)
  return all.at(-1) ?? { kind: 'pong' }
}

async function appended(stream: string, more: Parameters<typeof append>[1] = {}): Promise<NodeMessage> {
  const request = next()
  client.send(append(request, { stream, ...more }))
  return answerTo(request)
}

test('what is appended is read: here, and over HTTP, the same', async () => {
  const given = record({ n: 1 }, { type: 'Tÿpe', tags: ['x', 'ß'], metadata: json({ m: [1] }), id: idOf(1) })
  const before = Date.now()
  expect(await appended('both', { expected: 'noStream', records: [given, record({ n: 2 })] })).toMatchObject({
    kind: 'appended',
    revision: 1,
  })
  const request = next()
  client.send(read(request, { stream: 'both' }))
  const page = (await answerTo(request)) as Extract<NodeMessage, { kind: 'page' }>
  expect(page.events.map(({ stream, revision }) => ({ stream, revision }))).toEqual([
    { stream: 'both', revision: 0 },
    { stream: 'both', revision: 1 },
  ])
  const { body } = await ask(`${node.url}/streams/both`)
  const [overHttp] = body.events as Record<string, unknown>[]
  const [first] = page.events
  if (first === undefined) throw new Error('no event')
  const { recordedAt, data: _data, metadata: _metadata, ...content } = decodeRecord(first.record)
  expect(overHttp).toEqual({
    stream: 'both',
    revision: 0,
    position: first.position,
    ...content,
    data: { n: 1 },
    metadata: { m: [1] },
    recordedAt: new Date(recordedAt).toISOString(),
  })
  expect(recordedAt).toBeGreaterThanOrEqual(before)
  expect(recordedAt).toBeLessThanOrEqual(Date.now())
})

describe('an append', () => {
  test('again, with the same ids, has one effect and the same answer, over HTTP too', async () => {
    const first = await appended('again', { expected: 'noStream', records: [record(1, { id: idOf(100) }), record(2, { id: idOf(101) })] })
    const { request: _request, ...answer } = first as Extract<NodeMessage, { kind: 'appended' }>
    const second = await appended('again', { expected: 'noStream', records: [record(1, { id: idOf(100) }), record(2, { id: idOf(101) })] })
    expect(second).toMatchObject(answer)
    const events = [100, 101].map((id) => ({ id: `00000000-0000-4000-8000-${id.toString(16).padStart(12, '0')}`, type: 'A', data: 1 }))
    const overHttp = await post(`${node.url}/streams/again?expected=noStream`, JSON.stringify(events))
    expect(overHttp).toMatchObject({ status: 201, body: { revision: 1 } })
  })

  test.each([
    ['noStream', 0],
    ['streamExists', 'noStream'],
    [5, 0],
  ] as const)('that expects %s is refused with what is, as over HTTP', async (expected, actual) => {
    const stream = `expects ${expected}`
    if (actual === 0) await appended(stream)
    const refused = (await appended(stream, { expected })) as Extract<NodeMessage, { kind: 'refused' }>
    const { status, body } = await post(`${node.url}/streams/${encodeURIComponent(stream)}?expected=${expected}`, '[{"type":"A","data":1}]')
    expect(status).toBe(409)
    expect({ code: refused.code, message: refused.message, ...(JSON.parse(refused.details) as object) }).toEqual(body)
    expect(body).toMatchObject({ code: 'wrong_expected_revision', actual })
  })

  test.each([
    ['a reserved stream', '$s', record(), '[{"type":"A","data":1}]'],
    ['a long stream', 'x'.repeat(513), record(), '[{"type":"A","data":1}]'],
    ['a reserved type', 's', record(1, { type: '$A' }), '[{"type":"$A","data":1}]'],
    ['an empty tag', 's', record(1, { tags: [''] }), '[{"type":"A","data":1,"tags":[""]}]'],
    ['a large event', 's', record('x'.repeat(1_048_600)), JSON.stringify([{ type: 'A', data: 'x'.repeat(1_048_600) }])],
  ])('of %s is refused as over HTTP', async (_, stream, bytes, body) => {
    const refused = (await appended(stream, { records: [bytes] })) as Extract<NodeMessage, { kind: 'refused' }>
    const overHttp = await post(`${node.url}/streams/${encodeURIComponent(stream)}`, body)
    expect({ code: refused.code, message: refused.message }).toEqual(overHttp.body)
  })

  test('a thousand in one frame: all answered, in order of position, in few slots', async () => {
    const slots = (): number => node.life.status().appliedSlot
    const before = slots()
    const numbers = Array.from({ length: 1000 }, next)
    client.send(...numbers.map((request) => append(request, { stream: `many-${request % 10}` })))
    const answers = await Promise.all(numbers.map(answerTo))
    const positions = answers.map((answer) => (answer.kind === 'appended' ? answer.position : 0))
    expect(positions).toEqual(numbers.map((_, at) => (positions[0] ?? 0) + at))
    expect(slots() - before).toBeLessThan(20)
  })
})

describe('a subscription', () => {
  test('replays, then follows, in order and once, whoever appends', async () => {
    for (let n = 0; n < 3; n++) await appended('followed', { records: [record(n)] })
    await using follower = await FrameClient.connect(node.port)
    follower.send(subscribe(1, { stream: 'followed' }))
    await follower.next('caughtUp')
    for (let n = 3; n < 50; n++) {
      if (n % 2 === 0) await post(`${node.url}/streams/followed`, JSON.stringify([{ type: 'A', data: n }]))
      else await appended('followed', { records: [record(n)] })
    }
    const events = (messages: readonly NodeMessage[]): StoredRecord[] =>
      messages.flatMap((message) => (message.kind === 'events' ? message.events : []))
    await follower.until((message) => message.kind === 'events' && message.events.at(-1)?.revision === 49)
    expect(events(follower.messages).map(valueOf)).toEqual(Array.from({ length: 50 }, (_, n) => n))
    const [, , , fourth] = events(follower.messages)
    await using resumed = await FrameClient.connect(node.port)
    resumed.send(subscribe(1, { stream: 'followed', start: { kind: 'afterPosition', position: fourth?.position ?? 0 } }))
    await resumed.next('caughtUp')
    expect(events(resumed.messages).map(valueOf)).toEqual(Array.from({ length: 46 }, (_, n) => n + 4))
  })

  test('with little credit brings everything, as it is given', async () => {
    await using slow = await FrameClient.connect(node.port)
    const last = node.life.status().position
    slow.send(subscribe(1, { creditBytes: 1000 }))
    let positions: number[] = []
    while (positions.length < last) {
      const { events } = await slow.next('events')
      positions = positions.concat(events.map(({ position }) => position))
      slow.send({ kind: 'credit', request: 1, bytes: events.reduce((sum, { record: bytes }) => sum + bytes.length, 0) })
    }
    expect(positions).toEqual(Array.from({ length: last }, (_, at) => at + 1))
  })

  test.each([
    [{ stream: '' }, 'invalid_argument'],
    [{ stream: 'x'.repeat(600) }, 'too_large'],
  ])('of %o is refused', async (more, code) => {
    const request = next()
    client.send(subscribe(request, more))
    expect(await answerTo(request)).toMatchObject({ kind: 'refused', code })
  })
})

test.each([
  [{ stream: 'nowhere' }, 'stream_not_found'],
  [{ limit: 0 }, 'invalid_argument'],
  [{ limit: 4097 }, 'invalid_argument'],
])('a read of %o is refused', async (more, code) => {
  const request = next()
  client.send(read(request, more))
  expect(await answerTo(request)).toMatchObject({ kind: 'refused', code })
})

test('a node that did not run for a while does not hold it against its clients', async () => {
  const limits = JSON.stringify({ connectionSilenceMillisecondsMax: 500, subscriberStallMillisecondsMax: 500 })
  const child = fork(join(import.meta.dirname, 'solo-node-process.ts'), [limits])
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  await using patient = await FrameClient.connect(port)
  child.kill('SIGSTOP')
  await sleep(1_500)
  child.kill('SIGCONT')
  patient.send(append(1))
  await patient.next('appended')
  await sleep(300)
  child.send('memory')
  const [{ connections }] = (await once(child, 'message')) as [NodeMemory]
  expect(connections).toMatchObject({ connections: 1, silentEnded: 0 })
  child.disconnect()
  await once(child, 'exit')
})

test('a node that begins to stop tells its clients at once, before it is closed', async () => {
  await using own = await openSoloNode()
  await using told = await FrameClient.connect(own.port)
  own.life.stopping()
  expect(await told.next('topology')).toMatchObject({ isServing: false })
  told.send(append(1))
  expect(await told.next('refused')).toMatchObject({ code: 'unavailable', message: 'n1 is stopping: ask another node' })
})
