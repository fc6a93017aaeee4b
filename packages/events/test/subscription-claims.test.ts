// What a subscription claims to have considered, when something comes in the middle of its look.
import { expect, test } from 'vitest'
import { event, openNode, type TestNode } from './node.ts'

async function append({ store }: TestNode, stream: string): Promise<void> {
  await store.append({ stream, events: [event('E')], expected: 'any' })
}

/** Its messages, as text, until the event at the position came. */
async function until({ store }: TestNode, stream: string, last: number): Promise<string[]> {
  const told: string[] = []
  for await (const message of store.subscribe({ stream })) {
    if (message.kind === 'events') told.push(...message.events.map(({ position }) => `event ${position}`))
    else told.push(`${message.kind} ${message.position}`)
    if (told.at(-1) === `event ${last}`) break
  }
  return told
}

test('an event that comes while the end of its stream is looked up is not claimed before it is delivered', async () => {
  const node = await openNode({ machine: { streamCacheMax: 1, tailBytesMax: 1, flushDelayMs: 0 } })
  await append(node, 's')
  // Until the stream is in no cache, and a look finds what the read side says.
  for (const other of ['a', 'b', 'c', 'd']) {
    await append(node, other)
    await node.machine.flush()
  }
  const { streams } = node.machine.index
  const find = streams.find.bind(streams)
  let looks = 0
  streams.find = async (name) => {
    const state = await find(name)
    if (++looks === 1) await append(node, 's')
    return state
  }
  expect(await until(node, 's', 6)).toEqual(['event 1', 'caughtUp 5', 'checkpoint 5', 'event 6'])
})
