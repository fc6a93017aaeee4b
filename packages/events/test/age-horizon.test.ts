// The list of ticks, against one that forgets nothing.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AgeHorizon, retentionTicksMax, type HorizonChange } from '../src/retention/age-horizon.ts'

const start = 1_700_000_000_000
const [hour, day] = [3_600_000, 86_400_000]

/** Keeps every tick, and the cells that the list tells it to keep. */
class Ticks {
  readonly all: { readonly time: number; readonly position: number }[] = []
  readonly cells = new Map<number, number>()
  readonly horizon = new AgeHorizon((time, position) => {
    if (position === undefined) this.cells.delete(time)
    else this.cells.set(time, position)
  })

  add(time: number, position: number): void {
    const last = this.all.at(-1) ?? { time: 0, position: 0 }
    if (Math.floor(time / 1000) > Math.floor(last.time / 1000) && position > last.position) this.all.push({ time, position })
    this.horizon.add(time, position)
  }

  /** What stood at the time, exactly: the last of all at or before. */
  exactly(time: number): number {
    let [low, high] = [-1, this.all.length - 1]
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.all[middle]!.time <= time) low = middle
      else high = middle - 1
    }
    return this.all[low]?.position ?? 0
  }

  restored(onChange: HorizonChange = () => {}): AgeHorizon {
    const horizon = new AgeHorizon(onChange)
    horizon.restore([...this.cells].map(([time, position]) => ({ time, position })).toSorted((a, b) => a.time - b.time))
    return horizon
  }
}

const gapsMs = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: 0, max: 5000 }) },
  { weight: 8, arbitrary: fc.integer({ min: 0, max: hour }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 400 * day }) },
)

/** So many ticks, so far apart. */
const row = fc.tuple(gapsMs, fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 1500 })))

test('a moment is told as it was, or as of at most a thousandth of its age later, and never goes back', () => {
  fc.assert(
    fc.property(
      fc.array(row, { minLength: 1, maxLength: 12, size: 'max' }),
      fc.array(fc.integer({ min: 1, max: 2000 * day }), { minLength: 10, maxLength: 10 }),
      (rows, ages) => {
        const ticks = new Ticks()
        let [time, position] = [start, 0]
        const told = new Map<number, number>()
        for (const [gapMs, count] of rows) {
          for (let tick = 0; tick < count; tick++) ticks.add((time += gapMs), ++position)
          const restored = ticks.restored()
          for (const age of [1, 1000, 10_000, hour, day, ...ages]) {
            const now = ticks.horizon.at(time - age)
            expect(now).toBeGreaterThanOrEqual(ticks.exactly(time - age))
            expect(now).toBeLessThanOrEqual(ticks.exactly(time - age + age / 1000))
            expect(restored.at(time - age)).toBe(now)
          }
          // Moments that stay where they are, while the list grows.
          told.set(time - Math.floor(gapMs / 2), 0)
          for (const [moment, before] of told) {
            const now = ticks.horizon.at(moment)
            expect(now).toBeGreaterThanOrEqual(before)
            told.set(moment, now)
          }
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('a list made again from its cells goes on as the one that it was made from', () => {
  fc.assert(
    fc.property(fc.array(row, { minLength: 2, maxLength: 8, size: 'max' }), fc.integer({ min: 1, max: 7 }), (rows, lostAfter) => {
      const ticks = new Ticks()
      const cells = new Map<number, number>()
      let [time, position] = [start, 0]
      let restored: AgeHorizon | undefined
      for (const [row, [gapMs, count]] of rows.entries()) {
        if (row === lostAfter) {
          for (const [at, to] of ticks.cells) cells.set(at, to)
          restored = ticks.restored((at, to) => (to === undefined ? cells.delete(at) : cells.set(at, to)))
          expect(restored.size).toBe(ticks.horizon.size)
        }
        for (let tick = 0; tick < count; tick++) {
          ticks.add((time += gapMs), ++position)
          restored?.add(time, position)
        }
      }
      if (restored !== undefined) expect(cells).toEqual(ticks.cells)
    }),
    {
      numRuns: 150,
      // Old ticks grow too old for their level while the youngest level has nothing to give.
      examples: [
        [
          [
            [1000, 3000],
            [hour, 1],
            [1000, 300],
            [1000, 4000],
          ],
          3,
        ],
      ],
    },
  )
})

test('years of ticks stay within the bound', () => {
  const ticks = new AgeHorizon(() => {})
  let [time, position] = [start, 0]
  for (let tick = 0; tick < 40_000; tick++) ticks.add((time += 1000), ++position)
  for (let tick = 0; tick < 40_000; tick++) ticks.add((time += 40 * 60_000), ++position)
  expect(ticks.size).toBeLessThan(20_000)
  expect(ticks.size).toBeLessThan(retentionTicksMax)
  const threeYears = (1095 * 24 * 60) / 40
  expect(ticks.at(time - 1095 * day)).toBeGreaterThanOrEqual(position - threeYears)
  expect(ticks.at(time - 1095 * day)).toBeLessThan(position - threeYears + threeYears / 1000)
}, 30_000)
