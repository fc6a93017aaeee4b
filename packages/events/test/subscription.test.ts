import { describe, expect, test } from 'vitest'
import type { SubscriptionMessage } from '@synod/events'
import { event, eventsOf, openNode, take, type TestNode } from './node.ts'

async function append(node: TestNode, stream: string, count = 1): Promise<void> {
  for (let at = 0; at < count; at++) await node.store.append({ stream, events: [event('x', at)], expected: 'any' })
}

const isCaughtUp = ({ kind }: SubscriptionMessage): boolean => kind === 'caughtUp'
const positionsOf = (messages: readonly SubscriptionMessage[]): number[] => eventsOf(messages).map(({ position }) => position)

describe('a subscription', () => {
  test('to an empty store has caught up at once, then follows', async () => {
    const node = await openNode()
    const messages = node.store.subscribe({})[Symbol.asyncIterator]()
    expect((await messages.next()).value).toEqual({ kind: 'caughtUp', position: 0 })
    expect((await messages.next()).value).toEqual({ kind: 'checkpoint', position: 0 })
    const next = messages.next()
    await append(node, 'a')
    expect((await next).value).toMatchObject({ kind: 'events', events: [{ position: 1, stream: 'a' }] })
    await messages.return?.()
  })

  test('replays from the read side and from memory alike', async () => {
    const node = await openNode({ machine: { tailBytesMax: 1, flushDelayMs: 0 }, limits: { subscriptionPageEventsMax: 7 } })
    await append(node, 'a', 30)
    await node.machine.flush()
    await append(node, 'b', 5)
    const messages = await take(node.store.subscribe({ from: 4 }), isCaughtUp)
    expect(positionsOf(messages)).toEqual(Array.from({ length: 32 }, (_, at) => at + 4))
    expect(messages.at(-1)).toEqual({ kind: 'caughtUp', position: 35 })
  })

  test('to a stream delivers that stream only, inclusive, and waits for one that is not there yet', async () => {
    const node = await openNode()
    const early = take(node.store.subscribe({ stream: 'b', from: 1 }), ({ kind }) => kind === 'events')
    await append(node, 'a', 3)
    await append(node, 'b', 2)
    expect(positionsOf(await early)).toEqual([5])
    expect(eventsOf(await take(node.store.subscribe({ stream: 'a', from: 1 }), isCaughtUp)).map(({ revision }) => revision)).toEqual([1, 2])
  })

  test.each([1_000_000, 1])('to a stream resumes after a position (tail of %i bytes)', async (tailBytesMax) => {
    const node = await openNode({ machine: { tailBytesMax, flushDelayMs: 0 } })
    for (let at = 0; at < 10; at++) await append(node, at % 2 === 0 ? 'a' : 'b')
    await node.machine.flush()
    for (let after = 0; after <= 10; after++) {
      const messages = await take(node.store.subscribe({ stream: 'b', afterPosition: after }), isCaughtUp)
      expect(positionsOf(messages)).toEqual([2, 4, 6, 8, 10].filter((position) => position > after))
    }
  })

  test('checkpoints move on a timer, in a stream where nothing happens too', async () => {
    const node = await openNode({ limits: { checkpointIntervalMs: 5 } })
    await append(node, 'quiet')
    const moved = take(
      node.store.subscribe({ stream: 'quiet' }),
      ({ kind, ...message }) => kind === 'checkpoint' && 'position' in message && message.position === 9,
    )
    await append(node, 'busy', 8)
    const messages = await moved
    expect(positionsOf(messages)).toEqual([1])
    expect(messages.at(-1)).toEqual({ kind: 'checkpoint', position: 9 })
  })

  test('that stops reading falls behind, says so, and catches up without a gap', async () => {
    const node = await openNode({
      machine: { tailBytesMax: 2000, flushDelayMs: 0 },
      limits: { fellBehindEvents: 10, subscriptionPageEventsMax: 4 },
    })
    const messages = node.store.subscribe({})[Symbol.asyncIterator]()
    await messages.next()
    await append(node, 'a', 100)
    await node.machine.flush()
    const seen: SubscriptionMessage[] = []
    for (let caughtUp = false; !caughtUp;) {
      const { value } = (await messages.next()) as { value: SubscriptionMessage }
      seen.push(value)
      caughtUp = value.kind === 'caughtUp'
    }
    expect(seen.filter(({ kind }) => kind === 'fellBehind')).toEqual([{ kind: 'fellBehind', position: 0, lag: 100 }])
    expect(positionsOf(seen)).toEqual(Array.from({ length: 100 }, (_, at) => at + 1))
    await messages.return?.()
  })

  test('catches up under load: the end is where it was', async () => {
    const node = await openNode({ limits: { subscriptionPageEventsMax: 2 } })
    await append(node, 'a', 50)
    const seen: SubscriptionMessage[] = []
    for await (const message of node.store.subscribe({})) {
      seen.push(message)
      if (message.kind === 'caughtUp') break
      await append(node, 'a', 2)
    }
    expect(seen.length).toBeLessThan(60)
    expect(positionsOf(seen)).toEqual(eventsOf(seen).map((_, at) => at + 1))
  })

  test('ends when it is aborted, before, while waiting, and in the middle', async () => {
    const node = await openNode()
    await append(node, 'a', 3)
    expect(await take(node.store.subscribe({ signal: AbortSignal.abort() }), () => false)).toEqual([])
    const aborting = new AbortController()
    const waiting = take(node.store.subscribe({ signal: aborting.signal }), (message) => {
      if (message.kind === 'checkpoint') setImmediate(() => aborting.abort())
      return false
    })
    expect(positionsOf(await waiting)).toEqual([1, 2, 3])
    const middle = new AbortController()
    const cut = await take(node.store.subscribe({ signal: middle.signal }), () => {
      middle.abort()
      return false
    })
    expect(positionsOf(cut)).toEqual([1])
  })

  test('ends when the store closes, and the next one is refused', async () => {
    const node = await openNode()
    const waiting = take(node.store.subscribe({}), () => false)
    await append(node, 'a')
    await node.store.close()
    await waiting
    expect(() => node.store.subscribe({})).toThrow(expect.objectContaining({ code: 'unavailable' }))
  })

  test('beyond the limit is refused as busy; one that ended makes room', async () => {
    const node = await openNode({ limits: { subscriptionsMax: 1 } })
    const first = node.store.subscribe({})[Symbol.asyncIterator]()
    await first.next()
    await expect(take(node.store.subscribe({}), isCaughtUp)).rejects.toMatchObject({ code: 'busy' })
    await first.return?.()
    await take(node.store.subscribe({}), isCaughtUp)
  })

  test.each([{ from: -1 }, { from: 0.5 }, { afterPosition: -1 }, { from: 1, afterPosition: 1 }, { stream: '' }])(
    'with %o is refused',
    async (options) => {
      const { store } = await openNode()
      expect(() => store.subscribe(options)).toThrow(expect.objectContaining({ code: 'invalid_argument' }))
    },
  )

  test('a thousand that wait for their streams are each woken by their own events only', async () => {
    const node = await openNode()
    const aborting = new AbortController()
    const counts = new Map<number, number>()
    const all = Array.from({ length: 1000 }, async (_, at) => {
      for await (const message of node.store.subscribe({ stream: `s${at}`, signal: aborting.signal }))
        counts.set(at, (counts.get(at) ?? 0) + (message.kind === 'events' ? message.events.length : 0))
    })
    await append(node, 's7', 3)
    const last = take(node.store.subscribe({ stream: 's8' }), ({ kind }) => kind === 'events')
    await append(node, 's8', 1)
    await last
    aborting.abort()
    await Promise.all(all)
    expect([...counts].filter(([, count]) => count > 0)).toEqual([
      [7, 3],
      [8, 1],
    ])
  })
})
