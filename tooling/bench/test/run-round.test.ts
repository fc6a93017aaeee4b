import { setImmediate } from 'node:timers/promises'
import { benchReport, medianOf, runRound, type BenchResult, type Target } from '@synod/bench'
import { expect, it } from 'vitest'

it('keeps as many appends under way as it was told, and counts all that were answered', async () => {
  let underWay = 0
  let mostUnderWay = 0
  let answered = 0
  const turns = new Set<number>()
  const target = targetOf(async (turn) => {
    mostUnderWay = Math.max(mostUnderWay, ++underWay)
    turns.add(turn)
    await setImmediate()
    underWay--
    answered++
  })
  const round = await runRound(target, { inFlight: 7, milliseconds: 100, signal: new AbortController().signal })
  expect(mostUnderWay).toBe(7)
  expect(round.appends).toBe(answered)
  expect(turns.size).toBe(answered)
  expect(round.failures).toBe(0)
  expect(round.appendsPerSecond).toBeGreaterThan(0)
  expect(round.p99Milliseconds).toBeGreaterThanOrEqual(round.p50Milliseconds)
})

it('does not count an append that failed, and says why one did', async () => {
  const target = targetOf((turn) => (turn % 2 === 0 ? Promise.resolve() : Promise.reject(new Error(`no quorum ${turn}`))))
  const round = await runRound(target, { inFlight: 2, milliseconds: 120, signal: new AbortController().signal })
  expect(round.failures).toBeGreaterThan(0)
  expect(round.appends).toBeGreaterThan(0)
  expect(round.failure).toBe('no quorum 1')
})

it('ends with the reason of its signal', async () => {
  const ending = new AbortController()
  const target = targetOf((turn) => (turn === 20 ? Promise.resolve(ending.abort(new Error('told to stop'))) : setImmediate()))
  await expect(runRound(target, { inFlight: 2, milliseconds: 60_000, signal: ending.signal })).rejects.toThrow('told to stop')
})

it('takes the middle of odd and even numbers of values', () => {
  expect(medianOf([9, 1, 5])).toBe(5)
  expect(medianOf([4, 1, 2, 100])).toBe(3)
  expect(() => medianOf([])).toThrow(RangeError)
})

it('prints the machine, what is missing and what failed before the figures, with what is durable in every line', () => {
  const round = {
    appendsPerSecond: 1234.4,
    p50Milliseconds: 1.5,
    p99Milliseconds: 20,
    appends: 10,
    failures: 3,
    generatorCores: 0.25,
    failure: 'busy',
  }
  const figures = { durable: 'on two disks', client: 'by hand', inFlight: 256, median: round, rounds: [round] }
  const result: BenchResult = {
    version: 1,
    startedAt: '2026-11-23T00:00:00.000Z',
    machine: { cores: 2, processor: 'P', memoryBytes: 2 ** 31, system: 'linux 6', node: 'v26.10.0', syncMilliseconds: 0.5 },
    plan: { rounds: 1, roundMilliseconds: 1000, warmUpMilliseconds: 0, loads: [256] },
    eventBytes: 256,
    figures: [
      { ...figures, store: 'Synod' },
      { ...figures, store: 'Other' },
    ],
    ratios: [{ store: 'Other', inFlight: 256, appendsPerSecond: 1, p50: 1, p99: 1 }],
    missing: [{ store: 'Third', why: 'not installed' }],
  }
  const lines = benchReport(result).split('\n')
  expect(lines[0]).toMatch(/^machine .*2 cores.*2\.0 GiB.*v26\.10\.0/)
  expect(lines).toContainEqual(expect.stringMatching(/^missing +Third: not installed/))
  expect(lines).toContainEqual(expect.stringMatching(/^FAILURES +Synod, 256 in flight: 3 appends failed.*busy/))
  const stores = lines.filter((line) => /│ (Synod|Other) +│/.test(line))
  expect(stores).toHaveLength(2)
  for (const line of stores) expect(line).toMatch(/256 │.*1,234 │ +1\.50 │ +20\.00 │ +0\.25 │ on two disks/)
  expect(lines.slice(-2)[0]).toContain('Synod ÷ Other')
})

function targetOf(append: (turn: number) => Promise<void>): Target {
  return { name: 'none', durable: 'nothing', client: 'none', prepare: () => Promise.resolve(), append, close: () => Promise.resolve() }
}
