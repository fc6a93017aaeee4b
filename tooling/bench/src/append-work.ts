import type { WorkOptions } from './bench-plan.ts'
import { medianOf } from './median-of.ts'
import { runRound, type Round } from './run-round.ts'
import type { StoreKey, Target } from './target.ts'

export interface AppendFigures {
  readonly store: StoreKey
  readonly name: string
  readonly durable: string
  readonly client: string
  readonly inFlight: number
  readonly median: Pick<Round, 'appendsPerSecond' | 'p50Milliseconds' | 'p99Milliseconds' | 'loadCores' | 'storeSecondsPer1000'>
  readonly rounds: readonly Round[]
}

/** Of the whole warm-up, once more before each load. */
const warmUpAgainShare = 0.1

/** Each load for itself; within it the rounds alternate between the targets. All is warmed up first, at the largest load. */
export async function appendWork(targets: readonly Target[], options: WorkOptions): Promise<AppendFigures[]> {
  const { plan, report, signal } = options
  for (const target of targets) {
    report(`warming up ${target.name}`)
    await runRound(target, { inFlight: Math.max(...plan.loads), milliseconds: plan.warmUpMilliseconds, signal })
  }
  const figures: AppendFigures[] = []
  for (const inFlight of options.plan.loads) figures.push(...(await runLoad(targets, inFlight, options)))
  return figures
}

async function runLoad(targets: readonly Target[], inFlight: number, { plan, report, signal }: WorkOptions): Promise<AppendFigures[]> {
  const measured = targets.map((target) => ({ target, rounds: [] as Round[] }))
  const warmUpMilliseconds = plan.warmUpMilliseconds * warmUpAgainShare
  for (const target of targets) await runRound(target, { inFlight, milliseconds: warmUpMilliseconds, signal })
  for (let round = 1; round <= plan.rounds; round++) {
    for (const { target, rounds } of measured) {
      const one = await runRound(target, { inFlight, milliseconds: plan.roundMilliseconds, signal })
      rounds.push(one)
      report(`append, ${inFlight} in flight, round ${round} of ${plan.rounds}: ${target.name} ${Math.round(one.appendsPerSecond)}/s`)
    }
  }
  return measured.map(({ target: { key, name, durable, client }, rounds }) => {
    const median = medianRound(rounds)
    return { store: key, name, durable, client, inFlight, median, rounds }
  })
}

export function medianRound(rounds: readonly Round[]): AppendFigures['median'] {
  const storeSeconds = rounds.flatMap(({ storeSecondsPer1000 }) => storeSecondsPer1000 ?? [])
  return {
    appendsPerSecond: medianOf(rounds.map((round) => round.appendsPerSecond)),
    p50Milliseconds: medianOf(rounds.map((round) => round.p50Milliseconds)),
    p99Milliseconds: medianOf(rounds.map((round) => round.p99Milliseconds)),
    loadCores: medianOf(rounds.map((round) => round.loadCores)),
    ...(storeSeconds.length > 0 && { storeSecondsPer1000: medianOf(storeSeconds) }),
  }
}
