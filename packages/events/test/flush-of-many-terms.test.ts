import { expect, test } from 'vitest'
import { event, openNode, uuid } from './node.ts'

const ownTags = (at: number) => Array.from({ length: 64 }, (_, tag) => `own:${at}/${tag}`)

test('tags that nothing else has count like events against what waits for a flush', async () => {
  const { store, machine } = await openNode({ machine: { flushDelayMs: 1_000_000, unflushedEventsMax: 4000, flushEventsMax: 2000 } })
  const append = (at: number, tags: readonly string[]) =>
    store.append({ stream: 'a-1', events: [event('x', at, { id: uuid(at), tags })], expected: 'any' })
  for (let at = 0; at < 20; at++) await append(at, ['one', 'other'])
  // Twenty events, and in the first one's slot two terms more than its type and its category.
  expect(machine.counters()).toMatchObject({ unflushedEvents: 22, flushes: 0 })
  for (let at = 20; at < 50; at++) await append(at, ownTags(at))
  expect(machine.counters()).toMatchObject({ unflushedEvents: 22 + 30 * 63, flushes: 0 })
  // Two more fill a flush, which begins at once; its terms are new again after it.
  for (let at = 50; at < 52; at++) await append(at, ownTags(at))
  await expect.poll(() => machine.counters()).toMatchObject({ unflushedEvents: 0, flushedEvents: 52, flushes: 1 })
  await append(52, ownTags(51))
  expect(machine.counters()).toMatchObject({ unflushedEvents: 65 })
})
