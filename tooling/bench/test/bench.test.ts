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
  const stores = ['synod', 'synod-http', 'jetstream', 'etcd', 'emmett'] as const
  const result = await bench({
    plan,
    stores,
    works: ['append', 'conditional', 'replay', 'live', 'memory'],
    report: (message) => said.push(message),
    signal: new AbortController().signal,
  })
  expect(JSON.parse(JSON.stringify(result))).toEqual(result)
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
  expect(result.conditional.map(({ store, inFlight }) => [store, inFlight])).toEqual([['synod', 64]])
  for (const { plain, conditional, rounds } of result.conditional) {
    expect(Math.min(plain.appendsPerSecond, conditional.appendsPerSecond)).toBeGreaterThan(0)
    expect(rounds).toMatchObject([{ plain: { failures: 0 }, conditional: { failures: 0 } }])
  }
  expect(result.replay.map(({ store }) => store)).toEqual(['synod', 'jetstream'])
  expect(result.replay.every(({ median }) => median.eventsPerSecond > 0)).toBe(true)
  expect(result.live.map(({ rounds }) => rounds[0]?.missing)).toEqual([0, 0])
  const [memory] = result.memory
  expect(memory?.nodes.map(({ id }) => id)).toEqual(['n1', 'n2', 'n3'])
  for (const { mostBytes, endBytes, postgresBytes } of memory?.nodes ?? []) {
    for (const bytes of [mostBytes, endBytes, postgresBytes]) expect(bytes).toBeGreaterThan(10 ** 7)
  }
  expect(result.comparisons.map(({ work, store, peer }) => `${work} ${store} ${peer}`)).toEqual([
    ...[1, 4].flatMap(() => ['append synod jetstream', 'append synod etcd', 'append synod emmett']),
    'replay synod jetstream',
    'live synod jetstream',
  ])
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
