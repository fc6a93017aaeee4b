import { afterEach, expect, vi } from 'vitest'
import { it, takeEvents } from './with-client.ts'

afterEach(() => vi.useRealTimers())

it('what a node refused does not rest on when the node serves again', async ({ world }) => {
  const [node] = await world.nodes(1)
  const client = world.client([node])
  await client.append('a', { type: 'T', data: 1 })
  const refused = new Promise<void>((resolve) => {
    node.intercept = (message, connection) => {
      if (message.kind !== 'append') return false
      connection.refuse(message.request, 'unavailable')
      resolve()
      return true
    }
  })
  // The rest has a timer, which never comes here.
  vi.useFakeTimers({ toFake: ['setTimeout'] })
  const appended = client.append('a', { type: 'T', data: 2 })
  await refused
  node.intercept = undefined
  for (const isServing of [false, true]) {
    node.isServing = isServing
    node.announce()
  }
  expect(await appended).toEqual({ revision: 1n, position: 2n })
  expect(client.status().counters.retries).toBe(1)
  expect(await takeEvents(client.subscribe(), 2)).toHaveLength(2)
})
