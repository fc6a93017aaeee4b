import { afterEach, beforeEach, expect } from 'vitest'
import type { Flush, PostingsQuestion, ReadSide } from '../read-side.ts'
import type { Term } from '../terms.ts'
import { SampleFlushes, type SampleSlot } from './sample-flush.ts'

/** One empty storage. */
export interface ReadSideUnderTest {
  /** Another owner of the same storage; the former one need not have been closed. */
  create(): ReadSide
  dispose(): Promise<void>
}

export const sampleSettings = 'idWindow=10 keysMax=10'

/** What a case works with: a read side that is opened for each case and closed after it, and what was flushed to it. */
export class SideUnderTest {
  side!: ReadSide
  samples!: SampleFlushes
  #under!: ReadSideUnderTest
  readonly #opened: ReadSide[] = []

  /** Inside a `describe`. */
  constructor(make: () => Promise<ReadSideUnderTest>) {
    beforeEach(async () => {
      this.#under = await make()
      this.samples = new SampleFlushes()
      this.side = await this.reopen()
    })
    afterEach(async () => {
      for (const open of this.#opened.splice(0)) await open.close()
      await this.#under.dispose()
    })
  }

  /** Another owner, which finds what was flushed. */
  async reopen(): Promise<ReadSide> {
    const next = this.another()
    expect(await next.open(sampleSettings)).toEqual(this.samples.mark)
    return next
  }

  /** Another owner, not yet opened. */
  another(): ReadSide {
    const next = this.#under.create()
    this.#opened.push(next)
    return next
  }

  flush(slots: readonly SampleSlot[], keys = 0, forget = 0, cells: Flush['cells'] = []): Promise<void> {
    return this.side.flush(this.samples.next(slots, keys, forget, cells))
  }
}

/** The answer to one question alone. */
export async function positionsOf(side: ReadSide, term: Term, range: Omit<PostingsQuestion, 'term'>): Promise<readonly number[]> {
  const answers = await side.postingsOf([{ term, ...range }])
  expect(answers).toHaveLength(1)
  return answers[0]!
}

/** A small linear congruential generator, so that a failure repeats. */
export function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
