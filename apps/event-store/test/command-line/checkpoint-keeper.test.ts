import { afterEach, expect, it, vi } from 'vitest'
import { CheckpointKeeper } from '../../src/command-line/checkpoint-keeper.ts'

afterEach(() => vi.useRealTimers())

const output = { isClosed: false, flush: () => Promise.resolve() }

it('saves one at a time on a disk that takes longer than the pause between saves, and what was reached last at the end', async () => {
  vi.useFakeTimers()
  const saved: bigint[] = []
  let underWay = 0
  const save = async (position: bigint): Promise<void> => {
    expect(++underWay).toBe(1)
    await new Promise((resolve) => setTimeout(resolve, 2500))
    underWay--
    saved.push(position)
  }
  const keeper = new CheckpointKeeper({ save }, output)
  for (let position = 1n; position <= 100n; position++) {
    keeper.reached(position)
    await vi.advanceTimersByTimeAsync(100)
  }
  expect(saved).toEqual([10n, 40n, 70n])
  const ended = keeper.end()
  await vi.advanceTimersByTimeAsync(10_000)
  await ended
  expect(saved.at(-1)).toBe(100n)
})

it('tells what failed at the next event', async () => {
  vi.useFakeTimers()
  const keeper = new CheckpointKeeper({ save: () => Promise.reject(new Error('disk full')) }, output)
  keeper.reached(1n)
  await vi.advanceTimersByTimeAsync(1500)
  expect(() => keeper.reached(2n)).toThrow('disk full')
  await expect(keeper.end()).rejects.toThrow('disk full')
})
