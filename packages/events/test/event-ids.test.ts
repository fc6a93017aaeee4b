/** The window of event ids with so many in it that their places collide: what is recognised is exactly the last `idWindow`. */
import { expect, test } from 'vitest'
import { event, openNode } from './node.ts'

test('after thousands of ids came and went, each of the window is known, at its place', { timeout: 60_000 }, async () => {
  const idWindow = 1000
  const { store } = await openNode({ machine: { idWindow } })
  const ids: string[] = []
  for (let round = 0; round < 40; round++) {
    const drawn = Array.from({ length: 100 }, () => crypto.randomUUID())
    ids.push(...drawn)
    await store.append({ stream: 's', expected: 'any', events: drawn.map((id) => event('T', {}, { id })) })
    const known = ids.slice(-idWindow)
    const retries = await Promise.all(
      known.map((id) => store.append({ stream: 's', expected: 'noStream', events: [event('T', {}, { id })] })),
    )
    const first = ids.length - known.length
    expect(retries).toEqual(known.map((_, at) => ({ revision: first + at, position: first + at + 1 })))
  }
  // What left the window is not: an expectation is judged again.
  const [old = ''] = ids
  await expect(store.append({ stream: 's', expected: 'noStream', events: [event('T', {}, { id: old })] })).rejects.toMatchObject({
    code: 'wrong_expected_revision',
  })
})
