import { benchMarkdown, benchReport, compare, eventBody, eventBytes, type BenchResult } from '@synod/bench'
import { expect, it } from 'vitest'

const median = { appendsPerSecond: 1234.4, p50Milliseconds: 1.5, p99Milliseconds: 20, loadCores: 0.25, storeSecondsPer1000: 0.125 }
const ofAppend = { durable: 'on two disks', client: 'by hand', rounds: [{ ...median, appends: 10, failures: 3, failure: 'busy' }] }

it('prints the machine, what is missing and what failed before the figures, with what is durable in every line', () => {
  const lines = benchReport(resultOf()).split('\n')
  expect(lines[0]).toMatch(/^machine .*2 cores.*2\.0 GiB.*v26\.10\.0/)
  expect(lines).toContainEqual(expect.stringMatching(/^missing +Third: not installed/))
  expect(lines).toContainEqual(expect.stringMatching(/^FAILURES +Synod, 256 in flight: 3 appends failed.*busy/))
  expect(lines).toContainEqual(expect.stringMatching(/^FAILURES +Synod, live: 2 events did not arrive/))
  expect(lines).toContainEqual(expect.stringMatching(/^FAILURES +Synod, conditional: 3 appends failed.*condition/))
  const stores = lines.filter((line) => /│ (Synod|JetStream) +│.*on two disks/.test(line))
  expect(stores).toHaveLength(2)
  expect(stores[0]).toMatch(/256 │.*1,234 │ +1\.50 │ +20\.00 │ +0\.125 │ +0\.25 │/)
  expect(stores[1]).toMatch(/256 │.*617 │/)
})

it('puts the goal beside the ratio that it is for, and says whether it is met', () => {
  const text = benchReport(resultOf())
  expect(text).toMatch(/Synod ÷ JetStream +│ +× 2\.00 │.*│ ≥ 1\.50 met/)
  expect(text).toMatch(/Synod ÷ JetStream +│ +× 0\.50 │.*│ ≥ 1\.00 missed/)
  expect(text).toMatch(/Synod ÷ JetStream +│ +× 2\.00 │ +× 4\.00 │.*│ p99 ≤ 3\.00 missed/)
  expect(text).toMatch(/Synod +│ a new tag +│ +400 │ +1\.50 │ +20\.00 │/)
  expect(text).toMatch(/Synod, conditional ÷ plain +│ +│ +× 0\.40 │.*│ ≥ 0\.50 missed/)
  expect(text).toMatch(/Synod, n1, leader +│ +401 │ +× 1\.10 │ +50 │ ≤ 400 missed/)
})

it('gives the same tables as Markdown', () => {
  const lines = benchMarkdown(resultOf()).split('\n')
  expect(lines).toContain('| 256 | Synod | 1,234 | 1.50 | 20.00 | 0.125 | 0.25 | on two disks |  |')
  expect(lines.filter((line) => line.startsWith('**'))).toHaveLength(5)
  for (const line of lines.filter((text) => text.startsWith('| 256')))
    expect(line.split('|')).toHaveLength(lines[2]?.split('|').length ?? 0)
})

it('compares the first of Synod with every other store, and the rest where there is a goal', () => {
  const figures = (['synod', 'synod-nats', 'synod-http', 'jetstream', 'etcd'] as const).map((store) => ({
    ...ofAppend,
    store,
    name: store,
    inFlight: 256,
    median: { ...median, appendsPerSecond: store === 'etcd' ? 100 : 1000 },
  }))
  const pairs = compare({ append: figures, replay: [], live: [] }).map(({ store, peer, goal }) => [store, peer, goal?.atLeast, goal?.isMet])
  expect(pairs).toEqual([
    ['synod', 'jetstream', 1.5, false],
    ['synod', 'etcd', 6, true],
    ['synod-nats', 'jetstream', 1, true],
  ])
})

it('makes events of exactly the size that it says', () => {
  for (const number of [0, 7, 199_999, 10 ** 11]) expect(Buffer.byteLength(JSON.stringify(eventBody(number)))).toBe(eventBytes)
})

function resultOf(): BenchResult {
  const append = [
    { ...ofAppend, store: 'synod', name: 'Synod', inFlight: 256, median },
    {
      ...ofAppend,
      store: 'jetstream',
      name: 'JetStream',
      inFlight: 256,
      rounds: [],
      median: { ...median, appendsPerSecond: median.appendsPerSecond / 2 },
    },
  ] as const
  const under = { ...median, appendsPerSecond: 400 }
  const failed = { ...ofAppend.rounds[0]!, failure: 'condition' }
  const conditional = [
    {
      store: 'synod',
      name: 'Synod',
      condition: 'a new tag',
      inFlight: 64,
      plain: { ...median, appendsPerSecond: 1000 },
      conditional: under,
      share: 0.4,
      rounds: [{ plain: { ...failed, failures: 0 }, conditional: failed }],
    },
  ] as const
  const replay = [
    { store: 'synod', name: 'Synod', reader: 'a', eventsCount: 10, median: { eventsPerSecond: 5 }, rounds: [] },
    { store: 'jetstream', name: 'JetStream', reader: 'b', eventsCount: 10, median: { eventsPerSecond: 10 }, rounds: [] },
  ] as const
  const delivery = { p50Milliseconds: 2, p99Milliseconds: 4, eventsPerSecond: 1000 }
  const live = [
    { store: 'synod', name: 'Synod', subscriber: 'a', median: delivery, rounds: [{ ...delivery, missing: 2 }] },
    { store: 'jetstream', name: 'JetStream', subscriber: 'b', median: { ...delivery, p50Milliseconds: 1, p99Milliseconds: 1 }, rounds: [] },
  ] as const
  const mebibyte = 2 ** 20
  const node = { id: 'n1', isLeader: true, mostBytes: 401 * mebibyte, middleBytes: 100, endBytes: 110, postgresBytes: 50 * mebibyte }
  return {
    version: 2,
    startedAt: '2026-11-23T00:00:00.000Z',
    machine: { cores: 2, processor: 'P', memoryBytes: 2 ** 31, system: 'linux 6', node: 'v26.10.0', syncMilliseconds: 0.5 },
    plan: {
      rounds: 1,
      roundMilliseconds: 1000,
      warmUpMilliseconds: 0,
      loads: [256],
      replayEventsCount: 10,
      liveMilliseconds: 1000,
      liveEventsPerSecond: 1000,
      memoryMilliseconds: 1000,
    },
    eventBytes,
    append,
    conditional,
    replay,
    live,
    memory: [{ store: 'synod', name: 'Synod', inFlight: 256, seconds: 1, appendsPerSecond: 1, nodes: [node] }],
    comparisons: compare({ append, replay, live }),
    missing: [{ store: 'Third', why: 'not installed' }],
  }
}
