/** What a worker is asked, and what it answers: plain data, so that it crosses threads. */
import type { Violation } from '../checkers/violation.ts'
import { runSeed, type SeedResult } from '../run-seed.ts'
import type { Mode } from '../world/seed-plan.ts'

export interface SeedTask {
  readonly mode: Mode
  readonly seed: number
  /** Run twice, and compare. */
  readonly isTwice: boolean
}

export interface SeedReport {
  readonly mode: Mode
  readonly seed: number
  readonly violations: readonly Violation[]
  readonly simulatedMs: number
  /** Of the thread's processor: what else the machine does is not in it. */
  readonly processorMs: number
  readonly convergedMs?: number
  readonly slots: number
  readonly operations: number
  readonly counts: Readonly<Record<string, number>>
  readonly runs: number
  readonly traceHash: string
}

export async function runTask({ mode, seed, isTwice }: SeedTask): Promise<SeedReport> {
  const before = process.threadCpuUsage()
  const options = { mode, seed }
  const first = await runSeed(options)
  const violations = [...first.violations]
  let simulatedMs = first.simulatedMs
  if (isTwice) {
    const second = await runSeed(options)
    simulatedMs += second.simulatedMs
    violations.push(...differences(first, second))
  }
  const { user, system } = process.threadCpuUsage(before)
  const { convergedMs, slots, operations, counts, traceHash } = first
  return {
    mode,
    seed,
    violations,
    simulatedMs,
    processorMs: (user + system) / 1000,
    ...(convergedMs === undefined ? {} : { convergedMs }),
    slots,
    operations,
    counts,
    runs: isTwice ? 2 : 1,
    traceHash,
  }
}

/** Of two runs of one seed. */
export function differences(first: SeedResult, second: SeedResult): Violation[] {
  if (second.traceHash === first.traceHash) return []
  return [{ kind: 'determinism', message: `the traces of two runs have the hashes ${first.traceHash} and ${second.traceHash}` }]
}
