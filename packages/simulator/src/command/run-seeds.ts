/** Seeds of several modes on several threads, for tests: no files and no progress. */
import type { Mode } from '../world/seed-plan.ts'
import { add, figuresText, type Figures } from './figures.ts'
import { runPool } from './seed-pool.ts'
import type { SeedReport, SeedTask } from './seed-task.ts'

export interface RunSeedsOptions {
  readonly modes: readonly Mode[]
  readonly first: number
  /** Of each mode. */
  readonly count: number
  readonly threads: number
}

const twiceEvery = 100

export async function runSeeds(
  options: RunSeedsOptions,
): Promise<{ readonly figures: Figures; readonly failed: readonly SeedReport[]; readonly text: string }> {
  const { threads } = options
  const figures: Figures = {}
  const failed: SeedReport[] = []
  const onReport = (report: SeedReport): void => {
    add(figures, report)
    if (report.violations.length > 0) failed.push(report)
  }
  await runPool(tasks(options), { threads, onReport })
  return { figures, failed, text: figuresText(figures) }
}

function* tasks({ modes, first, count }: RunSeedsOptions): Generator<SeedTask, undefined> {
  for (let seed = first; seed < first + count; seed++) {
    for (const mode of modes) yield { mode, seed, isTwice: seed % twiceEvery === 0 }
  }
  return undefined
}
