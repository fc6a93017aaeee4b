import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { EventStoreError, type RecordedEvent } from '@synod/events'
import { ScriptedStore, serve, stored, storedWith, type Served } from '../http/served.ts'
import { FrameClient } from './frame-client.ts'
import { read, untilAborted } from './records.ts'

let served: Served
let client: FrameClient
beforeAll(
  async () => void (served = await serve({ answerMillisecondsMax: 300, connectionRequestsMax: 20, connectionSendBytesMax: 100_000 })),
)
afterAll(() => served.close())
beforeEach(async () => {
  served.state = 'serving'
  served.store.reads.length = 0
  served.store.onRead = new ScriptedStore().onRead
  client = await FrameClient.connect(served.port)
  return () => client.close()
})

describe('a read', () => {
  test('is answered with a page of records as they are stored', async () => {
    client.send(read(3, { stream: stored.stream }))
    const { request, events } = await client.next('page')
    expect(request).toBe(3)
    expect(events).toHaveLength(1)
    expect({ ...events[0], record: Buffer.compare(events[0]?.record ?? new Uint8Array(0), stored.record) }).toEqual({
      ...stored,
      record: 0,
    })
  })

  test.each([
    [{}, { direction: 'forward', limit: 100, consistency: 'linearizable' }],
    [
      { stream: 'a/b', from: 5 },
      { stream: 'a/b', from: 5, direction: 'forward', limit: 100, consistency: 'linearizable' },
    ],
    [
      { from: 0, direction: 'backward', limit: 1, consistency: 'local' } as const,
      { from: 0, direction: 'backward', limit: 1, consistency: 'local' },
    ],
  ])('%o', async (asked, expected) => {
    client.send(read(1, asked))
    await client.next('page')
    const { signal: _signal, ...options } = served.store.reads[0] ?? {}
    expect(options).toEqual(expected)
  })

  test('at the end is an empty page', async () => {
    served.store.onRead = async () => []
    client.send(read(1))
    expect(await client.next('page')).toEqual({ kind: 'page', request: 1, events: [] })
  })

  test('is refused with HTTP’s code', async () => {
    served.store.onRead = () => Promise.reject(new EventStoreError('stream_not_found', 'there is no stream "s"'))
    client.send(read(1, { stream: 's' }))
    expect(await client.next('refused')).toEqual({
      kind: 'refused',
      request: 1,
      code: 'stream_not_found',
      message: 'there is no stream "s"',
      details: '{}',
    })
  })

  test('at a node that does not serve is possible with consistency local only', async () => {
    served.state = 'unavailable'
    client.send(read(1), read(2, { consistency: 'local' }))
    expect(await client.next('refused')).toMatchObject({ request: 1, code: 'unavailable' })
    expect(await client.next('page')).toMatchObject({ request: 2 })
  })

  test('that is cancelled is aborted, and not answered', async () => {
    const aborted = Promise.withResolvers<void>()
    served.store.onRead = async (signal) => {
      await untilAborted(signal)
      aborted.resolve()
      return []
    }
    client.send(read(1))
    await vi.waitFor(() => expect(served.store.reads).toHaveLength(1))
    client.send({ kind: 'cancel', request: 1 })
    await aborted.promise
    client.send({ kind: 'ping' })
    await client.next('pong')
    expect(client.messages.map(({ kind }) => kind)).toEqual(['topology', 'pong'])
  })

  test('without an answer in time is told so, whether the store heeds it or not, and frees its place', async () => {
    served.store.onRead = () => new Promise(() => {})
    client.send(...Array.from({ length: 8 }, (_, at) => read(at + 1)))
    for (let request = 1; request <= 8; request++) expect(await client.next('refused')).toMatchObject({ request, code: 'unavailable' })
    served.store.onRead = async () => [stored]
    client.send(read(1))
    expect(await client.next('page')).toMatchObject({ request: 1 })
  })
})

test('no more than four are under way at a time, the others wait, and one that is cancelled meanwhile is never begun', async () => {
  const pages: PromiseWithResolvers<readonly RecordedEvent[]>[] = []
  served.store.onRead = () => {
    pages.push(Promise.withResolvers())
    return pages.at(-1)?.promise ?? Promise.reject(new Error('none'))
  }
  client.send(...[1, 2, 3, 4, 5, 6].map((request) => read(request, { from: request })))
  client.send({ kind: 'cancel', request: 5 }, { kind: 'ping' })
  await client.next('pong')
  expect(served.store.reads.map(({ from }) => from)).toEqual([1, 2, 3, 4])
  pages[2]?.resolve([])
  expect(await client.next('page')).toMatchObject({ request: 3 })
  expect(served.store.reads.map(({ from }) => from)).toEqual([1, 2, 3, 4, 6])
  for (const { resolve } of pages) resolve([])
  await client.until((message) => message.kind === 'page' && message.request === 6)
})

test('beyond the number that may be open: busy', async () => {
  served.store.onRead = () => new Promise(() => {})
  client.send(...Array.from({ length: 21 }, (_, at) => read(at + 1)))
  expect(await client.next('refused')).toMatchObject({ request: 21, code: 'busy' })
})

test('a client that takes nothing has no more pages read for it than may wait for it; the rest are not given up', async () => {
  await using own = await serve({ answerMillisecondsMax: 100, connectionSendBytesMax: 100_000 })
  const large = storedWith(Buffer.from(JSON.stringify('x'.repeat(1_000_000))))
  own.store.onRead = async () => Array.from({ length: 4 }, () => large)
  await using deaf = await FrameClient.connect(own.port, { reads: false })
  deaf.send(...Array.from({ length: 20 }, (_, at) => read(at + 1)))
  await vi.waitFor(() => expect(own.store.reads.length).toBeGreaterThanOrEqual(4))
  // Longer than the deadline.
  await sleep(400)
  // Four at once is what it may cost, and what two kernels buffer makes room for a few more.
  expect(own.store.reads.length).toBeLessThan(10)
  deaf.webSocket.resume()
  await deaf.until((message) => message.kind === 'page' && message.request === 20)
  expect(deaf.messages.filter(({ kind }) => kind === 'page')).toHaveLength(20)
})
