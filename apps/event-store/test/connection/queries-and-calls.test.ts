import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { EventStoreError, type ParkedEvent } from '@synod/events'
import { ask, ScriptedStore, serve, stored, storedWith, type Served } from '../http/served.ts'
import { groupStatus } from '../http/scripted-parts.ts'
import { FrameClient } from './frame-client.ts'
import { call, query, read } from './records.ts'

let served: Served
let client: FrameClient
beforeAll(
  async () => void (served = await serve({ answerMillisecondsMax: 300, connectionRequestsMax: 50, bodyBytesInFlightMax: 1_790_000 })),
)
afterAll(() => served.close())
beforeEach(async () => {
  served.state = 'serving'
  const { store } = served
  store.queries.length = store.reads.length = store.infos.length = store.retention.asked.length = store.groups.asked.length = 0
  store.onQuery = new ScriptedStore().onQuery
  store.onStreamInfo = new ScriptedStore().onStreamInfo
  store.retention.onAny = new ScriptedStore().retention.onAny
  store.groups.onAny = async () => groupStatus
  client = await FrameClient.connect(served.port)
  return () => client.close()
})

describe('a query', () => {
  test('reaches the store as it was sent', async () => {
    const filter = { items: [{ types: ['A', 'B'], tags: ['x'] }, { tags: ['y'] }], prefixes: ['o'], categories: ['c'] }
    client.send(query(1, { filter, from: 7, direction: 'backward', limit: 3, consistency: 'local', atLeast: 40 }))
    const page = await client.next('queryPage')
    expect(page).toMatchObject({ request: 1, considered: 42, isEnd: true })
    expect(page.events).toHaveLength(1)
    const { signal: _signal, ...options } = served.store.queries[0] ?? {}
    expect(options).toEqual({ filter, from: 7, direction: 'backward', limit: 3, consistency: 'local', atLeast: 40 })
  })

  test('that finds nothing and is not at the end says so: the client goes on', async () => {
    served.store.onQuery = async () => ({ events: [], considered: 4096, isEnd: false })
    client.send(query(1))
    expect(await client.next('queryPage')).toEqual({ kind: 'queryPage', request: 1, events: [], considered: 4096, isEnd: false })
    expect(served.store.queries).toHaveLength(1)
  })

  test('is refused with HTTP’s code, before the store is asked when its filter is huge', async () => {
    served.store.onQuery = () => Promise.reject(new EventStoreError('invalid_argument', 'limit must be'))
    client.send(query(1))
    expect(await client.next('refused')).toMatchObject({ request: 1, code: 'invalid_argument' })
    client.send(query(2, { filter: { prefixes: ['x'.repeat(140_000)] } }))
    expect(await client.next('refused')).toMatchObject({ request: 2, code: 'too_large' })
    const start = { kind: 'beginning' } as const
    client.send({ kind: 'subscribeFiltered', request: 3, filter: { categories: Array(9000).fill('') }, start, creditBytes: 1 })
    expect(await client.next('refused')).toMatchObject({ request: 3, code: 'too_large' })
    expect(served.store.queries).toHaveLength(1)
  })

  test('without an answer in time is told so', async () => {
    served.store.onQuery = () => new Promise(() => {})
    client.send(query(1))
    expect(await client.next('refused')).toMatchObject({ request: 1, code: 'unavailable' })
  })
})

test('a read with atLeast asks for it, and one without does not', async () => {
  client.send(read(1, { stream: 's', atLeast: 17 }), read(2))
  await client.until((message) => message.kind === 'page' && message.request === 2)
  expect(served.store.reads.map(({ atLeast }) => atLeast)).toEqual([17, undefined])
})

describe('a call', () => {
  const result = async (method: string, argument: unknown): Promise<unknown> => {
    client.send(call(1, method, argument))
    return JSON.parse((await client.next('result')).result) as unknown
  }

  const parked: ParkedEvent = { event: stored, partition: 1, attempts: 10, reason: 'follows' }

  test.each([
    ['streamInfo', { stream: 's', consistency: 'local', atLeast: 3 }, '/streams/s/info?consistency=local&atLeast=3', 'GET'],
    ['streamMetadata', { stream: 's', consistency: 'linearizable' }, '/streams/s/metadata', 'GET'],
    ['setStreamMetadata', { stream: 's', metadata: { maxCount: 3 } }, '/streams/s/metadata', 'PUT'],
    ['deleteStream', { stream: 's', hard: true, expected: 3 }, '/streams/s?hard=true&expected=3', 'DELETE'],
    ['deleteStream', { stream: 's' }, '/streams/s', 'DELETE'],
    ['putGroup', { group: 'g', definition: { from: 'end' } }, '/groups/g', 'PUT'],
    ['getGroup', { group: 'g' }, '/groups/g', 'GET'],
    ['replayParked', { group: 'g', positions: [4, 5] }, '/groups/g/replay', 'POST'],
    ['replayParked', { group: 'g' }, '/groups/g/replay', 'POST'],
  ])('of %s %j asks the store for what HTTP asks, and answers the same', async (method, argument, path, verb) => {
    const { retention, groups, infos } = served.store
    const answer = await result(method, argument)
    const asked = [...retention.asked, ...groups.asked, ...infos.map(({ signal: _signal, ...info }) => info)]
    retention.asked.length = groups.asked.length = infos.length = 0
    const { metadata, definition, positions } = argument as Record<string, unknown>
    const body = metadata ?? definition ?? (positions === undefined ? undefined : { positions })
    expect((await ask(served.url + path, { method: verb, ...(body !== undefined && { body: JSON.stringify(body) }) })).body).toEqual(answer)
    expect([...retention.asked, ...groups.asked, ...infos.map(({ signal: _signal, ...info }) => info)]).toEqual(asked)
  })

  test('of listGroups, deleteGroup and parkedEvents', async () => {
    const { partitions: _partitions, ...rest } = groupStatus
    expect(await result('listGroups', {})).toEqual([rest])
    expect(await result('deleteGroup', { group: 'g' })).toBeNull()
    served.store.groups.onParked = async () => [parked]
    expect(await result('parkedEvents', { group: 'g', after: 1, limit: 256 })).toMatchObject([
      { event: { position: 42, stream: stored.stream, recordedAt: '2026-11-23T00:00:00.000Z' }, partition: 1, reason: 'follows' },
    ])
    expect(served.store.groups.asked.slice(1)).toEqual([
      ['delete', 'g'],
      ['parked', 'g', { after: 1, limit: 256 }],
    ])
  })

  test.each([
    ['nothing', {}, /there is no method "nothing": allowed are streamInfo, /],
    ['constructor', {}, /there is no method/],
    ['getGroup', '{', /the argument is not JSON/],
    ['getGroup', '[]', /argument: /],
    ['getGroup', { group: 7 }, /argument\.group: must be a string/],
    ['getGroup', { group: 'g', more: 1 }, /argument: has the unknown key "more"/],
    ['streamInfo', { stream: 's' }, /argument\.consistency: must be linearizable or local/],
    ['parkedEvents', { group: 'g', limit: 257 }, /argument\.limit: must be at most 256/],
    ['setStreamMetadata', { stream: 's', metadata: { maxCount: 0 } }, /argument\.metadata\.maxCount: must be at least 1/],
    ['setStreamMetadata', `{"stream":"s","metadata":{"custom":${'['.repeat(300)}${']'.repeat(300)}}}`, /nests deeper than 256/],
  ])('of %s %j is refused', async (method, argument, message) => {
    client.send(call(1, method, argument))
    const refused = await client.next('refused')
    expect(refused).toMatchObject({ request: 1, code: 'invalid_argument' })
    expect(refused.message).toMatch(message)
    expect([...served.store.retention.asked, ...served.store.groups.asked]).toEqual([])
  })

  test('is refused with HTTP’s code', async () => {
    served.store.groups.onAny = () => Promise.reject(new EventStoreError('group_not_found', 'there is none'))
    client.send(call(1, 'getGroup', { group: 'g' }))
    expect(await client.next('refused')).toMatchObject({ code: 'group_not_found', message: 'there is none' })
  })

  test('is refused by a node that does not serve, but for what a node knows by itself', async () => {
    served.state = 'unavailable'
    client.send(call(1, 'deleteGroup', { group: 'g' }), call(2, 'streamInfo', { stream: 's', consistency: 'local' }))
    expect(await client.next('refused')).toMatchObject({ request: 1, code: 'unavailable' })
    expect(await client.next('result')).toMatchObject({ request: 2 })
  })

  test('holds its argument as bytes in flight until it ends', async () => {
    served.store.retention.onAny = () => new Promise(() => {})
    const argument = { stream: 's', metadata: { custom: { x: 'x'.repeat(900_000) } } }
    client.send(call(1, 'setStreamMetadata', argument))
    client.send(call(2, 'setStreamMetadata', argument))
    expect(await client.next('refused')).toMatchObject({ request: 2, code: 'busy' })
    expect(await client.next('refused')).toMatchObject({ request: 1, code: 'unavailable' })
    served.store.retention.onAny = new ScriptedStore().retention.onAny
    client.send(call(3, 'setStreamMetadata', argument))
    expect(await client.next('result')).toMatchObject({ request: 3 })
    client.send(call(4, 'setStreamMetadata', 'x'.repeat(1_100_000)))
    expect(await client.next('refused')).toMatchObject({ request: 4, code: 'too_large' })
  })

  test('whose result is more than a frame takes is refused, and the connection goes on', async () => {
    served.store.groups.onAny = async () => ({ ...groupStatus, why: 'x'.repeat(13_000_000) })
    client.send(call(1, 'listGroups', {}), call(2, 'deleteGroup', { group: 'g' }))
    expect(await client.next('refused')).toMatchObject({ request: 1, code: 'too_large' })
    expect(await client.next('result')).toMatchObject({ request: 2 })
  })

  test('of much parked tells 8 MiB, one event at least', async () => {
    const large = storedWith(Buffer.from(JSON.stringify('x'.repeat(5_000_000))))
    served.store.groups.onParked = async () => [1, 2, 3].map((position) => ({ ...parked, event: { ...large, position } }))
    expect(await result('parkedEvents', { group: 'g', limit: 3 })).toHaveLength(1)
  })
})
