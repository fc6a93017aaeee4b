import { expect, test } from 'vitest'
import { waitUntilReady, type AwaitedNode } from '@synod/event-store'
import { serve, type Served } from '../http/served.ts'

type State = Served['state'] | 'over'

/** Three nodes in these states, and a start that waits for them; `said(pattern)` resolves with the line. */
async function starting(...states: readonly State[]) {
  const served = await Promise.all(states.map(() => serve()))
  const nodes = states.map((state, index) => {
    const node = served[index] as Served
    if (state !== 'over') node.state = state
    return { id: `n${index + 1}`, url: node.url, over: state === 'over' ? 'it ended' : undefined } satisfies AwaitedNode
  })
  for (const [index, state] of states.entries()) if (state === 'over') await served[index]?.close()
  const stopping = new AbortController()
  const lines: string[] = []
  const listeners = new Set<() => void>()
  let isReady = false
  const report = (line: string): void => {
    lines.push(line)
    for (const listener of listeners) listener()
  }
  const ready = waitUntilReady({ nodes, signal: stopping.signal, report, slowMilliseconds: 200 }).then(() => (isReady = true))
  return {
    served,
    lines,
    ready,
    isReady: () => isReady,
    said: (pattern: RegExp): Promise<string> =>
      new Promise((resolve) => {
        const look = (): void => {
          const line = lines.find((each) => pattern.test(each))
          if (line !== undefined) resolve(line)
        }
        listeners.add(look)
        look()
      }),
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await ready
      await Promise.all(served.map((each) => each.close()))
    },
  }
}

test.each([
  [['serving', 'serving', 'serving']],
  [['serving', 'serving', 'wiped']],
  [['foreign', 'serving', 'serving']],
  [['serving', 'serving', 'over']],
] as const)('%j is ready', async (states) => {
  await using start = await starting(...states)
  await start.ready
  expect(start.lines.filter((line) => line.endsWith('is ready'))).toHaveLength(states.filter((state) => state === 'serving').length)
  for (const [index, state] of states.entries()) {
    if (state === 'wiped' || state === 'foreign') expect(start.lines.join('\n')).toContain(`n${index + 1} takes no part, it is ${state}`)
  }
})

test.each([
  [['wiped', 'wiped', 'wiped'], 'n1, n2, n3'],
  [['unavailable', 'wiped', 'wiped'], 'n2, n3'],
  [['unavailable', 'foreign', 'over'], 'n2, n3'],
] as const)('%j never is: it says so, and goes on waiting', async (states, out) => {
  await using start = await starting(...states)
  expect(await start.said(/no quorum is possible/)).toContain(`2 of 3 nodes are needed, and ${out} cannot take part`)
  if (states[0] === 'unavailable') await start.said(/n1 is not ready, it is unavailable: no quorum answers/)
  expect(start.isReady()).toBe(false)
})

test('a node that is slow is reported with what it says of itself, once, and waited for', async () => {
  await using start = await starting('serving', 'serving', 'unavailable')
  await start.said(/n3 is not ready, it is unavailable: no quorum answers/)
  expect(start.isReady()).toBe(false)
  const slow = start.served[2] as Served
  slow.state = 'serving'
  await start.ready
  expect(start.lines.filter((line) => line.includes('n3'))).toEqual([
    'n3 is not ready, it is unavailable: no quorum answers',
    'n3 is ready',
  ])
})
