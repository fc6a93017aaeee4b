import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { medianOf, processorSeconds, runRound, type Target } from '@synod/bench'
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

it('counts the processor time of the store, of its processes and those below them', { timeout: 60_000 }, async () => {
  const burner = `while (process.cpuUsage().user < 400_000); console.log("done")`
  // The one that works is a child of the one that is named.
  const parent = spawn(
    process.execPath,
    ['-e', `require('child_process').spawn(process.execPath, ['-e', process.argv[1]], { stdio: 'inherit' })`, burner],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  const target = { ...targetOf(() => once(parent.stdout, 'data').then(() => undefined)), pids: [parent.pid ?? 0] }
  const round = await runRound(target, { inFlight: 1, milliseconds: 1, signal: new AbortController().signal })
  await once(parent, 'close')
  expect(round.appends).toBe(1)
  expect(processorSeconds([1])).toBeTypeOf('number')
  expect(round.storeSecondsPer1000).toBeGreaterThan(300)
  expect(round.storeSecondsPer1000).toBeLessThan(5_000)
})

function targetOf(append: (turn: number) => Promise<void>): Target {
  return { key: 'etcd', name: 'none', durable: 'nothing', client: 'none', pids: [], prepare: () => Promise.resolve(), append }
}
