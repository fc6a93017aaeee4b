import { describe, expect, test } from 'vitest'
import type { SubscribeOptions, SubscriptionMessage } from '@synod/events'
import { event, openNode, type TestNode } from './node.ts'

async function append(node: TestNode, stream: string, count: number): Promise<void> {
  for (let at = 0; at < count; at++) await node.store.append({ stream, events: [event('x', at)], expected: 'any' })
}

/** What a subscription says, as kind:position, up to the first message of this kind at or above the position. */
function said(node: TestNode, options: SubscribeOptions, kind: SubscriptionMessage['kind'], position: number): Promise<string[]> {
  return (async () => {
    const words: string[] = []
    for await (const message of node.store.subscribe(options)) {
      const at = message.kind === 'events' ? (message.events.at(-1)?.position ?? 0) : message.position
      words.push(`${message.kind}:${at}`)
      if (message.kind === kind && at >= position) break
    }
    return words
  })()
}

/** So many turns of the event loop that a subscription which has something to say has said it. */
async function turns(): Promise<void> {
  for (let at = 0; at < 20; at++) await new Promise((resolve) => setImmediate(resolve))
}

describe('a subscription that resumes at a node which lags', () => {
  test.each([{}, { stream: 's' }])('%o: goes on after its position, and nothing is said below it', async (which) => {
    const node = await openNode({ limits: { checkpointIntervalMs: 1 } })
    await append(node, 's', 4)
    const words = said(node, { ...which, afterPosition: 6 }, 'events', 8)
    for (let at = 0; at < 4; at++) {
      await turns()
      await append(node, 's', 1)
    }
    expect((await words).filter((word) => !word.startsWith('checkpoint'))).toEqual(['caughtUp:6', 'events:7', 'events:8'])
    expect((await words).map((word) => Number(word.split(':')[1])).every((position) => position >= 6)).toBe(true)
  })

  test('has caught up as soon as the node has, where nothing happens in the stream too', async () => {
    const node = await openNode()
    await append(node, 's', 1)
    const words = said(node, { stream: 's', afterPosition: 3 }, 'caughtUp', 0)
    await turns()
    await append(node, 'other', 2)
    expect(await words).toEqual(['caughtUp:3'])
  })

  test('skips what it had when the node gets it in one go', async () => {
    const node = await openNode({ limits: { subscriptionPageEventsMax: 2 } })
    const words = said(node, { stream: 's', afterPosition: 5 }, 'events', 7)
    await turns()
    await node.store.append({ stream: 's', events: Array.from({ length: 7 }, () => event('x')), expected: 'any' })
    expect((await words).filter((word) => word.startsWith('events'))).toEqual(['events:6', 'events:7'])
  })

  test.each([
    { afterPosition: Number.MAX_SAFE_INTEGER },
    { from: Number.MAX_SAFE_INTEGER },
    { stream: 's', afterPosition: Number.MAX_SAFE_INTEGER },
    { stream: 's', from: Number.MAX_SAFE_INTEGER },
    { stream: 's', from: 6 },
    { stream: 'none', from: 1 },
  ])('%o waits without a word, and ends when it is aborted', async (options) => {
    const node = await openNode({ limits: { checkpointIntervalMs: 1 } })
    await append(node, 's', 3)
    const aborting = new AbortController()
    const words = said(node, { ...options, signal: aborting.signal }, 'events', 0)
    await turns()
    await append(node, 's', 2)
    await new Promise((resolve) => setTimeout(resolve, 20))
    aborting.abort()
    expect(await words).toEqual([])
  })

  test('from a revision that is to come: caught up when the stream has come to it', async () => {
    const node = await openNode()
    await append(node, 's', 2)
    const words = said(node, { stream: 's', from: 3 }, 'events', 0)
    await turns()
    for (let at = 0; at < 2; at++) {
      await append(node, 's', 1)
      await turns()
    }
    expect(await words).toEqual(['caughtUp:3', 'checkpoint:3', 'events:4'])
  })
})
