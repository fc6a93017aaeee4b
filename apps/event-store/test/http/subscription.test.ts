import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { EventStoreError, type SubscriptionMessage } from '@synod/events'
import { ask, ScriptedStore, serve, storedWith, type Served } from './served.ts'

let served: Served
beforeAll(async () => void (served = await serve({ subscriberStallMillisecondsMax: 500, subscriptionsMax: 2 })))
afterAll(() => served.close())
beforeEach(() => {
  served.store.subscriptions.length = 0
  served.store.onSubscribe = (options) => new ScriptedStore().onSubscribe(options)
})

function untilAborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }))
}

describe('a subscription', () => {
  test('writes id, event and one data line; an event as a read gives it', async () => {
    const response = await fetch(`${served.url}/events/subscription`)
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
    const messages = (await response.text()).split('\n\n').filter((part) => part !== '' && !part.startsWith(':'))
    const page = await (await fetch(`${served.url}/events`)).text()
    const event = page.slice('{"events":['.length, -2)
    expect(messages).toEqual([`id: 42\nevent: event\ndata: ${event}`, 'id: 42\nevent: caughtUp\ndata: {"position":42}'])
  })

  test.each([
    ['/events/subscription', {}, {}],
    ['/events/subscription?from=5', {}, { from: 5 }],
    ['/streams/a%2Fb/subscription?from=5', {}, { stream: 'a/b', from: 5 }],
    ['/streams/s/subscription?from=5', { 'last-event-id': '9' }, { stream: 's', afterPosition: 9 }],
    ['/events/subscription?from=5', { 'last-event-id': '0' }, { afterPosition: 0 }],
    ['/events/subscription?from=5', { 'last-event-id': '' }, { from: 5 }],
  ])('%s with %j', async (path, headers, expected) => {
    await (await fetch(served.url + path, { headers })).text()
    const { signal: _signal, ...asked } = served.store.subscriptions[0] ?? {}
    expect(asked).toEqual(expected)
  })

  test.each([
    ['?from=-1', {}],
    ['?from=x', {}],
    ['?limit=3', {}],
    ['', { 'last-event-id': 'x' }],
    ['', { 'last-event-id': '-1' }],
    ['', { 'last-event-id': '9007199254740992' }],
  ])('refuses %s %j', async (query, headers) => {
    const { status, body } = await ask(`${served.url}/events/subscription${query}`, { headers: headers as Record<string, string> })
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'invalid_argument' })
  })

  test('a refusal by the store has a status', async () => {
    served.store.onSubscribe = () => ({
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new EventStoreError('busy', 'too many')) }),
    })
    const { status, body } = await ask(`${served.url}/events/subscription`)
    expect({ status, code: body.code }).toEqual({ status: 503, code: 'busy' })
  })

  test('a comment line in every second of silence; a client that goes ends it', async () => {
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    served.store.onSubscribe = async function* ({ signal }): AsyncGenerator<SubscriptionMessage> {
      yield { kind: 'caughtUp', position: 42 }
      await untilAborted(signal)
      resolve()
    }
    const controller = new AbortController()
    const response = await fetch(`${served.url}/events/subscription`, { signal: controller.signal })
    const arrivals: number[] = []
    const reader = response.body?.getReader()
    const startedAt = performance.now()
    while (performance.now() - startedAt < 3000) {
      await reader?.read()
      arrivals.push(performance.now())
    }
    const gaps = arrivals.slice(1).map((at, index) => at - (arrivals[index] ?? 0))
    expect(gaps.length).toBeGreaterThanOrEqual(2)
    expect(Math.max(...gaps)).toBeLessThan(1500)
    controller.abort()
    await ended
  })

  test('a reader that never reads costs bounded memory and is dropped', async () => {
    let yielded = 0
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    const large = storedWith(Buffer.from(JSON.stringify('x'.repeat(100_000))))
    served.store.onSubscribe = async function* ({ signal }): AsyncGenerator<SubscriptionMessage> {
      try {
        while (signal?.aborted !== true) {
          yielded++
          yield { kind: 'events', events: [large] }
        }
      } finally {
        resolve()
      }
    }
    const socket = connect(served.port, '127.0.0.1')
    socket.pause()
    socket.on('error', () => {}) // it is dropped: that is what the test is about
    socket.write('GET /events/subscription HTTP/1.1\r\nhost: x\r\n\r\n')
    await ended
    // What two kernels buffer, and no more: 200 would be 20 MB.
    expect(yielded).toBeLessThan(200)
    socket.destroy()
  })

  test('subscriptions are bounded', async () => {
    served.store.onSubscribe = async function* ({ signal }): AsyncGenerator<SubscriptionMessage> {
      yield { kind: 'caughtUp', position: 42 }
      await untilAborted(signal)
    }
    const controller = new AbortController()
    const open = await Promise.all([1, 2].map(() => fetch(`${served.url}/events/subscription`, { signal: controller.signal })))
    expect(open.map(({ status }) => status)).toEqual([200, 200])
    const third = await ask(`${served.url}/events/subscription`)
    expect({ status: third.status, code: third.body.code }).toEqual({ status: 503, code: 'busy' })
    controller.abort()
    await expect.poll(async () => (await fetch(`${served.url}/events/subscription`, { signal: AbortSignal.timeout(500) })).status).toBe(200)
  })

  test('closing the server ends subscriptions and lets requests finish', async () => {
    const own = await serve()
    own.store.onSubscribe = async function* ({ signal }): AsyncGenerator<SubscriptionMessage> {
      yield { kind: 'caughtUp', position: 42 }
      await untilAborted(signal)
    }
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    own.store.onAppend = async () => {
      begin()
      await sleep(200)
      return { revision: 0, position: 1 }
    }
    const subscription = await fetch(`${own.url}/events/subscription`)
    const appended = fetch(`${own.url}/streams/s`, { method: 'POST', body: '[{"type":"A","data":1}]' })
    await begun
    await own.close()
    expect((await appended).status).toBe(201)
    expect(await subscription.text()).toContain('caughtUp')
    const socket = connect(own.port, '127.0.0.1')
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toBe('ECONNREFUSED')
  })
})
