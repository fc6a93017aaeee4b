/** `POST /append`: what the store is asked for, what is refused before it, and what is told of its refusals. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ConditionFailedError, EventStoreError, WrongExpectedRevisionError, type AtomicAppendRequest } from '@synod/events'
import { post, ScriptedStore, serve, type Answer, type Served } from './served.ts'

let served: Served
beforeAll(async () => void (served = await serve({ jsonDepthMax: 20 })))
afterAll(() => served.close())
beforeEach(() => {
  served.state = 'serving'
  served.store.atomicAppends.length = 0
  served.store.onAppendAtomically = new ScriptedStore().onAppendAtomically
})

const append = (body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  post(`${served.url}/append`, typeof body === 'string' ? body : JSON.stringify(body), headers)
const events = [{ type: 'A', data: 1 }]
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? new Uint8Array(0)).toString()

test('all of it reaches the store, data byte for byte, and the answer is told as it is', async () => {
  const id = '00000000-0000-4000-8000-000000000001'
  const body = `{ "condition": {"failIfEventsMatch": {"items": [{"types": ["T", "U"], "tags": ["x"]}, {}]}, "after": 17},
    "writes": [
      {"events": [{"type": "A", "data": {"n": 12345678901234567890, "s": "]},{"}, "id": "${id}"}, {"data":[1 ,2],"type":"B","tags":["t"]}], "stream": "a"},
      {"stream": "b/ü", "expected": 4, "events": [{"type": "C", "data": null, "metadata": {"m" : 1}}]}],
    "checks": [{"stream": "c", "expected": "noStream"}, {"stream": "d", "expected": "streamExists"}] }`
  const { status, body: answer } = await append(body, { 'idempotency-key': 'k' })
  expect({ status, answer }).toEqual({
    status: 201,
    answer: {
      position: 9,
      streams: [
        { stream: 'a', revision: 1 },
        { stream: 'b', revision: 4 },
      ],
    },
  })
  const asked = served.store.atomicAppends[0] as AtomicAppendRequest
  expect(asked).toMatchObject({
    idempotencyKey: 'k',
    checks: [
      { stream: 'c', expected: 'noStream' },
      { stream: 'd', expected: 'streamExists' },
    ],
    condition: { failIfEventsMatch: { items: [{ types: ['T', 'U'], tags: ['x'] }, {}] }, after: 17 },
  })
  expect(asked.writes.map(({ stream, expected }) => [stream, expected])).toEqual([
    ['a', undefined],
    ['b/ü', 4],
  ])
  const proposed = asked.writes.flatMap((write) => write.events)
  expect(proposed.map(({ type, id: given, tags, data, metadata }) => [type, given, tags, text(data), text(metadata)])).toEqual([
    ['A', id, undefined, '{"n": 12345678901234567890, "s": "]},{"}', ''],
    ['B', undefined, ['t'], '[1 ,2]', ''],
    ['C', undefined, undefined, 'null', '{"m" : 1}'],
  ])
})

describe('is refused with 400, and says where, when', () => {
  test.each([
    ['the body is empty', '', /the body is empty/],
    ['it is no JSON', '{', /not JSON/],
    ['it is no object', [], /the body: must be \{writes/],
    ['there are no writes', { writes: [] }, /writes: must have a write at least/],
    ['a key is unknown', { writes: [{ stream: 'a', events }], extra: 1 }, /extra/],
    ['a key of a write is unknown', { writes: [{ stream: 'a', events, expect: 1 }] }, /writes\.0: .*expect/],
    ['a stream has no name', { writes: [{ stream: '', events }] }, /writes\.0\.stream: must not be empty/],
    ['a stream is no text', { writes: [{ stream: 7, events }] }, /writes\.0\.stream: must be a string/],
    ['expected is none', { writes: [{ stream: 'a', events, expected: -1 }] }, /writes\.0\.expected: must be any, noStream/],
    ['expected is null', { writes: [{ stream: 'a', events, expected: null }] }, /writes\.0\.expected/],
    ['a write has no events', { writes: [{ stream: 'a' }] }, /write 0: events is missing/],
    ['the events of a write are none', { writes: [{ stream: 'a', events: [] }] }, /write 0: events is empty/],
    ['the events of a write are no array', { writes: [{ stream: 'a', events: {} }] }, /write 0: events must be an array/],
    [
      'an event is none',
      {
        writes: [
          { stream: 'a', events },
          { stream: 'b', events: [{ type: 'A', data: 1 }, 7] },
        ],
      },
      /write 1: event 1 must be an object/,
    ],
    ['an event lacks data', { writes: [{ stream: 'a', events: [{ type: 'A' }] }] }, /write 0: event 0: data is missing/],
    ['a check expects nothing', { writes: [{ stream: 'a', events }], checks: [{ stream: 'b' }] }, /checks\.0\.expected/],
    [
      'a condition has no items',
      { writes: [{ stream: 'a', events }], condition: { failIfEventsMatch: { items: [] } } },
      /items: must have an item/,
    ],
    [
      'a condition asks for what is unknown',
      { writes: [{ stream: 'a', events }], condition: { failIfEventsMatch: { items: [{ type: 'A' }] } } },
      /condition\.failIfEventsMatch\.items\.0: .*type/,
    ],
    [
      '`after` is below 0',
      { writes: [{ stream: 'a', events }], condition: { failIfEventsMatch: { items: [{}] }, after: -1 } },
      /condition\.after/,
    ],
    [
      'writes stand there twice',
      '{"writes":[{"stream":"a","events":[{"type":"A","data":1}]}],"writes":[{"stream":"b","events":[{"type":"A","data":1}]}]}',
      /writes stands there twice/,
    ],
    [
      'events of a write stand there twice',
      '{"writes":[{"stream":"a","events":[{"type":"A","data":1}],"events":[{"type":"B","data":1}]}]}',
      /writes\.0\.events stands there twice/,
    ],
    ['it nests too deeply', `{"writes":${'['.repeat(30)}${']'.repeat(30)}}`, /nests deeper than 20/],
  ])('%s', async (_, body, message) => {
    const { status, body: answer } = await append(body)
    expect({ status, code: answer.code }).toEqual({ status: 400, code: 'invalid_argument' })
    expect(answer.message).toMatch(message)
    expect(served.store.atomicAppends).toEqual([])
  })
})

test('4,096 events in all are the most', async () => {
  const half = Array.from({ length: 2049 }, () => ({ type: 'A', data: 1 }))
  const { status, body } = await append({ writes: ['a', 'b'].map((stream) => ({ stream, events: half })) })
  expect({ status, code: body.code }).toEqual({ status: 413, code: 'too_large' })
})

test('the details of a refusal name write, event and field', async () => {
  const { body } = await append({ writes: [{ stream: 'a', events: [{ type: 'A', data: 1, id: 'x' }] }] })
  expect(body).toMatchObject({ write: 0, event: 0, field: 'id' })
})

describe('409', () => {
  const violations = [
    { kind: 'revision', stream: 'a', expected: 'noStream', actual: 3 },
    { kind: 'revision', stream: 'b', expected: 4, actual: 'noStream' },
    { kind: 'condition', position: 7 },
  ] as const

  test('tells every violated check, and the condition', async () => {
    served.store.onAppendAtomically = () => Promise.reject(new WrongExpectedRevisionError('a', 'noStream', 3, violations))
    const { status, body } = await append({ writes: [{ stream: 'a', events }] })
    expect({ status, body }).toEqual({
      status: 409,
      body: { code: 'wrong_expected_revision', message: expect.any(String) as string, violations },
    })
  })

  test('is condition_failed when nothing but the condition is violated', async () => {
    served.store.onAppendAtomically = () => Promise.reject(new ConditionFailedError(7))
    const { status, body } = await append({ writes: [{ stream: 'a', events }] })
    expect({ status, body }).toEqual({
      status: 409,
      body: { code: 'condition_failed', message: expect.any(String) as string, violations: [{ kind: 'condition', position: 7 }] },
    })
  })
})

test.each([
  ['condition_too_broad', 400],
  ['stream_tombstoned', 410],
  ['event_id_conflict', 409],
  ['idempotency_key_reused', 409],
  ['unavailable', 503],
] as const)('%s is %i', async (code, status) => {
  served.store.onAppendAtomically = () => Promise.reject(new EventStoreError(code, 'why'))
  const answer = await append({ writes: [{ stream: 'a', events }] })
  expect({ status: answer.status, code: answer.body.code }).toEqual({ status, code })
})

test('a key must be one value that is not empty, and parameters are unknown', async () => {
  expect((await append({ writes: [{ stream: 'a', events }] }, { 'idempotency-key': '' })).status).toBe(400)
  expect((await post(`${served.url}/append?expected=any`, '{}')).body).toMatchObject({ parameter: 'expected' })
})

test('a node that does not serve says so at once, and the body is not read', async () => {
  served.state = 'unavailable'
  const { status, body } = await append('{')
  expect({ status, code: body.code }).toEqual({ status: 503, code: 'unavailable' })
})
