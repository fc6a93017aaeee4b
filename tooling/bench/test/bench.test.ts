import { bench, benchReport } from '@synod/bench'
import { expect, it } from 'vitest'

const plan = {
  rounds: 1,
  roundMilliseconds: 300,
  warmUpMilliseconds: 100,
  loads: [1, 4],
  replayEventsCount: 1_000,
  liveMilliseconds: 200,
  liveEventsPerSecond: 200,
  memoryMilliseconds: 500,
}

it('measures real clusters, however shortly, and leaves a result that says what it is', { timeout: 240_000 }, async () => {
  const said: string[] = []
  const result = await bench({
    plan,
    stores: ['synod-http', 'jetstream', 'etcd', 'emmett'],
    works: ['append', 'replay', 'live', 'memory'],
    report: (message) => said.push(message),
    signal: new AbortController().signal,
  })
  expect(JSON.parse(JSON.stringify(result))).toEqual(result)
  const stores = ['synod-http', 'jetstream', 'etcd', 'emmett']
  expect(result.missing).toEqual([])
  expect(result.append.map(({ store, inFlight }) => [store, inFlight])).toEqual(
    [1, 4].flatMap((inFlight) => stores.map((store) => [store, inFlight])),
  )
  for (const { median, rounds, durable } of result.append) {
    expect(durable).not.toBe('')
    expect(rounds).toHaveLength(1)
    expect(rounds[0]).toMatchObject({ failures: 0 })
    expect(median.appendsPerSecond).toBeGreaterThan(0)
    expect(median.p50Milliseconds).toBeGreaterThan(0)
  }
  expect(result.replay.map(({ store }) => store)).toEqual(['jetstream'])
  expect(result.replay.every(({ median }) => median.eventsPerSecond > 0)).toBe(true)
  expect(result.live.map(({ rounds }) => rounds[0]?.missing)).toEqual([0])
  expect(result.comparisons.filter(({ work }) => work === 'append')).toHaveLength(6)
  expect(benchReport(result)).toContain('durable when answered')
  expect(said.at(-1)).toBe('stopping')
})

it('names a store that cannot be had, and measures the others', { timeout: 240_000 }, async () => {
  const before = process.env.ETCD_SERVER
  process.env.ETCD_SERVER = '/does/not/exist'
  try {
    const result = await bench({
      plan: { ...plan, loads: [1] },
      stores: ['etcd', 'emmett'],
      works: ['append'],
      report: () => {},
      signal: new AbortController().signal,
    })
    expect(result.missing).toEqual([{ store: 'etcd, three servers', why: expect.stringContaining('install etcd') as unknown }])
    expect(result.append.map(({ store }) => store)).toEqual(['emmett'])
    expect(benchReport(result)).toMatch(/^missing +etcd, three servers: .*install etcd/m)
  } finally {
    if (before === undefined) delete process.env.ETCD_SERVER
    else process.env.ETCD_SERVER = before
  }
})
