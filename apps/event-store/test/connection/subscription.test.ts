import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { EventStoreError, type SubscribeOptions, type SubscriptionMessage } from '@synod/events'
import type { NodeMessage } from '@synod/client-protocol'
import { ask, type ScriptedStore, serve, stored, storedWith, type Served } from '../http/served.ts'
import { FrameClient } from './frame-client.ts'
import { append, subscribe, untilAborted } from './records.ts'

let served: Served
let client: FrameClient
beforeAll(async () => void (served = await serve({ connectionSubscriptionsMax: 8, connectionRequestsMax: 10, subscriptionsMax: 12 })))
afterAll(() => served.close())
beforeEach(async () => {
  served.store.subscriptions.length = 0
  served.store.onSubscribe = endless()
  client = await FrameClient.connect(served.port)
  return () => client.close()
})

const recordBytes = stored.record.length

/** As many events as there is room for, in messages of that many, at most `count`; then nothing more comes. */
function endless(count = 0, event = stored): ScriptedStore['onSubscribe'] {
  return async function* ({ room, signal }: SubscribeOptions): AsyncGenerator<SubscriptionMessage> {
    for (let left = count; left > 0;) {
      const bytes = (await room?.()) ?? 1
      if (signal?.aborted !== false) return
      const events = Array.from({ length: Math.min(left, Math.ceil(bytes / event.record.length)) }, () => event)
      left -= events.length
      yield { kind: 'events', events }
    }
    yield { kind: 'caughtUp', position: 42 }
    await untilAborted(signal)
  }
}

function eventsOf(messages: readonly NodeMessage[]): number {
  return messages.reduce((sum, message) => sum + (message.kind === 'events' ? message.events.length : 0), 0)
}

describe('a subscription', () => {
  test('brings the store’s messages as they come', async () => {
    served.store.onSubscribe = async function* ({ signal }): AsyncGenerator<SubscriptionMessage> {
      yield { kind: 'events', events: [stored, { ...stored, revision: 8, position: 43 }] }
      yield { kind: 'caughtUp', position: 43 }
      yield { kind: 'checkpoint', position: 43 }
      yield { kind: 'fellBehind', position: 43, lag: 9000 }
      await untilAborted(signal)
    }
    client.send(subscribe(5))
    const messages = (await client.until(({ kind }) => kind === 'fellBehind')).slice(1)
    expect(messages).toMatchObject([
      {
        kind: 'events',
        request: 5,
        events: [
          { stream: 'a/b ü', revision: 7, position: 42 },
          { revision: 8, position: 43 },
        ],
      },
      { kind: 'caughtUp', request: 5, position: 43 },
      { kind: 'checkpoint', request: 5, position: 43 },
      { kind: 'fellBehind', request: 5, position: 43, lag: 9000 },
    ])
    const [first] = messages[0]?.kind === 'events' ? messages[0].events : []
    expect(Buffer.compare(first?.record ?? new Uint8Array(0), stored.record)).toBe(0)
  })

  test.each([
    [{}, {}],
    [{ start: { kind: 'from', from: 5 } } as const, { from: 5 }],
    [{ stream: 'a/b', start: { kind: 'from', from: 0 } } as const, { stream: 'a/b', from: 0 }],
    [{ stream: 's', start: { kind: 'afterPosition', position: 9 } } as const, { stream: 's', afterPosition: 9 }],
  ])('%o', async (asked, expected) => {
    client.send(subscribe(1, asked))
    await client.next('caughtUp')
    const { signal: _signal, room: _room, ...options } = served.store.subscriptions[0] ?? {}
    expect(options).toEqual(expected)
  })

  test('with a filter asks the store for it', async () => {
    const filter = { items: [{ types: ['A'] }], categories: ['order'] }
    client.send({ kind: 'subscribeFiltered', request: 1, filter, start: { kind: 'afterPosition', position: 9 }, creditBytes: 1_000_000 })
    await client.next('caughtUp')
    const { signal: _signal, room: _room, ...options } = served.store.subscriptions[0] ?? {}
    expect(options).toEqual({ filter, afterPosition: 9 })
  })

  test.each([
    [
      'at once',
      (): AsyncIterable<SubscriptionMessage> => {
        throw new EventStoreError('invalid_argument', 'no such name')
      },
      'invalid_argument',
    ],
    [
      'later',
      async function* (): AsyncGenerator<SubscriptionMessage> {
        yield { kind: 'caughtUp', position: 1 }
        throw new EventStoreError('unavailable', 'this node cannot read')
      },
      'unavailable',
    ],
    ['by ending', async function* (): AsyncGenerator<SubscriptionMessage> {}, 'unavailable'],
  ])('refused by the store %s ends with the code, and its number is free', async (_, onSubscribe, code) => {
    served.store.onSubscribe = onSubscribe
    client.send(subscribe(1))
    expect(await client.next('refused')).toMatchObject({ request: 1, code })
    served.store.onSubscribe = endless()
    client.send(subscribe(1))
    await client.next('caughtUp')
  })

  test('that is cancelled ends, says nothing more, and makes room', async () => {
    const ended = Promise.withResolvers<void>()
    served.store.onSubscribe = async function* (options): AsyncGenerator<SubscriptionMessage> {
      try {
        yield* endless()(options)
      } finally {
        ended.resolve()
      }
    }
    client.send(subscribe(1))
    await client.next('caughtUp')
    client.send({ kind: 'cancel', request: 1 })
    await ended.promise
    client.send({ kind: 'ping' })
    await client.next('pong')
    expect(client.messages.map(({ kind }) => kind)).toEqual(['topology', 'caughtUp', 'pong'])
    expect(served.connections().subscriptions).toBe(0)
  })

  test('ends when its client goes', async () => {
    const ended = Promise.withResolvers<void>()
    served.store.onSubscribe = async function* ({ signal }): AsyncGenerator<SubscriptionMessage> {
      yield { kind: 'caughtUp', position: 1 }
      await untilAborted(signal)
      ended.resolve()
    }
    client.send(subscribe(1))
    await client.next('caughtUp')
    await client.close()
    await ended.promise
  })
})

describe('credit', () => {
  test('is bytes of records: as many come as it pays for, and the last may overdraw it', async () => {
    served.store.onSubscribe = endless(1000)
    client.send(subscribe(1, { creditBytes: recordBytes * 10 + 1 }))
    await sleep(50)
    client.send({ kind: 'ping' })
    await client.next('pong')
    expect(eventsOf(client.messages)).toBe(11)
    // Overdrawn by all but a byte of a record: so much less does what comes now pay for.
    client.send({ kind: 'credit', request: 1, bytes: recordBytes - 1 })
    await sleep(50)
    expect(eventsOf(client.messages)).toBe(11)
    client.send({ kind: 'credit', request: 1, bytes: 1 })
    await vi.waitFor(() => expect(eventsOf(client.messages)).toBe(12))
    client.send({ kind: 'credit', request: 1, bytes: 1_000_000 })
    await client.next('caughtUp')
    expect(eventsOf(client.messages)).toBe(1000)
  })

  test('of nothing: what is no event comes all the same', async () => {
    served.store.onSubscribe = endless(0)
    client.send(subscribe(1, { creditBytes: 0 }))
    await client.next('caughtUp')
  })

  test('smaller than an event: it comes, alone', async () => {
    served.store.onSubscribe = endless(3, storedWith(Buffer.from(JSON.stringify('x'.repeat(10_000)))))
    client.send(subscribe(1, { creditBytes: 1 }))
    await client.next('events')
    client.send({ kind: 'credit', request: 1, bytes: 50_000 })
    await client.next('caughtUp')
    expect(eventsOf(client.messages)).toBe(3)
  })

  test('for a number that is not open, or no subscription, is ignored', async () => {
    served.store.onAppend = () => new Promise(() => {})
    client.send(
      append(2),
      { kind: 'credit', request: 1, bytes: 5 },
      { kind: 'credit', request: 2, bytes: 5 },
      { kind: 'cancel', request: 9 },
    )
    client.send({ kind: 'ping' })
    await client.next('pong')
  })

  test('of one subscription is not that of another: one that has none holds nobody up', async () => {
    served.store.onSubscribe = endless(500)
    client.send(subscribe(1, { creditBytes: 1 }), subscribe(2))
    expect(await client.next('caughtUp')).toMatchObject({ request: 2 })
  })
})

test('messages hold many events, and no more than 64 KiB and one event', async () => {
  served.store.onSubscribe = endless(5000)
  client.send(subscribe(1, { creditBytes: 100_000_000 }))
  await client.next('caughtUp')
  const batches = client.messages.flatMap((message) => (message.kind === 'events' ? [message.events.length] : []))
  expect(batches.length).toBe(Math.ceil(5000 / Math.ceil(65_536 / recordBytes)))
})

describe('bounds', () => {
  test('of a connection', async () => {
    client.send(...Array.from({ length: 9 }, (_, at) => subscribe(at + 1)))
    expect(await client.next('refused')).toMatchObject({
      request: 9,
      code: 'busy',
      message: expect.stringMatching(/^8 subscriptions/) as string,
    })
  })

  test('of requests count subscriptions too', async () => {
    served.store.onAppend = () => new Promise(() => {})
    client.send(...Array.from({ length: 8 }, (_, at) => append(at + 1)), subscribe(11), subscribe(12), subscribe(13))
    expect(await client.next('refused')).toMatchObject({
      request: 13,
      code: 'busy',
      message: expect.stringMatching(/^10 requests/) as string,
    })
  })

  test('of the node are shared with HTTP, and those that end make room', async () => {
    await using other = await FrameClient.connect(served.port)
    client.send(...Array.from({ length: 8 }, (_, at) => subscribe(at + 1)))
    other.send(...Array.from({ length: 4 }, (_, at) => subscribe(at + 1)))
    await other.until((message) => message.kind === 'caughtUp' && message.request === 4)
    await client.until((message) => message.kind === 'caughtUp' && message.request === 8)
    other.send(subscribe(5))
    expect(await other.next('refused')).toMatchObject({
      request: 5,
      code: 'busy',
      message: expect.stringMatching(/^12 subscriptions/) as string,
    })
    expect(await ask(`${served.url}/events/subscription`)).toMatchObject({ status: 503, body: { code: 'busy' } })
    client.send({ kind: 'cancel', request: 1 })
    await vi.waitFor(async () => {
      other.send(subscribe(6))
      await other.until((message) => message.kind === 'caughtUp' && message.request === 6)
    })
  })
})

test('a client that never reads costs bounded memory, keeps nobody up, and is dropped', async () => {
  await using own = await serve({ subscriberStallMillisecondsMax: 700, connectionSendBytesMax: 200_000 })
  const large = storedWith(Buffer.from(JSON.stringify('x'.repeat(50_000))))
  let made = 0
  own.store.onSubscribe = async function* (options): AsyncGenerator<SubscriptionMessage> {
    for await (const message of endless(options.stream === 'endless' ? 100_000 : 100, large)(options)) {
      if (options.stream === 'endless' && message.kind === 'events') made += message.events.length
      yield message
    }
  }
  await using deaf = await FrameClient.connect(own.port, { reads: false })
  deaf.send(...Array.from({ length: 20 }, (_, at) => subscribe(at + 1, { stream: 'endless', creditBytes: 1_000_000_000 })))
  await using reader = await FrameClient.connect(own.port)
  await vi.waitFor(() => expect(own.connections().sendBytes).toBeGreaterThan(100_000))
  reader.send(subscribe(1, { creditBytes: 1_000_000_000 }))
  await reader.next('caughtUp')
  expect(own.connections().sendBytes).toBeLessThan(800_000)
  await vi.waitFor(
    () => expect(own.connections()).toMatchObject({ connections: 1, subscriptions: 1, stalledEnded: 1, sendBytes: 0 }),
    5_000,
  )
  // What may wait, and what two kernels buffer: 1,000 would be 50 MB.
  expect(made).toBeLessThan(400)
})

test('of a client that goes in the middle of a replay no more is read, not even what was to be sent next', async () => {
  await using own = await serve()
  let made = 0
  own.store.onSubscribe = async function* (options): AsyncGenerator<SubscriptionMessage> {
    for await (const message of endless(2_000, storedWith(Buffer.from(JSON.stringify('x'.repeat(20_000)))))(options)) {
      if (message.kind === 'events') made += message.events.length
      yield message
    }
  }
  const leaving = await FrameClient.connect(own.port, { reads: false })
  leaving.send(...Array.from({ length: 20 }, (_, at) => subscribe(at + 1, { creditBytes: 1_000_000_000 })))
  await vi.waitFor(() => expect(own.connections().sendBytes).toBeGreaterThan(1_000_000))
  await sleep(100)
  const before = made
  await leaving.close()
  await vi.waitFor(() => expect(own.connections()).toMatchObject({ connections: 0, subscriptions: 0, sendBytes: 0 }))
  expect(made - before).toBeLessThan(50)
})

test('a slow client that takes a little now and then is not dropped', async () => {
  await using own = await serve({ subscriberStallMillisecondsMax: 400, connectionSendBytesMax: 1_000_000 })
  own.store.onSubscribe = endless(1500, storedWith(Buffer.from(JSON.stringify('x'.repeat(20_000)))))
  await using slow = await FrameClient.connect(own.port, { reads: false })
  slow.send(subscribe(1, { creditBytes: 1_000_000_000 }))
  for (let at = 0; at < 15; at++) {
    await sleep(100)
    slow.webSocket.resume()
    await sleep(5)
    slow.webSocket.pause()
  }
  slow.webSocket.resume()
  await slow.next('caughtUp')
  expect(eventsOf(slow.messages)).toBe(1500)
  expect(own.connections().stalledEnded).toBe(0)
})

test('too much waiting on all connections together: the one goes that took nothing for the longest time', async () => {
  await using own = await serve({ sendBytesMax: 3_500_000, connectionSendBytesMax: 1_000_000 })
  own.store.onSubscribe = endless(10_000, storedWith(Buffer.from(JSON.stringify('x'.repeat(20_000)))))
  const deaf: FrameClient[] = []
  for (let at = 0; at < 5; at++) {
    const one = await FrameClient.connect(own.port, { reads: false })
    deaf.push(one)
    one.send(subscribe(1, { creditBytes: 1_000_000_000 }))
    await vi.waitFor(() =>
      expect(Number(own.connections().stalledEnded) > 0 || Number(own.connections().sendBytes) >= (at + 1) * 1_000_000).toBe(true),
    )
  }
  await vi.waitFor(() => expect(own.connections().stalledEnded).toBeGreaterThanOrEqual(2))
  expect(own.connections().sendBytes).toBeLessThanOrEqual(3_500_000)
  // The first ones have waited for longest.
  deaf.at(0)?.webSocket.resume()
  await deaf.at(0)?.closed
  expect(own.connections().connections).toBe(3)
  for (const one of deaf) await one.close()
})
