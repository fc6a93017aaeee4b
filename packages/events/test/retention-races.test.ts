/**
 * Readers ask for what a stream keeps while it changes, is flushed and falls out of memory, and the read side takes its
 * time: nobody is told less than was applied when he asked.
 */
import { expect, test } from 'vitest'
import type { ReadSide } from '@synod/events'
import { memoryReadSide } from '@synod/events/memory'
import { event, openNode } from './node.ts'

const names = ['a', 'b', 'c', 'd', 'e', 'f']
const rounds = 3000

/** Mulberry32: the same race each time, as far as the event loop lets it. */
function dice(seed: number): (sides: number) => number {
  let state = seed
  return (sides) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % sides
  }
}

async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left--) await new Promise((resolve) => setImmediate(resolve))
}

/** Answers late, now and then very late, with what was there when it was asked. */
function slow(readSide: ReadSide, roll: (sides: number) => number): ReadSide {
  const late =
    <A, T>(read: (asked: A) => Promise<T>) =>
    async (asked: A): Promise<T> => {
      const answer = await read(asked)
      await turns(roll(6) === 0 ? 120 : roll(2))
      return answer
    }
  const [streamsNamed, cellsNamed] = [readSide.streamsNamed.bind(readSide), readSide.cellsNamed.bind(readSide)]
  return Object.assign(readSide, { streamsNamed: late(streamsNamed), cellsNamed: late(cellsNamed) })
}

test('what is told of a stream is never older than the question', async () => {
  const roll = dice(7)
  const { store, machine } = await openNode({
    readSide: slow(memoryReadSide(), roll),
    machine: { streamCacheMax: 1, tailBytesMax: 1, flushDelayMs: 1_000_000 },
  })
  for (const stream of names) await store.append({ stream, events: Array.from({ length: 400 }, () => event('E')), expected: 'any' })
  const asked = new Map(names.map((name) => [name, 0]))
  const applied = new Map(asked)
  const underWay = new Set<Promise<void>>()
  const start = (run: () => Promise<void>): void => {
    const running = run().finally(() => underWay.delete(running))
    underWay.add(running)
  }
  let [reads, loaded] = [0, 0]

  async function change(name: string): Promise<void> {
    const version = asked.get(name)! + 1
    asked.set(name, version)
    // Each change hides one more, so that what is hidden tells the version.
    expect((await store.retention.setMetadata(name, { truncateBefore: version })).version).toBe(version)
    applied.set(name, version)
  }

  async function read(name: string): Promise<void> {
    const least = applied.get(name)!
    const [{ version }, hidden] = await Promise.all([
      store.retention.metadata(name, { consistency: 'local' }),
      machine.index.visibility.hiddenInNamed(new Set([name, 'none'])),
    ])
    const most = asked.get(name)!
    for (const told of [version, hidden.get(name)?.belowRevision ?? 0]) {
      expect(told).toBeGreaterThanOrEqual(least)
      expect(told).toBeLessThanOrEqual(most)
    }
    reads++
  }

  for (let round = 0; round < rounds; round++) {
    const name = names[roll(names.length)]!
    // One change of a stream at a time: they have an order then.
    const isChanging = asked.get(name) !== applied.get(name)
    const what = roll(8)
    if (what < 2 && !isChanging && asked.get(name)! < 390) start(() => change(name))
    else if (what < 6) start(() => read(name))
    else if (what === 6) start(() => machine.flush())
    else start(() => store.append({ stream: `other-${round}`, events: [event('E')], expected: 'any' }).then(() => {}))
    if (underWay.size > 32) await Promise.race(underWay)
    await turns(roll(2))
  }
  await Promise.all(underWay)
  loaded = machine.counters()['streamLoads'] ?? 0
  expect(reads).toBeGreaterThan(rounds / 3)
  // They really were out of memory, again and again.
  expect(loaded).toBeGreaterThan(rounds / 8)
}, 60_000)
