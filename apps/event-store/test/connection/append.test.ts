import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { decodeRecord, type EventToRecord } from '@synod/event-record'
import { EventStoreError, WrongExpectedRevisionError, type Appended } from '@synod/events'
import { post, ScriptedStore, serve, type Served } from '../http/served.ts'
import { FrameClient } from './frame-client.ts'
import { append, json, record, untilAborted } from './records.ts'

let served: Served
let client: FrameClient
beforeAll(async () => void (served = await serve({ answerMillisecondsMax: 300, connectionRequestsMax: 300, jsonDepthMax: 8 })))
afterAll(() => served.close())
beforeEach(async () => {
  served.state = 'serving'
  served.store.recordAppends.length = 0
  const fresh = new ScriptedStore()
  served.store.onAppend = fresh.onAppend
  served.store.onAppendRecords = (_, signal) => served.store.onAppend(signal)
  client = await FrameClient.connect(served.port)
  return () => client.close()
})

describe('appends', () => {
  test('are handed on as they came and answered by their numbers', async () => {
    const records = [record({ a: 1 }, { tags: ['x'] }), record(2, { metadata: json('m') })]
    const before = records.map((bytes) => bytes.slice())
    client.send(append(7, { stream: 'a/b ü', expected: 3, records }))
    expect(await client.next('appended')).toEqual({ kind: 'appended', request: 7, revision: 1, position: 2 })
    const [asked] = served.store.recordAppends
    expect(asked).toMatchObject({ stream: 'a/b ü', expected: 3 })
    expect(asked?.records.map((bytes) => Buffer.compare(bytes, before.shift() ?? new Uint8Array(0)))).toEqual([0, 0])
    expect(asked?.records.map((bytes) => decodeRecord(bytes).tags)).toEqual([['x'], []])
  })

  test('of one frame are proposed in one turn, and what is answered in one turn comes in one frame', async () => {
    const turns: number[] = []
    let turn = 0
    const all = Promise.withResolvers<Appended>()
    served.store.onAppendRecords = () => {
      if (turns.length === 0) setImmediate(() => turn++)
      turns.push(turn)
      return all.promise
    }
    client.send(...Array.from({ length: 256 }, (_, at) => append(at + 1)))
    await vi.waitFor(() => expect(turns).toHaveLength(256))
    expect(new Set(turns)).toEqual(new Set([0]))
    all.resolve({ revision: 0, position: 1 })
    await client.next('appended')
    expect(client.frames.map((frame) => frame.length)).toEqual([1, 256])
  })

  test.each([
    [new EventStoreError('busy', 'too much'), 'busy', {}],
    [new EventStoreError('event_id_conflict', 'taken'), 'event_id_conflict', {}],
    [new EventStoreError('aborted', 'it was aborted'), 'unavailable', {}],
    [new WrongExpectedRevisionError('s', 'noStream', 4), 'wrong_expected_revision', { stream: 's', expected: 'noStream', actual: 4 }],
  ])('are refused with HTTP’s code, message and details: %o', async (error, code, details) => {
    served.store.onAppend = () => Promise.reject(error)
    client.send(append(1))
    const refused = await client.next('refused')
    expect({ ...refused, details: JSON.parse(refused.details) as unknown }).toEqual({
      kind: 'refused',
      request: 1,
      code,
      message: error.message,
      details,
    })
    const { body } = await post(`${served.url}/streams/s`, '[{"type":"A","data":1}]')
    expect({ code, message: error.message, ...details }).toEqual(body)
  })

  test('fail in a way nobody foresaw: said without what went wrong, and the connection goes on', async () => {
    served.store.onAppend = () => Promise.reject(new TypeError('a secret'))
    client.send(append(1))
    expect(await client.next('refused')).toMatchObject({ code: 'internal', message: 'this node failed to answer: its log says why' })
    served.store.onAppend = new ScriptedStore().onAppend
    client.send(append(1))
    await client.next('appended')
  })

  test('at a node that does not serve are refused at once, and the store is not asked', async () => {
    served.state = 'unavailable'
    const startedAt = performance.now()
    client.send(append(1), append(2))
    expect(await client.next('refused')).toMatchObject({ request: 1, code: 'unavailable', message: 'n1 is unavailable: no quorum answers' })
    expect(await client.next('refused')).toMatchObject({ request: 2, code: 'unavailable' })
    expect(performance.now() - startedAt).toBeLessThan(250)
    expect(served.store.recordAppends).toEqual([])
  })

  test.each<[string, Partial<EventToRecord>, string, string]>([
    ['text', { data: new TextEncoder().encode('hello') }, 'data', 'is not JSON: '],
    ['nothing', { data: new Uint8Array(0) }, 'data', 'is not JSON: '],
    ['two values', { data: new TextEncoder().encode('1 2') }, 'data', 'is not JSON: '],
    ['no UTF-8', { data: Uint8Array.of(0x22, 0xff, 0x22) }, 'data', 'is not UTF-8'],
    ['too deep', { data: new TextEncoder().encode('[[[[[[[[[]]]]]]]]]') }, 'data', 'nests deeper than 8 levels: flatten it'],
    ['metadata', { metadata: new TextEncoder().encode('{') }, 'metadata', 'is not JSON: '],
  ])('with data that is %s are refused: it would spoil whatever it is read with', async (_, event, field, what) => {
    client.send(append(1, { records: [record(), record(1, event)] }), append(2))
    const refused = await client.next('refused')
    expect(refused).toMatchObject({
      request: 1,
      code: 'invalid_argument',
      message: expect.stringContaining(`event 1: ${field} ${what}`) as string,
    })
    expect(JSON.parse(refused.details)).toEqual({ event: 1, field })
    expect(await client.next('appended')).toMatchObject({ request: 2 })
  })

  test('as deep as may be are taken', async () => {
    client.send(append(1, { records: [record([[[[[[[[]]]]]]]])] }))
    await client.next('appended')
  })

  test('that are no records are the store’s to refuse', async () => {
    client.send(append(1, { records: [new Uint8Array(3)] }))
    await client.next('appended')
  })

  test('without an answer in time are told so in the store’s words', async () => {
    served.store.onAppend = async (signal) => {
      await untilAborted(signal)
      throw new EventStoreError('unavailable', 'the outcome is unknown (timeout)')
    }
    const startedAt = performance.now()
    client.send(append(1), append(2))
    expect(await client.next('refused')).toMatchObject({ request: 1, code: 'unavailable', message: 'the outcome is unknown (timeout)' })
    expect(await client.next('refused')).toMatchObject({ request: 2 })
    expect(performance.now() - startedAt).toBeGreaterThan(250)
  })

  test('whose store does not even heed that are told so all the same, and an answer that comes later is nobody’s', async () => {
    const late = Promise.withResolvers<Appended>()
    served.store.onAppend = () => late.promise
    client.send(append(1))
    const { code, message } = await client.next('refused')
    expect({ code, message }).toEqual({
      code: 'unavailable',
      message: 'no answer in time, the outcome is unknown: try again with the same event ids',
    })
    served.store.onAppend = () => sleep(20).then(() => ({ revision: 5, position: 6 }))
    client.send(append(1))
    late.resolve({ revision: 1, position: 2 })
    expect(await client.next('appended')).toMatchObject({ request: 1, revision: 5 })
  })

  test('that are cancelled go on, unanswered, and free their numbers', async () => {
    const first = Promise.withResolvers<Appended>()
    let isAborted = false
    served.store.onAppend = (signal) => {
      signal.addEventListener('abort', () => (isAborted = true))
      return first.promise
    }
    client.send(append(1))
    await vi.waitFor(() => expect(served.store.recordAppends).toHaveLength(1))
    client.send({ kind: 'cancel', request: 1 })
    served.store.onAppend = async () => ({ revision: 8, position: 9 })
    client.send(append(1))
    expect(await client.next('appended')).toMatchObject({ revision: 8 })
    first.resolve({ revision: 1, position: 2 })
    client.send({ kind: 'ping' })
    await client.next('pong')
    expect(client.messages.filter(({ kind }) => kind === 'appended')).toHaveLength(1)
    expect(isAborted).toBe(false)
  })

  test('of a client that has gone are not offered again', async () => {
    const aborted = Promise.withResolvers<void>()
    served.store.onAppend = async (signal) => {
      await untilAborted(signal)
      aborted.resolve()
      throw new EventStoreError('unavailable', 'gone')
    }
    client.send(append(1))
    await vi.waitFor(() => expect(served.store.recordAppends).toHaveLength(1))
    await client.close()
    await aborted.promise
  })

  test('beyond the number that may be open are refused as busy; answered ones make room', async () => {
    const all = Promise.withResolvers<Appended>()
    served.store.onAppend = () => all.promise
    client.send(...Array.from({ length: 301 }, (_, at) => append(at + 1)))
    expect(await client.next('refused')).toMatchObject({ request: 301, code: 'busy' })
    all.resolve({ revision: 0, position: 1 })
    await client.until((message) => message.kind === 'appended' && message.request === 300)
    client.send(append(301))
    await client.next('appended')
  })
})

test('bytes in flight are bounded together with those over HTTP, and are given back', async () => {
  await using own = await serve({ bodyBytesInFlightMax: 20_000 })
  const hanging = Promise.withResolvers<Appended>()
  own.store.onAppend = () => hanging.promise
  const body = JSON.stringify([{ type: 'A', data: 'x'.repeat(9_000) }])
  const overHttp = post(`${own.url}/streams/s`, body)
  await vi.waitFor(() => expect(own.store.appends).toHaveLength(1))
  await using first = await FrameClient.connect(own.port)
  first.send(append(1, { records: [record('x'.repeat(9_000))] }))
  await vi.waitFor(() => expect(own.store.recordAppends).toHaveLength(1))
  first.send(append(2, { records: [record('x'.repeat(9_000))] }), append(3))
  const why = { code: 'busy', message: 'too many bytes of requests are under way at this node: try again' }
  expect(await first.next('refused')).toMatchObject({ request: 2, ...why })
  expect(await first.next('refused')).toMatchObject({ request: 3, ...why })
  expect(await post(`${own.url}/streams/s`, body)).toMatchObject({ status: 503, body: why })
  hanging.resolve({ revision: 0, position: 1 })
  expect(await first.next('appended')).toMatchObject({ request: 1 })
  expect((await overHttp).status).toBe(201)
  first.send(append(4, { records: [record('x'.repeat(15_000))] }))
  expect(await first.next('appended')).toMatchObject({ request: 4 })
})
