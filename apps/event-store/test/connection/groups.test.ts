/** Consumers of groups on a connection, over a store that a test scripts. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { EventStoreError, type GroupMessage } from '@synod/events'
import type { ClientMessage, NodeMessage } from '@synod/client-protocol'
import { type ScriptedStore, serve, stored, type Served } from '../http/served.ts'
import { FrameClient } from './frame-client.ts'
import { append, subscribe, untilAborted } from './records.ts'

let served: Served
let client: FrameClient
beforeAll(async () => void (served = await serve({ connectionSubscriptionsMax: 4, connectionRequestsMax: 10 })))
afterAll(() => served.close())
beforeEach(async () => {
  served.state = 'serving'
  served.store.groups.said.length = served.store.groups.consumers.length = 0
  served.store.groups.onConsume = endless(0)
  client = await FrameClient.connect(served.port)
  return () => client.close()
})

const recordBytes = stored.record.length

function consume(request: number, more: Partial<Extract<ClientMessage, { kind: 'consume' }>> = {}): ClientMessage {
  return { kind: 'consume', request, group: 'g', creditBytes: 1_000_000, ...more }
}

/** As a group does: an assignment, events for which there is room, then nothing more. */
function endless(count: number): ScriptedStore['groups']['onConsume'] {
  return async function* (_, { room, signal }): AsyncGenerator<GroupMessage> {
    yield { kind: 'assigned', generation: 3, partitions: [0, 5] }
    for (let position = 1; position <= count;) {
      const bytes = (await room?.()) ?? 1
      if (signal?.aborted !== false) return
      const events = Array.from({ length: Math.min(count - position + 1, Math.ceil(bytes / recordBytes)) }, (__, at) => ({
        ...stored,
        position: position + at,
        partition: 5,
        attempt: 2,
      }))
      position += events.length
      yield { kind: 'events', generation: 3, events }
    }
    yield { kind: 'settled', generation: 3, positions: [1] }
    await untilAborted(signal)
  }
}

function eventsOf(messages: readonly NodeMessage[]): number {
  return messages.reduce((sum, message) => sum + (message.kind === 'groupEvents' ? message.events.length : 0), 0)
}

describe('a consumer', () => {
  test('gets the group’s messages as they come', async () => {
    served.store.groups.onConsume = async function* (_, { signal }) {
      yield { kind: 'assigned', generation: 3, partitions: [0, 5] }
      yield { kind: 'events', generation: 3, events: [{ ...stored, partition: 5, attempt: 2 }] }
      yield { kind: 'settled', generation: 3, positions: [42] }
      yield { kind: 'stale', generation: 2, positions: [40, 41] }
      await untilAborted(signal)
    }
    client.send(consume(7, { group: 'a/b', consumer: 'me' }))
    const messages = (await client.until(({ kind }) => kind === 'stale')).slice(1)
    expect(messages).toMatchObject([
      { kind: 'assigned', request: 7, generation: 3, partitions: [0, 5] },
      { kind: 'groupEvents', request: 7, generation: 3, events: [{ stream: 'a/b ü', position: 42, partition: 5, attempt: 2 }] },
      { kind: 'settled', request: 7, generation: 3, positions: [42] },
      { kind: 'stale', request: 7, generation: 2, positions: [40, 41] },
    ])
    expect(served.store.groups.consumers[0]).toMatchObject({ consumer: 'me' })
  })

  test('acknowledges and rejects, and what is of no consumer is ignored', async () => {
    served.store.onAppend = () => new Promise(() => {})
    client.send(consume(7), append(8), subscribe(9))
    await client.next('assigned')
    const reject = { kind: 'reject', generation: 3, position: 5, rejection: 'park', reason: 'no' } as const
    client.send(
      { kind: 'acknowledge', request: 7, generation: 3, positions: [1, 2] },
      { ...reject, request: 7 },
      { kind: 'acknowledge', request: 8, generation: 3, positions: [3] },
      { ...reject, request: 9 },
      { ...reject, request: 99 },
      { kind: 'ping' },
    )
    await client.next('pong')
    expect(served.store.groups.said).toEqual([
      ['acknowledge', 3, [1, 2]],
      ['reject', 3, 5, 'park', 'no'],
    ])
  })

  test('gets as many events as its credit pays for', async () => {
    served.store.groups.onConsume = endless(1000)
    client.send(consume(1, { creditBytes: recordBytes * 10 + 1 }))
    await vi.waitFor(() => expect(eventsOf(client.messages)).toBe(11))
    await sleep(50)
    expect(eventsOf(client.messages)).toBe(11)
    client.send({ kind: 'credit', request: 1, bytes: 1_000_000 })
    await client.next('settled')
    expect(eventsOf(client.messages)).toBe(1000)
  })

  test.each([
    [
      'at once',
      (): AsyncIterable<GroupMessage> => {
        throw new EventStoreError('group_not_found', 'there is no such group')
      },
      'group_not_found',
    ],
    [
      'later',
      async function* (): AsyncGenerator<GroupMessage> {
        yield { kind: 'assigned', generation: 1, partitions: [] }
        throw new EventStoreError('group_not_found', 'it was deleted')
      },
      'group_not_found',
    ],
    ['by ending', async function* (): AsyncGenerator<GroupMessage> {}, 'unavailable'],
  ])('refused by the group %s ends with the code, and its number is free', async (_, onConsume, code) => {
    served.store.groups.onConsume = onConsume
    client.send(consume(1))
    expect(await client.next('refused')).toMatchObject({ request: 1, code })
    served.store.groups.onConsume = endless(0)
    client.send(consume(1))
    await client.next('settled')
  })

  test('that is cancelled leaves, and what it says after that is nobody’s', async () => {
    client.send(consume(1))
    await client.next('settled')
    client.send({ kind: 'cancel', request: 1 }, { kind: 'acknowledge', request: 1, generation: 3, positions: [1] }, { kind: 'ping' })
    await client.next('pong')
    expect(served.store.groups.consumers[0]?.signal?.aborted).toBe(true)
    expect(served.store.groups.said).toEqual([])
    await vi.waitFor(() => expect(served.connections().subscriptions).toBe(0))
  })

  test('whose client goes leaves', async () => {
    client.send(consume(1))
    await client.next('settled')
    await client.close()
    await vi.waitFor(() => expect(served.store.groups.consumers[0]?.signal?.aborted).toBe(true))
  })

  test('counts as a subscription, and needs a node that serves', async () => {
    client.send(...[1, 2, 3, 4, 5].map((request) => consume(request)))
    expect(await client.next('refused')).toMatchObject({ request: 5, code: 'busy' })
    served.state = 'unavailable'
    client.send({ kind: 'cancel', request: 1 }, { kind: 'ping' })
    await client.next('pong')
    await vi.waitFor(() => expect(served.connections().subscriptions).toBe(3))
    client.send(consume(6))
    expect(await client.next('refused')).toMatchObject({ request: 6, code: 'unavailable' })
  })

  test('of a number that is open already ends the connection; what it says of one does not', async () => {
    client.send(consume(1))
    await client.next('settled')
    client.send({ kind: 'acknowledge', request: 1, generation: 3, positions: [] }, { kind: 'ping' })
    await client.next('pong')
    client.send(consume(1))
    expect(await client.closed).toMatchObject({ code: 1002 })
  })
})

test('consumers of a node that stops are told to go elsewhere', async () => {
  await using own = await serve()
  own.store.groups.onConsume = endless(0)
  await using consumer = await FrameClient.connect(own.port)
  consumer.send(consume(1))
  await consumer.next('settled')
  const closing = own.close()
  expect(await consumer.next('refused')).toMatchObject({ request: 1, code: 'unavailable' })
  expect(await consumer.closed).toMatchObject({ code: 1001 })
  await closing
})
