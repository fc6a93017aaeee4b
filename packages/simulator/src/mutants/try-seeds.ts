import { runPool } from '../command/seed-pool.ts'
import type { SeedReport, SeedTask } from '../command/seed-task.ts'
import type { Mode } from '../world/seed-plan.ts'
import { firstLine, requireSoundPatch, TrialError, type Trial } from './trial.ts'

/** In real time: a seed takes some 70 ms. */
const seedMsMax = 60_000

export interface SeedToTry {
  readonly mode: Mode
  readonly seed: number
}

/** These seeds one after the other, in a thread that has the faults planted, until one ends with a violation. */
export async function trySeeds(seeds: Iterable<SeedToTry>, faultsPlanted: readonly string[]): Promise<Trial> {
  let count = 0
  let found: SeedReport | undefined
  const onReport = (report: SeedReport): void => {
    count++
    if (report.violations.length > 0) found = report
  }
  try {
    await runPool(tasks(seeds), { threads: 1, faultsPlanted, onReport, isOver: () => found !== undefined, seedMsMax })
  } catch (error) {
    throw new TrialError(String(error), { cause: error })
  }
  const violation = found?.violations[0]
  if (found === undefined || violation === undefined) return { isKilled: false, count, unit: 'seeds', what: '' }
  requireSoundPatch(violation.message)
  const { mode, seed } = found
  return { isKilled: true, count, unit: 'seeds', what: `${violation.kind}: ${firstLine(violation.message)}`, seed: { mode, seed } }
}

export function* seedsUpTo(mode: Mode, seedsMax: number): Generator<SeedToTry, undefined> {
  for (let seed = 1; seed <= seedsMax; seed++) yield { mode, seed }
  return undefined
}

function* tasks(seeds: Iterable<SeedToTry>): Generator<SeedTask, undefined> {
  for (const { mode, seed } of seeds) yield { mode, seed, isTwice: false }
  return undefined
}
