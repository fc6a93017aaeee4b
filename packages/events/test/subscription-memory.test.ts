import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { decodeRecord } from '@synod/event-record'
import type { SubscriptionMessage } from '@synod/events'
import { event, eventsOf, openNode, take, type NodeOptions, type TestNode } from './node.ts'

const small = 16 * 1024
const large = { type: 'x', data: new TextEncoder().encode(JSON.stringify('x'.repeat(500_000))) }

async function append(node: TestNode, stream: string, count: number): Promise<void> {
  for (let at = 0; at < count; at++) await node.store.append({ stream, events: [event('x', at)], expected: 'any' })
}

async function turns(): Promise<void> {
  for (let at = 0; at < 20; at++) await new Promise((resolve) => setImmediate(resolve))
}

describe('what is read keeps no slot in memory', () => {
  test('a small event beside a large one is a copy, from a subscription and from both reads', async () => {
    const { store } = await openNode()
    for (let at = 0; at < 4; at++) {
      await Promise.all([
        store.append({ stream: 's', events: [event('t', at), event('t', 'm', { metadata: large.data.slice(0, 9) })], expected: 'any' }),
        store.append({ stream: 'b', events: [large], expected: 'any' }),
      ])
    }
    const options = { consistency: 'local', limit: 100 } as const
    const read = [
      ...eventsOf(await take(store.subscribe({ stream: 's' }), ({ kind }) => kind === 'caughtUp')),
      ...eventsOf(await take(store.subscribe({}), ({ kind }) => kind === 'caughtUp')),
      ...(await store.readStream('s', options)),
      ...(await store.readAll(options)),
    ]
    expect(read).toHaveLength(8 + 12 + 8 + 12)
    for (const { stream, record } of read) expect(record.buffer.byteLength).toBeLessThanOrEqual(stream === 's' ? small : 2 * record.length)
    expect(read.slice(0, 4).map(({ record }) => new TextDecoder().decode(decodeRecord(record).data))).toEqual(['0', '"m"', '1', '"m"'])
  })

  test('what fills its slot is not copied: a reader at the head costs no copy', async () => {
    const { store, log } = await openNode()
    await store.append({ stream: 'b', events: [large], expected: 'any' })
    const [read] = await store.readStream('b', { consistency: 'local', limit: 1 })
    expect(log.slots.some(({ buffer }) => buffer === read?.record.buffer)).toBe(true)
  })
})

test('stalled subscribers keep nothing of the slots that the tail has let go', async () => {
  const tailBytesMax = 2_000_000
  const { store, log, machine } = await openNode({ machine: { tailBytesMax, flushDelayMs: 0 } })
  const stalled = []
  const slots: WeakRef<ArrayBufferLike>[] = []
  for (let round = 0; round < 4; round++) {
    for (let at = 0; at < 10; at++) {
      await Promise.all([
        store.append({ stream: 's', events: [event('t', at)], expected: 'any' }),
        store.append({ stream: 'b', events: [large], expected: 'any' }),
      ])
    }
    const messages = store.subscribe({ stream: 's', from: round * 10 + 7 })[Symbol.asyncIterator]()
    await messages.next()
    stalled.push(messages)
    slots.push(...log.slots.filter(({ buffer }) => buffer.byteLength > 500_000).map(({ buffer }) => new WeakRef(buffer)))
    // The stand-in log keeps all its slots in memory; a real one does not.
    log.slots.fill(new Uint8Array(0))
    await machine.flush()
  }
  expect(slots).toHaveLength(40)
  const alive = (): number => slots.filter((slot) => slot.deref() !== undefined).length
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  await expect
    .poll(() => {
      collect()
      return alive()
    })
    .toBeLessThanOrEqual(tailBytesMax / 500_000 + 1)
  for (const messages of stalled) await messages.return?.()
})

/** Pages of 10 events of about 64 kB together, read from the log. */
async function stored(limits: NodeOptions['limits']): Promise<{ readonly node: TestNode; readonly pages: () => number }> {
  const node = await openNode({ machine: { tailBytesMax: 1, flushDelayMs: 0 }, limits: { subscriptionPageEventsMax: 10, ...limits } })
  for (let at = 0; at < 30; at++) await node.store.append({ stream: 's', events: [event('x', 'x'.repeat(6400))], expected: 'any' })
  await node.machine.flush()
  let pages = 0
  const slices = node.log.slices.bind(node.log)
  node.log.slices = (requests) => {
    pages++
    return slices(requests)
  }
  return { node, pages: () => pages }
}

describe('what subscriptions hold together is bounded', () => {
  test.each([
    ['room for both: each page is read once', 10_000_000, 6],
    ['room for one: the page of the stalled reader is let go and read again', 100_000, 7],
  ])('%s', async (_, subscriptionBytesMax, least) => {
    const { node, pages } = await stored({ subscriptionBytesMax })
    const stalled = node.store.subscribe({})[Symbol.asyncIterator]()
    const positions: number[] = []
    const next = async (): Promise<boolean> => {
      const { value } = (await stalled.next()) as IteratorYieldResult<SubscriptionMessage>
      positions.push(...eventsOf([value]).map(({ position }) => position))
      return value.kind === 'caughtUp'
    }
    for (let at = 0; at < 3; at++) await next()
    const other = eventsOf(await take(node.store.subscribe({}), ({ kind }) => kind === 'caughtUp'))
    while (!(await next()));
    await stalled.return?.()
    const all = Array.from({ length: 30 }, (_unused, at) => at + 1)
    expect(other.map(({ position }) => position)).toEqual(all)
    expect(positions).toEqual(all)
    if (least === 6) expect(pages()).toBe(6)
    else expect(pages()).toBeGreaterThanOrEqual(least)
  })

  test('events in hand beyond the bound: the next reader waits its turn, until one moves on, ends, or it is aborted', async () => {
    const { node } = await stored({ subscriptionBytesMax: 1 })
    const stalled = node.store.subscribe({})[Symbol.asyncIterator]()
    await stalled.next()
    const positions: number[] = []
    const waiting = (async () => {
      for await (const message of node.store.subscribe({})) {
        positions.push(...eventsOf([message]).map(({ position }) => position))
        if (message.kind === 'caughtUp') break
      }
    })()
    const aborting = new AbortController()
    const aborted = take(node.store.subscribe({ signal: aborting.signal }), () => false)
    await turns()
    expect(positions).toEqual([])
    aborting.abort()
    expect(await aborted).toEqual([])
    await stalled.return?.()
    await waiting
    expect(positions).toEqual(Array.from({ length: 30 }, (_unused, at) => at + 1))
  })

  test('many readers with far too little room each see everything, in order', async () => {
    const { node } = await stored({ subscriptionBytesMax: 20_000 })
    await append(node, 'live', 5)
    const all = await Promise.all(
      Array.from({ length: 50 }, (_unused, at) => take(node.store.subscribe({ from: (at % 30) + 1 }), ({ kind }) => kind === 'caughtUp')),
    )
    all.forEach((messages, at) => {
      const first = (at % 30) + 1
      expect(eventsOf(messages).map(({ position }) => position)).toEqual(Array.from({ length: 36 - first }, (_unused, n) => first + n))
    })
  })
})
