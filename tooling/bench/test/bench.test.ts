import { bench, benchReport } from '@synod/bench'
import { expect, it } from 'vitest'

it('measures real clusters, however shortly, and leaves a result that says what it is', { timeout: 240_000 }, async () => {
  const plan = { rounds: 1, roundMilliseconds: 300, warmUpMilliseconds: 100, loads: [1, 4] }
  const said: string[] = []
  const result = await bench({ plan, report: (message) => said.push(message), signal: new AbortController().signal })
  expect(JSON.parse(JSON.stringify(result))).toEqual(result)
  const stores = result.missing.length === 0 ? [/^Synod$/, /^JetStream R3 \d/] : [/^Synod$/]
  expect(result.figures.map(({ store, inFlight }) => [store, inFlight])).toEqual(
    [1, 4].flatMap((inFlight) => stores.map((store) => [expect.stringMatching(store), inFlight])),
  )
  for (const { median, rounds, durable } of result.figures) {
    expect(durable).not.toBe('')
    expect(rounds).toHaveLength(1)
    expect(rounds[0]).toMatchObject({ failures: 0 })
    expect(median.appendsPerSecond).toBeGreaterThan(0)
    expect(median.p50Milliseconds).toBeGreaterThan(0)
  }
  expect(result.ratios).toHaveLength((stores.length - 1) * 2)
  expect(benchReport(result)).toContain('durable when answered')
  expect(said.at(-1)).toBe('stopping')
})
