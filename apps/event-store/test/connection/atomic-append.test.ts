import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  ConditionFailedError,
  EventStoreError,
  WrongExpectedRevisionError,
  type AtomicallyAppended,
  type AtomicRecordsRequest,
} from '@synod/events'
import { post, ScriptedStore, serve, type Served } from '../http/served.ts'
import { FrameClient } from './frame-client.ts'
import { append, appendAtomically, record, untilAborted } from './records.ts'

let served: Served
let client: FrameClient
beforeAll(async () => void (served = await serve({ answerMillisecondsMax: 300, connectionRequestsMax: 20, bodyBytesInFlightMax: 200_000 })))
afterAll(() => served.close())
beforeEach(async () => {
  served.state = 'serving'
  served.store.atomicAppends.length = 0
  served.store.onAppendAtomically = new ScriptedStore().onAppendAtomically
  client = await FrameClient.connect(served.port)
  return () => client.close()
})

describe('an append to several streams', () => {
  test('reaches the store as it was sent, and is answered in the order of its writes', async () => {
    const [first, second] = [record(1), record(2)]
    client.send(
      appendAtomically(7, {
        writes: [
          { stream: 'a', expected: 3, records: [first] },
          { stream: 'b/ü', expected: 'noStream', records: [second] },
        ],
        checks: [{ stream: 'c', expected: 'streamExists' }],
        condition: { failIfEventsMatch: { items: [{ types: ['T'] }, { tags: ['x', 'y'] }, {}] }, after: 5 },
      }),
    )
    expect(await client.next('atomicallyAppended')).toEqual({ kind: 'atomicallyAppended', request: 7, position: 9, revisions: [1, 4] })
    const asked = served.store.atomicAppends[0] as AtomicRecordsRequest
    expect(asked.writes.map(({ stream, expected, records }) => [stream, expected, records.length])).toEqual([
      ['a', 3, 1],
      ['b/ü', 'noStream', 1],
    ])
    expect(Buffer.compare(asked.writes[0]?.records[0] ?? second, first)).toBe(0)
    expect(asked).toMatchObject({
      checks: [{ stream: 'c', expected: 'streamExists' }],
      condition: { failIfEventsMatch: { items: [{ types: ['T'] }, { tags: ['x', 'y'] }, {}] }, after: 5 },
    })
  })

  test('of one frame are proposed in one turn, with plain ones', async () => {
    const all = Promise.withResolvers<AtomicallyAppended>()
    served.store.onAppendAtomically = () => all.promise
    client.send(...Array.from({ length: 10 }, (_, at) => (at % 2 === 0 ? appendAtomically(at + 1) : append(at + 1))))
    await vi.waitFor(() => expect(served.store.atomicAppends).toHaveLength(5))
    all.resolve({ position: 1, streams: [{ stream: 's', revision: 0 }] })
    await client.until((message) => message.kind === 'atomicallyAppended' && message.request === 9)
  })

  test.each([
    new WrongExpectedRevisionError('a', 'noStream', 3, [
      { kind: 'revision', stream: 'a', expected: 'noStream', actual: 3 },
      { kind: 'condition', position: 7 },
    ]),
    new ConditionFailedError(7),
    new EventStoreError('condition_too_broad', 'it scans too much'),
    new EventStoreError('stream_tombstoned', 'it was ended'),
  ])('is refused with HTTP’s code, message and details: %s', async (error) => {
    served.store.onAppendAtomically = () => Promise.reject(error)
    client.send(appendAtomically(1))
    const { code, message, details } = await client.next('refused')
    const { body } = await post(`${served.url}/append`, JSON.stringify({ writes: [{ stream: 's', events: [{ type: 'A', data: 1 }] }] }))
    expect({ code, message, ...(JSON.parse(details) as object) }).toEqual(body)
    expect('violations' in body).toBe('violations' in error)
  })

  test('with data that is not JSON is refused, and names the write', async () => {
    const bad = record(1, { data: new TextEncoder().encode('{') })
    client.send(
      appendAtomically(1, {
        writes: [
          { stream: 'a', expected: 'any', records: [record(1)] },
          { stream: 'b', expected: 'any', records: [record(2), bad] },
        ],
      }),
    )
    const refused = await client.next('refused')
    expect(refused).toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('write 1: event 1: data is not JSON') as string,
    })
    expect(JSON.parse(refused.details)).toEqual({ write: 1, event: 1, field: 'data' })
    expect(served.store.atomicAppends).toEqual([])
  })

  test('at a node that does not serve, beyond the requests or the bytes that may be open: refused at once', async () => {
    served.state = 'unavailable'
    client.send(appendAtomically(1))
    expect(await client.next('refused')).toMatchObject({ request: 1, code: 'unavailable' })
    served.state = 'serving'
    served.store.onAppendAtomically = async (signal) => {
      await untilAborted(signal)
      throw new EventStoreError('unavailable', 'the outcome is unknown')
    }
    client.send(...Array.from({ length: 21 }, (_, at) => appendAtomically(at + 1)))
    expect(await client.next('refused')).toMatchObject({ request: 21, code: 'busy' })
    for (let request = 1; request <= 20; request++)
      expect(await client.next('refused')).toMatchObject({ request, code: 'unavailable', message: 'the outcome is unknown' })
    const large = record('x'.repeat(210_000))
    client.send(appendAtomically(1, { writes: [{ stream: 's', expected: 'any', records: [large] }] }))
    expect(await client.next('refused')).toMatchObject({ request: 1, code: 'busy' })
  })
})
