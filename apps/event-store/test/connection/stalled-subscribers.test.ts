import { expect, test } from 'vitest'
import { measureStalledSubscribers } from './stalled-subscribers.ts'

test('a thousand subscribers over fifty sockets, of which ten never read: memory is bounded, and the others do not notice', async () => {
  const { without, withDeaf } = await measureStalledSubscribers({
    readingSockets: 40,
    deafSockets: 10,
    subscriptionsPerSocket: 20,
    eventsPerSecond: 10,
    eventBytes: 1000,
    history: 5000,
    secondsPerPhase: 2,
    rounds: 1,
  })
  const [[before], [after]] = [without, withDeaf]
  if (before === undefined || after === undefined) throw new Error('nothing was measured')
  expect([before.deliveries, after.deliveries]).toEqual([16_000, 16_000])
  // They asked for a gigabyte. A MiB each may wait, a batch more, and what the frames leave unused of their buffers.
  expect(after.sendBytesMax).toBeGreaterThan(5_000_000)
  expect(after.sendBytesMax).toBeLessThan(15_000_000)
  expect(after.rssMax - before.rssMax).toBeLessThan(250_000_000)
  // Wide of what stalled-subscribers.ts measures by hand: other tests use the same cores.
  expect(after.p99).toBeLessThan(before.p99 * 4 + 200)
})
