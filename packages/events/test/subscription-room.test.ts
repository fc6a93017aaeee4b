import { describe, expect, test } from 'vitest'
import type { SubscriptionMessage } from '@synod/events'
import { event, eventsOf, openNode, take, type TestNode } from './node.ts'

const isCaughtUp = ({ kind }: SubscriptionMessage): boolean => kind === 'caughtUp'
const all = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1)
const positions = (messages: readonly SubscriptionMessage[]): number[] => eventsOf(messages).map(({ position }) => position)

async function nodeWith(count: number, more: Parameters<typeof openNode>[0] = {}): Promise<TestNode> {
  const node = await openNode({ machine: { tailBytesMax: 1, flushDelayMs: 0 }, ...more })
  const events = Array.from({ length: count }, (_, at) => event('x', { at, pad: 'x'.repeat(60) }))
  await node.store.append({ stream: 's', events, expected: 'any' })
  await node.machine.flush()
  return node
}

async function turns(): Promise<void> {
  for (let at = 0; at < 20; at++) await new Promise((resolve) => setImmediate(resolve))
}

describe('a reader that says how much it takes', () => {
  test.each([
    ['as much as there is: a page a message', 1e9, [7, 7, 6]],
    ['a byte: an event a message', 1, Array.from({ length: 20 }, () => 1)],
  ])('%s', async (_, bytes, sizes) => {
    const node = await nodeWith(20, { limits: { subscriptionPageEventsMax: 7 } })
    const messages = await take(node.store.subscribe({ room: () => bytes }), isCaughtUp)
    expect(messages.flatMap((message) => (message.kind === 'events' ? [message.events.length] : []))).toEqual(sizes)
    expect(positions(messages)).toEqual(all(20))
  })

  test('a message ends with the event that reaches it', async () => {
    const node = await nodeWith(20)
    const messages = await take(node.store.subscribe({ room: () => 400 }), isCaughtUp)
    for (const message of messages.slice(0, -2)) {
      if (message.kind !== 'events') continue
      const sizes = message.events.map(({ record }) => record.length)
      const sum = sizes.reduce((bytes, size) => bytes + size, 0)
      expect(sum).toBeGreaterThanOrEqual(400)
      expect(sum - (sizes.at(-1) ?? 0)).toBeLessThan(400)
    }
    expect(positions(messages)).toEqual(all(20))
  })

  test('waits for it, and is told everything that needs no room meanwhile', async () => {
    const node = await openNode()
    const room = Promise.withResolvers<number>()
    let asked = 0
    const seen: SubscriptionMessage[] = []
    const following = (async () => {
      const wait = (): Promise<number> => {
        asked++
        return room.promise
      }
      for await (const message of node.store.subscribe({ room: wait })) {
        seen.push(message)
        if (message.kind === 'events') break
      }
    })()
    await turns()
    expect(seen.map(({ kind }) => kind)).toEqual(['caughtUp', 'checkpoint'])
    await node.store.append({ stream: 's', events: [event('a'), event('b')], expected: 'any' })
    await turns()
    expect([asked, seen.length]).toEqual([1, 2])
    room.resolve(1e6)
    await following
    expect(positions(seen)).toEqual([1, 2])
  })

  test('while it waits its page is no memory: another reader goes on in a budget of one event', async () => {
    const node = await nodeWith(30, { limits: { subscriptionBytesMax: 1, subscriptionPageEventsMax: 10 } })
    const rooms = [Promise.resolve(1)]
    const more = Promise.withResolvers<number>()
    const slow = node.store.subscribe({ room: () => rooms.shift() ?? more.promise })[Symbol.asyncIterator]()
    expect((await slow.next()).value).toMatchObject({ events: [{ position: 1 }] })
    const next = slow.next()
    expect(positions(await take(node.store.subscribe({}), isCaughtUp))).toEqual(all(30))
    more.resolve(1e6)
    expect((await next).value).toMatchObject({ events: [{ position: 2 }] })
    await slow.return?.()
  })

  test('ends when it is aborted while it waits', async () => {
    const node = await nodeWith(3)
    const aborting = new AbortController()
    const room = (): Promise<number> =>
      new Promise((resolve) => aborting.signal.addEventListener('abort', () => resolve(0), { once: true }))
    const ended = take(node.store.subscribe({ room, signal: aborting.signal }), () => false)
    await turns()
    aborting.abort()
    expect(await ended).toEqual([])
  })
})
