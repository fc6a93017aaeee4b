import { expect, test } from 'vitest'
import { measureFilteredSubscribers } from './filtered-subscribers.ts'

test('a thousand filtered subscriptions: each event reaches the one that it is for, and no other', async () => {
  const { deliveries, checkpoints } = await measureFilteredSubscribers({
    subscriptions: 1000,
    eventsPerSecond: 200,
    seconds: 1,
    history: 2000,
  })
  expect(deliveries).toBe(200)
  expect(checkpoints).toBeGreaterThan(0)
}, 60_000)
