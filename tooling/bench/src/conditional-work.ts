import { medianRound, type AppendFigures } from './append-work.ts'
import type { WorkOptions } from './bench-plan.ts'
import { runRound, type Round } from './run-round.ts'
import type { ConditionalDoor, StoreKey, Target } from './target.ts'

export interface ConditionalFigures {
  readonly store: StoreKey
  readonly name: string
  /** What is appended, and under which condition. */
  readonly condition: string
  readonly inFlight: number
  readonly plain: AppendFigures['median']
  readonly conditional: AppendFigures['median']
  /** The rate under a condition divided by the plain one. */
  readonly share: number
  readonly rounds: readonly { readonly plain: Round; readonly conditional: Round }[]
}

const inFlight = 64

/** Of each store that has conditions, by turns: plain appends, then as many at a time under conditions that nothing violates. */
export async function conditionalWork(targets: readonly Target[], options: WorkOptions): Promise<ConditionalFigures[]> {
  const figures: ConditionalFigures[] = []
  for (const target of targets) if (target.conditional !== undefined) figures.push(await measure(target, target.conditional, options))
  return figures
}

async function measure(target: Target, door: ConditionalDoor, { plan, report, signal }: WorkOptions): Promise<ConditionalFigures> {
  const underCondition = { ...target, append: () => door.append() }
  for (const warmed of [target, underCondition]) await runRound(warmed, { inFlight, milliseconds: plan.warmUpMilliseconds, signal })
  const rounds: { plain: Round; conditional: Round }[] = []
  for (let round = 1; round <= plan.rounds; round++) {
    const plain = await runRound(target, { inFlight, milliseconds: plan.roundMilliseconds, signal })
    const conditional = await runRound(underCondition, { inFlight, milliseconds: plan.roundMilliseconds, signal })
    rounds.push({ plain, conditional })
    const rates = [plain, conditional].map(({ appendsPerSecond }) => `${Math.round(appendsPerSecond)}/s`)
    report(`conditional, round ${round} of ${plan.rounds}: ${target.name} ${rates[0]} plain, ${rates[1]} under a condition`)
  }
  const [plain, conditional] = [medianRound(rounds.map((one) => one.plain)), medianRound(rounds.map((one) => one.conditional))]
  const { key: store, name } = target
  const share = plain.appendsPerSecond > 0 ? conditional.appendsPerSecond / plain.appendsPerSecond : 0
  return { store, name, condition: door.condition, inFlight, plain, conditional, share, rounds }
}
