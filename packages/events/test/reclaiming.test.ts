/**
 * Space given back under a store: what is visible stays as it was, what is hidden goes, and a reader in the middle sees neither
 * a hole nor an event come back.
 */
import fc from 'fast-check'
import { afterEach, expect, test, vi } from 'vitest'
import type { RecordedEvent, StreamMetadata } from '@synod/events'
import { event, openNode, take } from './node.ts'
import { freshRemains, ReclaimingNode, type NodeRemains } from './reclaiming-node.ts'

const nodes: ReclaimingNode[] = []
const local = { consistency: 'local', limit: 4096 } as const

afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close()
})

async function start(remains: NodeRemains = freshRemains()): Promise<ReclaimingNode> {
  const node = await ReclaimingNode.open(remains)
  nodes.push(node)
  return node
}

async function restart(node: ReclaimingNode): Promise<ReclaimingNode> {
  nodes.splice(nodes.indexOf(node), 1)
  return start(await node.close())
}

/** So many appends of one event each, which tells its revision. */
async function append(node: Pick<ReclaimingNode, 'store'>, stream: string, count: number): Promise<void> {
  for (let left = count; left > 0; left--)
    await node.store.append({ stream, events: [event('E', { of: stream, filling: 'x'.repeat(100) })], expected: 'any' })
}

async function revisions(node: ReclaimingNode, stream: string): Promise<readonly number[]> {
  return (await node.store.readStream(stream, local)).map(({ revision }) => revision)
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, at) => from + at)

function bytes(node: ReclaimingNode): number {
  return node.logStore.counters()['storage_bytes'] ?? 0
}

test('of a log of which nine tenths are hidden at least three quarters are given back, and the rest is read as before', async () => {
  let node = await start()
  for (let round = 0; round < 30; round++) {
    await append(node, 'kept', 1)
    await append(node, 'dead', 9)
  }
  await node.storeSlots()
  const before = bytes(node)
  await node.store.retention.setMetadata('dead', { maxCount: 1 })
  await node.reclaimAll()
  expect(bytes(node)).toBeLessThan(before / 4)
  for (const again of [false, true]) {
    if (again) node = await restart(node)
    expect(await revisions(node, 'kept')).toEqual(range(0, 29))
    expect(await revisions(node, 'dead')).toEqual([269])
    expect((await node.store.readAll(local)).length).toBe(31)
  }
  expect(node.warnings).toEqual([])
})

test('a store that never used retention gives nothing back, however little its slots hold', async () => {
  const node = await start()
  await append(node, 's', 60)
  await node.machine.flush()
  await node.storeSlots()
  await new Promise((resolve) => setTimeout(resolve, 50)) // many turns of the reclaimer
  expect(node.passes).toBe(0)
  expect(node.logStore.pieces(1, 1000).every(({ keptBytes }) => keptBytes === undefined)).toBe(true)
})

test('less than a half that is dead stays, and goes when it is more', async () => {
  const node = await start()
  await append(node, 's', 60)
  await node.store.retention.setMetadata('s', { truncateBefore: 4 })
  await node.reclaimAll()
  const isWhole = (): boolean => node.logStore.pieces(1, 1000).every(({ keptBytes }) => keptBytes === undefined)
  expect(isWhole()).toBe(true)
  await node.store.retention.setMetadata('s', { truncateBefore: 40 })
  await node.reclaimAll()
  expect(isWhole()).toBe(false)
  expect(await revisions(node, 's')).toEqual(range(40, 59))
})

test('a deleted stream is given back as a whole, and goes on where it was', async () => {
  const node = await start()
  await append(node, 'gone', 60)
  await append(node, 'other', 60)
  await node.store.retention.delete('gone', {})
  await node.reclaimAll()
  await append(node, 'gone', 2)
  expect(await revisions(node, 'gone')).toEqual([60, 61])
  expect(await revisions(node, 'other')).toEqual(range(0, 59))
})

test('readers in the middle see no hole, and nothing come back', async () => {
  const node = await start()
  await append(node, 's', 100)
  await append(node, 'fixed', 20)
  let isOver = false
  let first = 0
  const readers = [1, 7, 4096].map(async (limit) => {
    while (!isOver) {
      await new Promise((resolve) => setImmediate(resolve)) // everything here is in memory: others get their turns
      const lowest = first
      const found: RecordedEvent[] = []
      for (let from = 0; ;) {
        const page = await node.store.readStream('s', { consistency: 'local', limit, from })
        if (page.length === 0) break
        found.push(...page)
        from = page.at(-1)!.revision + 1
      }
      const seen = found.map(({ revision }) => revision)
      // What becomes hidden while it reads may be missing at its beginning, never in between.
      expect(seen[0]).toBeGreaterThanOrEqual(lowest)
      const gap = seen.findIndex((revision, at) => at > 0 && revision !== seen[at - 1]! + 1)
      if (gap > 0) expect(seen[gap - 1]).toBeLessThan(first)
      expect(seen.at(-1)).toBe(99)
      expect((await node.store.readStream('fixed', local)).length).toBe(20)
    }
  })
  try {
    for (let cut = 10; cut <= 90; cut += 10) {
      await node.store.retention.setMetadata('s', { truncateBefore: cut })
      first = cut
      await node.reclaimAll()
    }
  } finally {
    isOver = true
  }
  await Promise.all(readers)
  expect(await revisions(node, 's')).toEqual(range(90, 99))
})

test('a subscription that has not come so far yet passes over what was given back, and goes on', async () => {
  const node = await start()
  await append(node, 's', 80)
  await append(node, 't', 20)
  const messages = node.store.subscribe({})[Symbol.asyncIterator]()
  expect((await messages.next()).value).toMatchObject({ kind: 'events' })
  await node.store.retention.setMetadata('s', { maxCount: 5 })
  await node.reclaimAll()
  const rest = await take({ [Symbol.asyncIterator]: () => messages }, (message) => message.kind === 'caughtUp')
  const streams = rest.flatMap((message) => (message.kind === 'events' ? message.events : []))
  expect(streams.filter(({ stream }) => stream === 't').length).toBe(20)
  expect(streams.filter(({ stream }) => stream === 's').at(-1)?.revision).toBe(79)
})

test('a failure in one piece is told and keeps no other from its turn', async () => {
  const node = await start()
  await append(node, 's', 60)
  await append(node, 't', 60)
  await node.machine.flush()
  await node.storeSlots()
  const [first] = node.logStore.pieces(1, 1000)
  node.remains.disk.damage(1, first!.from + 1)
  await append(node, 'first', 1)
  await node.store.retention.setMetadata('s', { truncateBefore: 1 })
  await node.store.retention.setMetadata('t', { truncateBefore: 55 })
  await node.reclaimAll()
  expect(node.logStore.pieces(1, 1000).some(({ keptBytes }) => keptBytes !== undefined)).toBe(true)
  await vi.waitFor(() => expect(node.passes).toBeGreaterThan(0))
})

const stream = fc.constantFrom('a', 'b', 'c')
const metadata: fc.Arbitrary<StreamMetadata> = fc.record(
  { maxCount: fc.integer({ min: 1, max: 12 }), truncateBefore: fc.nat(40) },
  { requiredKeys: [] },
)
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('append' as const), stream, count: fc.integer({ min: 1, max: 15 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('metadata' as const), stream, metadata }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), stream, isHard: fc.constantFrom(false, false, true) }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'reclaim' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
)

test('a node that gives space back answers as one that does not, through random retention and restarts', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
      let node = await start(freshRemains(1024))
      const other = await openNode({ machine: { flushDelayMs: 1 } })
      const both = async (run: (store: ReclaimingNode['store']) => Promise<unknown>): Promise<void> => {
        const outcome = async (store: ReclaimingNode['store']): Promise<unknown> =>
          run(store).catch((error: { code: string }) => error.code)
        expect(await outcome(node.store)).toEqual(await outcome(other.store))
      }
      let isRetentionUsed = false
      for (const one of steps) {
        if (one.kind === 'append')
          for (let left = one.count; left > 0; left--)
            await both((store) => store.append({ stream: one.stream, events: [event('E', left)], expected: 'any' }))
        else if (one.kind === 'metadata') await both((store) => store.retention.setMetadata(one.stream, one.metadata))
        else if (one.kind === 'delete') await both((store) => store.retention.delete(one.stream, { isHard: one.isHard }))
        else if (one.kind === 'restart') node = await restart(node)
        else if (isRetentionUsed) await node.reclaimAll()
        isRetentionUsed = !node.machine.index.visibility.hidesNothing
      }
      const read = async (store: ReclaimingNode['store'], from: string) => {
        const found = await store.readStream(from, local)
        return found.map(({ position, revision, record }) => ({ position, revision, length: record.length }))
      }
      for (const name of ['a', 'b', 'c']) await both((store) => read(store, name))
      await both(async (store) => (await store.readAll(local)).map(({ position, stream: of }) => ({ position, of })))
      expect(node.warnings).toEqual([])
      nodes.splice(nodes.indexOf(node), 1)
      await node.close()
      await other.store.close()
    }),
    { numRuns: 40 },
  )
}, 120_000)
