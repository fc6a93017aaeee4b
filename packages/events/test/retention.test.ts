// The API of retention, word for word.
import { expect, test } from 'vitest'
import { memoryReadSideStorage } from '@synod/events/memory'
import { event, openNode, type TestNode } from './node.ts'
import { TickProposer } from './tick-proposer.ts'

const local = { consistency: 'local' } as const

async function appended(node: TestNode, stream: string, count: number): Promise<void> {
  for (let left = count; left > 0; left--) await node.store.append({ stream, events: [event('E')], expected: 'any' })
}

async function hidden({ machine }: TestNode, stream: string) {
  return machine.index.visibility.hiddenIn(await machine.index.streams.findAny(stream))
}

async function lastRevision({ machine }: TestNode, stream: string): Promise<number> {
  return machine.index.visibility.lastRevision(await machine.index.streams.findAny(stream))
}

test('metadata is replaced whole, counted, and there before the stream is', async () => {
  const node = await openNode()
  const { retention } = node.store
  expect(await retention.metadata('s', local)).toEqual({ stream: 's', metadata: {}, version: 0, state: 'absent' })
  expect(node.machine.index.visibility.hidesNothing).toBe(true)
  const metadata = { maxCount: 2, custom: { owner: 'é', deep: [{}] } }
  expect(await retention.setMetadata('s', metadata)).toEqual({ stream: 's', metadata, version: 1, state: 'absent' })
  expect(node.machine.index.visibility.hidesNothing).toBe(false)
  await appended(node, 's', 5)
  expect(await hidden(node, 's')).toEqual({ belowRevision: 3, throughPosition: 0 })
  await retention.setMetadata('s', { maxAgeSeconds: 60 })
  expect(await retention.metadata('s', { consistency: 'linearizable' })).toEqual({
    stream: 's',
    metadata: { maxAgeSeconds: 60 },
    version: 2,
    state: 'open',
  })
  expect(await hidden(node, 's'), 'what maxCount hid stays hidden').toEqual({ belowRevision: 3, throughPosition: 0 })
})

test('a larger maxCount brings nothing back; a smaller one hides at once; truncateBefore may be ahead', async () => {
  const node = await openNode()
  await appended(node, 's', 10)
  const { retention } = node.store
  await retention.setMetadata('s', { maxCount: 3 })
  await retention.setMetadata('s', { maxCount: 100 })
  expect((await hidden(node, 's')).belowRevision).toBe(7)
  await appended(node, 's', 1)
  await retention.setMetadata('s', { maxCount: 2 })
  expect((await hidden(node, 's')).belowRevision).toBe(9)
  await retention.setMetadata('s', { truncateBefore: 20 })
  expect((await hidden(node, 's')).belowRevision, 'one more than the last: all').toBe(11)
  await appended(node, 's', 1)
  expect((await hidden(node, 's')).belowRevision, 'those to come, while it stands').toBe(12)
  await retention.setMetadata('s', {})
  await appended(node, 's', 1)
  expect((await hidden(node, 's')).belowRevision).toBe(12)
})

test('a deleted stream has no last revision until it is used again, and goes on numbering', async () => {
  const node = await openNode()
  await appended(node, 's', 3)
  const { retention } = node.store
  await retention.setMetadata('s', { maxCount: 7 })
  await expect(retention.delete('s', { expected: 1 })).rejects.toMatchObject({
    code: 'wrong_expected_revision',
    stream: 's',
    expected: 1,
    actual: 2,
  })
  const deleted = { stream: 's', metadata: {}, version: 2, state: 'deleted' }
  expect(await retention.delete('s', { expected: 2 })).toEqual(deleted)
  expect(await retention.delete('s', { expected: 2 }), 'again').toEqual(deleted)
  expect(await retention.metadata('s', local)).toEqual(deleted)
  expect(await lastRevision(node, 's')).toBe(-1)
  expect(await node.store.append({ stream: 's', events: [event('E')], expected: 'noStream' })).toEqual({ revision: 3, position: 4 })
  expect(await lastRevision(node, 's')).toBe(3)
  expect(await hidden(node, 's')).toEqual({ belowRevision: 3, throughPosition: 0 })
  expect(await retention.metadata('s', local)).toMatchObject({ state: 'open', version: 2 })
})

test('deleting again is the same after a restart, too', async () => {
  const storage = memoryReadSideStorage()
  const node = await openNode({ storage })
  await appended(node, 's', 1)
  await appended(node, 't', 1)
  await node.store.retention.delete('s', {})
  await node.store.retention.delete('t', { isHard: true })
  await node.machine.close()
  const { store } = await openNode({ storage, slots: await node.log.crash() })
  expect(await store.retention.delete('s', {})).toMatchObject({ version: 1, state: 'deleted' })
  expect(await store.retention.delete('t', { isHard: true })).toMatchObject({ version: 1, state: 'tombstoned' })
})

test('a tombstone is for ever', async () => {
  const node = await openNode()
  const { retention } = node.store
  await expect(retention.delete('s', { isHard: true })).rejects.toMatchObject({ code: 'stream_not_found' })
  await appended(node, 's', 2)
  await retention.delete('s', {})
  const tombstoned = { stream: 's', metadata: {}, version: 2, state: 'tombstoned' }
  expect(await retention.delete('s', { isHard: true })).toEqual(tombstoned)
  expect(await retention.delete('s', { isHard: true })).toEqual(tombstoned)
  for (const refused of [
    retention.delete('s', {}),
    retention.setMetadata('s', {}),
    node.store.append({ stream: 's', events: [event('E')], expected: 'any' }),
  ])
    await expect(refused).rejects.toMatchObject({ code: 'stream_tombstoned' })
  expect(await hidden(node, 's')).toEqual({ belowRevision: 2, throughPosition: 0 })
})

test('the shortest age counts as long as some stream has one, across restarts', async () => {
  const storage = memoryReadSideStorage()
  let node = await openNode({ storage })
  const restarted = async (): Promise<number> => {
    await node.machine.close()
    node = await openNode({ storage, slots: await node.log.crash() })
    return node.machine.retention.shortestAgeSeconds
  }
  expect(node.machine.retention).toMatchObject({ isUsed: false, shortestAgeSeconds: 0 })
  await node.store.retention.setMetadata('s', { maxAgeSeconds: 50 })
  await appended(node, 's', 1)
  expect(await restarted()).toBe(50)
  await node.store.retention.setMetadata('t', { maxAgeSeconds: 9 })
  await node.store.retention.setMetadata('u', { maxAgeSeconds: 99 })
  expect(await restarted()).toBe(9)
  await node.store.retention.setMetadata('t', { maxAgeSeconds: 70 })
  await node.store.retention.setMetadata('u', {})
  await node.store.retention.setMetadata('t', {})
  expect(await restarted(), 'the longest that is left is told a little too short').toBe(9)
  await node.store.retention.delete('s', {})
  expect(await restarted()).toBe(0)
  expect(node.machine.retention.isUsed).toBe(true)
  await node.store.retention.setMetadata('s', { maxAgeSeconds: 60 })
  expect(await restarted()).toBe(60)
})

test('what callers give is checked, and nothing is proposed', async () => {
  const { store, log } = await openNode()
  const { retention } = store
  const cycle: Record<string, unknown> = {}
  cycle['cycle'] = cycle
  const bad: unknown[] = [
    null,
    [],
    { maxCount: 0 },
    { maxCount: 1.5 },
    { maxCount: '2' },
    { maxAgeSeconds: -1 },
    { maxAgeSeconds: 2 ** 53 },
    { truncateBefore: null },
    { custom: [] },
    { custom: cycle },
    { custom: { toJSON: () => 'text' } },
    { maxAge: 5 },
  ]
  for (const metadata of bad)
    await expect(retention.setMetadata('s', metadata as object)).rejects.toMatchObject({ code: 'invalid_argument' })
  await expect(retention.setMetadata('s', { custom: { text: 'x'.repeat(5000) } })).rejects.toMatchObject({ code: 'too_large' })
  await expect(retention.setMetadata('$s', {})).rejects.toMatchObject({ code: 'invalid_argument' })
  await expect(retention.delete('', {})).rejects.toMatchObject({ code: 'invalid_argument' })
  await expect(retention.delete('s', { expected: -2 })).rejects.toMatchObject({ code: 'invalid_argument' })
  await expect(retention.setMetadata('s', {}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'aborted' })
  expect(log.slots).toEqual([])
})

test('linearizable metadata needs a quorum, local metadata does not', async () => {
  const { store, log } = await openNode()
  log.isolated = true
  await expect(store.retention.metadata('s', { consistency: 'linearizable' })).rejects.toMatchObject({ code: 'unavailable' })
  expect(await store.retention.metadata('s', local)).toMatchObject({ version: 0 })
})

test('one clock that is years wrong moves nothing; what every voter has flushed is known once each has ticked', async () => {
  const node = await openNode()
  const ticks = new TickProposer(node)
  const voters = ['n1', 'n2', 'n3']
  const start = 1_700_000_000_000
  const year = 365 * 86_400_000
  await node.store.retention.setMetadata('s', { maxAgeSeconds: 10 })
  await appended(node, 's', 1)
  await ticks.tick({ node: 'n3', clock: start + 10 * year, flushed: 7, voters })
  expect(node.machine.ticks.time, 'one node is no quorum').toBe(0)
  await ticks.tick({ node: 'n1', clock: start, flushed: 5, voters })
  expect(node.machine.ticks.time).toBe(start)
  expect(node.machine.ticks.reclaimable()).toBe(0)
  await ticks.tick({ node: 'n2', clock: start + 3000, flushed: 6, voters })
  expect(node.machine.ticks.reclaimable()).toBe(5)
  await ticks.tick({ node: 'n3', clock: start + 20 * year, flushed: 9, voters })
  expect(node.machine.ticks.time).toBe(start + 3000)
  expect(await hidden(node, 's')).toEqual({ belowRevision: 0, throughPosition: 0 })
  await ticks.tick({ node: 'n3', clock: start - 10 * year, flushed: 9, voters })
  expect(node.machine.ticks.time, 'never back').toBe(start + 3000)
  await ticks.tick({ node: 'n1', clock: start + 10_000, flushed: 8, voters })
  expect(node.machine.ticks.time, 'two clocks suffice').toBe(start + 3000)
  await ticks.tick({ node: 'n2', clock: start + 14_000, flushed: 8, voters })
  expect(node.machine.ticks.time).toBe(start + 10_000)
  expect(await hidden(node, 's'), 'ten seconds after the first tick that had it').toEqual({ belowRevision: 0, throughPosition: 1 })
  await node.store.retention.setMetadata('s', { maxAgeSeconds: 1000 })
  expect(await hidden(node, 's'), 'a longer age brings nothing back').toEqual({ belowRevision: 0, throughPosition: 1 })
  expect(node.machine.ticks.progress()).toEqual(
    new Map([
      ['n1', 8],
      ['n2', 8],
      ['n3', 9],
    ]),
  )
})
