import { expect, test } from 'vitest'
import { randomRun } from './random-runs.ts'

const first = Number(process.env['SYNOD_PAXOS_SEED'] ?? 1)
const count = Number(process.env['SYNOD_PAXOS_SEEDS'] ?? 1_000)

test.each(['multi', 'basic'] as const)(
  '%s: random runs agree, lose no promise, read what was delivered, and go on after the faults',
  (mode) => {
    let decided = 0
    let reads = 0
    for (let seed = first; seed < first + count; seed++) {
      const run = randomRun(seed, mode)
      decided += run.decided
      reads += run.reads
    }
    // A harness in which nothing happens finds nothing.
    expect(decided).toBeGreaterThan(count * 10)
    expect(reads).toBeGreaterThan(count * 4)
  },
  300_000,
)
