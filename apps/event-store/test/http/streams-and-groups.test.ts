/** Streams as a whole, and consumer groups: what reaches the store, and what is refused before it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { EventStoreError, type ParkedEvent } from '@synod/events'
import { groupStatus } from './scripted-parts.ts'
import { ask, ScriptedStore, serve, stored, storedWith, type Served } from './served.ts'

let served: Served
beforeAll(async () => void (served = await serve()))
afterAll(() => served.close())
beforeEach(() => {
  served.state = 'serving'
  const { store } = served
  store.infos.length = store.retention.asked.length = store.groups.asked.length = 0
  store.onStreamInfo = new ScriptedStore().onStreamInfo
  store.retention.onAny = new ScriptedStore().retention.onAny
  store.groups.onAny = async () => groupStatus
  store.groups.onParked = async () => []
})

const put = (path: string, body: unknown) =>
  ask(served.url + path, { method: 'PUT', body: typeof body === 'string' ? body : JSON.stringify(body) })
const destroy = (path: string) => ask(served.url + path, { method: 'DELETE' })

test.each([
  ['/streams/s/metadata', '{"maxCount": 1, "maxCount": 2}', 'maxCount'],
  ['/groups/g', '{"partitions": 2, "partitions": 3}', 'partitions'],
])('%s refuses a key that stands there twice', async (path, body, name) => {
  expect(await put(path, body)).toMatchObject({
    status: 400,
    body: { code: 'invalid_argument', message: expect.stringContaining(`${name} stands there twice`) },
  })
  expect([...served.store.retention.asked, ...served.store.groups.asked]).toEqual([])
})

describe('a stream', () => {
  test('says how long it is, and what its last event is', async () => {
    const { body } = await ask(`${served.url}/streams/a%2Fb/info?consistency=local&atLeast=3`)
    expect(body).toMatchObject({ firstRevision: 2, lastRevision: 7, length: 6, lastEvent: { revision: 7, position: 42, type: 'Landed' } })
    expect(served.store.infos[0]).toMatchObject({ stream: 'a/b', consistency: 'local', atLeast: 3 })
  })

  test('says the same to HEAD, in headers', async () => {
    const { status, headers } = await ask(`${served.url}/streams/s?limit=5&atLeast=3`, { method: 'HEAD' })
    const of = (name: string): string | null => headers.get(`synod-${name}`)
    expect([status, of('first-revision'), of('last-revision'), of('length'), of('last-position')]).toEqual([200, '2', '7', '6', '42'])
    expect(served.store.infos[0]).toMatchObject({ consistency: 'linearizable', atLeast: 3 })
  })

  test('without a visible event has no last one', async () => {
    served.store.onStreamInfo = async () => ({ stream: 's', firstRevision: 5, lastRevision: 4, length: 0 })
    expect((await ask(`${served.url}/streams/s/info`)).body).toEqual({ stream: 's', firstRevision: 5, lastRevision: 4, length: 0 })
    const { headers } = await ask(`${served.url}/streams/s`, { method: 'HEAD' })
    expect([headers.get('synod-length'), headers.get('synod-last-position')]).toEqual(['0', null])
  })

  test.each([
    ['stream_not_found', 404],
    ['stream_tombstoned', 410],
  ] as const)('%s is %i, of HEAD too', async (code, status) => {
    served.store.onStreamInfo = () => Promise.reject(new EventStoreError(code, 'why'))
    expect((await ask(`${served.url}/streams/s/info`)).status).toBe(status)
    expect((await ask(`${served.url}/streams/s`, { method: 'HEAD' })).status).toBe(status)
  })

  test('keeps what it is told', async () => {
    const metadata = { maxCount: 3, maxAgeSeconds: 60, truncateBefore: 0, custom: { owner: 'me', x: [1] } }
    const { status, body } = await put('/streams/a%20b/metadata', metadata)
    expect({ status, body }).toMatchObject({ status: 200, body: { stream: 'a b', version: 2, state: 'open' } })
    await ask(`${served.url}/streams/s/metadata?consistency=local`)
    expect(served.store.retention.asked).toEqual([
      ['setMetadata', 'a b', metadata],
      ['metadata', 's', 'local'],
    ])
  })

  test.each([
    ['[]', /the body: must be \{maxCount/],
    ['{"maxCount":0}', /maxCount: must be at least 1/],
    ['{"maxAgeSeconds":1.5}', /maxAgeSeconds: must be an integer/],
    ['{"truncateBefore":-1}', /truncateBefore: must be at least 0/],
    ['{"custom":[]}', /custom: must be an object/],
    ['{"maxcount":1}', /maxcount/],
    ['{', /not JSON/],
  ])('metadata %s is refused', async (body, message) => {
    const answer = await put('/streams/s/metadata', body)
    expect({ status: answer.status, code: answer.body.code }).toEqual({ status: 400, code: 'invalid_argument' })
    expect(answer.body.message).toMatch(message)
    expect(served.store.retention.asked).toEqual([])
  })

  test.each([
    ['', { isHard: false, expected: 'any' }],
    ['?hard=true', { isHard: true, expected: 'any' }],
    ['?hard=false&expected=7', { isHard: false, expected: 7 }],
    ['?expected=streamExists', { isHard: false, expected: 'streamExists' }],
  ])('DELETE%s', async (query, options) => {
    expect(await destroy(`/streams/s${query}`)).toMatchObject({ status: 200, body: { stream: 's', state: 'open' } })
    expect(served.store.retention.asked).toEqual([['delete', 's', options]])
  })

  test('at a node that does not serve: reads of what it has only', async () => {
    served.state = 'unavailable'
    expect((await destroy('/streams/s')).status).toBe(503)
    expect((await put('/streams/s/metadata', {})).status).toBe(503)
    expect((await ask(`${served.url}/streams/s/info`)).status).toBe(503)
    expect((await ask(`${served.url}/streams/s/info?consistency=local`)).status).toBe(200)
    expect((await ask(`${served.url}/streams/s/metadata?consistency=local`)).status).toBe(200)
  })
})

describe('a group', () => {
  const definition = {
    filter: { items: [{ types: ['A'], tags: ['x'] }], prefixes: ['o'], categories: ['order'] },
    from: 'end',
    partitionBy: { tagPrefix: 'student:' },
    partitions: 16,
    ackDeadlineMs: 5000,
    attemptsMax: 3,
    parkedMax: 10,
  }

  test('is made, changed, looked at, and ended', async () => {
    expect(await put('/groups/a%2Fb', definition)).toMatchObject({ status: 200, body: { group: 'g', lag: 2 } })
    expect((await put('/groups/all', '')).status).toBe(200)
    expect((await ask(`${served.url}/groups/g`)).body).toEqual(JSON.parse(JSON.stringify(groupStatus)))
    expect((await destroy('/groups/g')).status).toBe(204)
    expect(served.store.groups.asked).toEqual([
      ['put', 'a/b', definition],
      ['put', 'all', {}],
      ['get', 'g'],
      ['delete', 'g'],
    ])
  })

  test('is listed without its partitions', async () => {
    const { partitions: _partitions, ...rest } = groupStatus
    expect((await ask(`${served.url}/groups`)).body).toEqual({ groups: [rest] })
  })

  test.each([
    ['{"partitions":0}', /partitions: must be at least 1/],
    ['{"from":"start"}', /from: must be end or a position/],
    ['{"partitionBy":"tag"}', /partitionBy: must be stream or \{tagPrefix\}/],
    ['{"filter":{"types":["A"]}}', /filter: .*types/],
    ['{"filter":{"items":[{"types":[""]}]}}', /filter\.items\.0\.types\.0: must not be empty/],
    ['{"deadline":1}', /deadline/],
    ['7', /the body: must be \{filter/],
  ])('defined by %s is refused', async (body, message) => {
    const answer = await put('/groups/g', body)
    expect({ status: answer.status, code: answer.body.code }).toEqual({ status: 400, code: 'invalid_argument' })
    expect(answer.body.message).toMatch(message)
    expect(served.store.groups.asked).toEqual([])
  })

  test.each([
    ['group_not_found', 404],
    ['group_exists', 409],
    ['busy', 503],
  ] as const)('%s is %i', async (code, status) => {
    served.store.groups.onAny = () => Promise.reject(new EventStoreError(code, 'why'))
    const { status: answered, body } = await put('/groups/g', {})
    expect({ answered, code: body.code }).toEqual({ answered: status, code })
  })

  const parked: ParkedEvent = { event: stored, partition: 3, attempts: 10, reason: 'it "failed"' }

  test('tells what is parked', async () => {
    served.store.groups.onParked = async () => [parked, { ...parked, reason: 'follows' }]
    const { body } = await ask(`${served.url}/groups/g/parked?after=7&limit=256`)
    expect(body.parked).toMatchObject([
      { event: { position: 42, data: { text: '\n' } }, partition: 3, attempts: 10, reason: 'it "failed"' },
      { reason: 'follows' },
    ])
    expect((await ask(`${served.url}/groups/g/parked`)).status).toBe(200)
    expect(served.store.groups.asked).toEqual([
      ['parked', 'g', { after: 7, limit: 256 }],
      ['parked', 'g', { limit: 64 }],
    ])
    expect((await ask(`${served.url}/groups/g/parked?limit=257`)).body).toMatchObject({ code: 'invalid_argument', parameter: 'limit' })
  })

  test('tells at most 8 MiB of it at a time, and one event at least', async () => {
    const large = storedWith(Buffer.from(JSON.stringify('x'.repeat(3_000_000))))
    const of = (positions: number[]) => async () => positions.map((position) => ({ ...parked, event: { ...large, position } }))
    served.store.groups.onParked = of([1, 2, 3, 4])
    const told = (await ask(`${served.url}/groups/g/parked`)).body.parked as { event: { position: number } }[]
    expect(told.map(({ event }) => event.position)).toEqual([1, 2])
  })

  test('delivers parked events again, all or some', async () => {
    const replay = (body?: string) => ask(`${served.url}/groups/g/replay`, { method: 'POST', ...(body !== undefined && { body }) })
    expect(await replay()).toMatchObject({ status: 200, body: { replayed: 1 } })
    expect((await replay('{"positions":[4,9]}')).status).toBe(200)
    expect((await replay('{"positions":[0]}')).status).toBe(400)
    expect((await replay('{"positions":"all"}')).status).toBe(400)
    expect(served.store.groups.asked).toEqual([
      ['replay', 'g', {}],
      ['replay', 'g', { positions: [4, 9] }],
    ])
  })

  test('at a node that does not serve is not known', async () => {
    served.state = 'unavailable'
    const looks = ['/groups', '/groups/g', '/groups/g/parked'].map((path) => ask(served.url + path))
    for (const answer of [put('/groups/g', {}), destroy('/groups/g'), ...looks]) expect((await answer).status).toBe(503)
  })
})
