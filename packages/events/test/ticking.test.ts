// Who ticks when: three nodes that tick into one log, in virtual time.
import { expect, test } from 'vitest'
import { startTicking, type Ticking, type Verdict } from '@synod/events'
import type { Envelope, OrderedLog, Outcome } from '@synod/log'
import { VirtualScheduler } from '@synod/transport/memory'
import { event, openNode, type TestNode } from './node.ts'

const start = 1_700_000_000_000
const minuteMs = 60_000
const voters = ['n3', 'n1', 'n2']

interface Ticked extends TestNode {
  readonly scheduler: VirtualScheduler
  readonly tickings: readonly Ticking[]
  state: string
  /** Nothing is answered, until whoever asked gives up. */
  isStuck: boolean
  /** Ticks without an answer, and the most there ever were. */
  underWay: number
  underWayMost: number
}

async function ticked(offsetsMs: readonly number[] = [0, 0, 0]): Promise<Ticked> {
  const node = await openNode()
  const scheduler = new VirtualScheduler()
  const all: Ticked = { ...node, scheduler, tickings: [], state: 'serving', isStuck: false, underWay: 0, underWayMost: 0 }
  const log = {
    async propose(command: Envelope, { signal }: { readonly signal: AbortSignal }): Promise<Outcome<Verdict>> {
      all.underWayMost = Math.max(all.underWayMost, ++all.underWay)
      const outcome = await (all.isStuck ? givenUp(signal) : node.log.propose(command))
      all.underWay--
      return outcome
    },
    openSession: () => node.log.openSession(),
    status: () => ({ state: all.state }),
  } as unknown as OrderedLog<Verdict>
  const tickings = ['n1', 'n2', 'n3'].map((self, at) =>
    startTicking({
      log,
      machine: node.machine,
      self,
      voters: () => voters,
      now: () => start + scheduler.now() + offsetsMs[at]!,
      scheduler,
    }),
  )
  return Object.assign(all, { tickings })
}

function givenUp(signal: AbortSignal): Promise<Outcome<Verdict>> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve({ fate: 'unknown', why: 'timeout' }), { once: true }))
}

function told({ tickings }: Ticked): number[] {
  return tickings.map((ticking) => ticking.counters()['ticks'] ?? 0)
}

async function hiddenThrough({ machine }: Ticked): Promise<number> {
  return machine.index.visibility.hiddenIn(await machine.index.streams.findAny('s')).throughPosition
}

test('a store that never used retention never ticks', async () => {
  const node = await ticked()
  await node.store.append({ stream: 's', events: [event('E')], expected: 'any' })
  await node.machine.flush()
  const slots = node.log.slots.length
  await node.scheduler.run(60 * minuteMs)
  expect(node.log.slots.length).toBe(slots)
})

for (const [what, offsetMs] of [
  ['ten years ahead', 10 * 365 * 86_400_000],
  ['ten years behind', -10 * 365 * 86_400_000],
  ['well', 0],
] as const) {
  test(`a store into which nobody appends expires, not early and not late; one clock is ${what}`, async () => {
    const node = await ticked([0, 0, offsetMs])
    await node.store.append({ stream: 's', events: [event('E')], expected: 'any' })
    await node.store.retention.setMetadata('s', { maxAgeSeconds: 100 })
    await node.scheduler.run(99_000)
    expect(await hiddenThrough(node)).toBe(0)
    // A tenth of the age until it is first seen, and as much until its time is seen to have come.
    await node.scheduler.run(25_000)
    expect(await hiddenThrough(node)).toBe(1)
    // One each in about ten seconds.
    for (const ticks of told(node)) {
      expect(ticks).toBeGreaterThanOrEqual(10)
      expect(ticks).toBeLessThanOrEqual(13)
    }
  })
}

test('without an age it ticks after what was flushed, once a minute at most, and then no more', async () => {
  const node = await ticked()
  await node.store.retention.setMetadata('s', { maxCount: 1 })
  await node.store.append({ stream: 's', events: [event('E')], expected: 'any' })
  await node.machine.flush()
  await node.scheduler.run(10 * minuteMs)
  expect(told(node)).toEqual([1, 1, 1])
  expect(node.machine.ticks.reclaimable()).toBeGreaterThan(0)
  for (let second = 0; second < 120; second++) {
    await node.store.append({ stream: 's', events: [event('E')], expected: 'any' })
    await node.machine.flush()
    await node.scheduler.run(1000)
  }
  for (const ticks of told(node)) expect(ticks).toBeLessThanOrEqual(4)
  await node.scheduler.run(2 * minuteMs)
  const before = told(node)
  await node.scheduler.run(60 * minuteMs)
  expect(told(node)).toEqual(before)
})

test('a node that does not serve does not tick, one that was stopped neither, and none has two ticks under way', async () => {
  const node = await ticked()
  await node.store.retention.setMetadata('s', { maxAgeSeconds: 10 })
  node.state = 'catchingUp'
  await node.scheduler.run(minuteMs)
  expect(told(node)).toEqual([0, 0, 0])
  node.state = 'serving'
  await node.scheduler.run(5000)
  const served = told(node)
  for (const ticks of served) expect(ticks).toBeGreaterThan(2)
  node.underWayMost = 0
  node.isStuck = true
  await node.scheduler.run(minuteMs)
  expect(node.underWayMost, 'one of each').toBe(3)
  expect(told(node)).toEqual(served)
  for (const ticking of node.tickings) expect(ticking.counters()['ticksFailed']).toBeGreaterThan(3)
  node.isStuck = false
  for (const ticking of node.tickings.slice(1)) ticking.stop()
  node.tickings[1]!.stop()
  await node.scheduler.run(minuteMs)
  expect(told(node)[0]).toBeGreaterThan(served[0]! + 30)
  expect(told(node).slice(1)).toEqual(served.slice(1))
})
