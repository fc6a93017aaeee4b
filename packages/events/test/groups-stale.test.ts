// An event that is delivered again in a new generation, and an acknowledgement of the delivery before.
import type { GroupEvent, GroupMessage } from '@synod/events'
import { expect, test } from 'vitest'
import { event, openNode } from './node.ts'

test('an acknowledgement of an earlier delivery says nothing of the present one', async () => {
  const { store } = await openNode()
  await store.groups.put('g', { partitions: 2 })
  for (let at = 0; at < 20; at++) await store.append({ stream: `s-${at}`, events: [event('x')], expected: 'any' })
  const consumer = store.groups.consume('g', { consumer: 'one', room: () => 100_000 })
  const messages = consumer.messages()[Symbol.asyncIterator]()
  const next = async (): Promise<GroupMessage> => {
    const { done, value } = await messages.next()
    if (done === true) throw new Error('it ended')
    return value
  }
  /** The first event of a generation, and the generation. */
  const delivered = async (after: number): Promise<{ readonly generation: number; readonly event: GroupEvent }> => {
    for (;;) {
      const message = await next()
      if (message.kind === 'events' && message.generation > after) return { generation: message.generation, event: message.events[0]! }
    }
  }
  const before = await delivered(0)
  const other = store.groups.consume('g', { consumer: 'two' }).messages()[Symbol.asyncIterator]()
  await other.next()
  const again = await delivered(before.generation)
  consumer.acknowledge(before.generation, [again.event.position])
  let answer = await next()
  while (answer.kind !== 'stale' && answer.kind !== 'settled') answer = await next()
  expect(answer).toEqual({ kind: 'stale', generation: before.generation, positions: [again.event.position] })
  consumer.acknowledge(again.generation, [again.event.position])
  while (answer.kind !== 'settled') answer = await next()
  expect(answer).toEqual({ kind: 'settled', generation: again.generation, positions: [again.event.position] })
  await messages.return?.()
  await other.return?.()
  await store.close()
})
