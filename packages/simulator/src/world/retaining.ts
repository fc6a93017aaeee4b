/** What a node does for what streams keep: it ticks, by a clock that is wrong, and gives space back. */
import { startReclaiming, startTicking, type EventMachine, type Reclaiming, type Ticking, type Verdict } from '@synod/events'
import type { OrderedLog } from '@synod/log'
import type { NodeId } from '@synod/transport'
import type { Dice } from './dice.ts'
import type { Life } from './life.ts'
import type { Surroundings } from './surroundings.ts'

/** Milliseconds since 1970 at the beginning of a run. */
export const beginning = 1_700_000_000_000

/** Of the time, when nothing is wrong with it. */
const workShareMax = 0.5

export interface Retaining {
  readonly ticking?: Ticking
  readonly reclaiming?: Reclaiming
}

/** A clock of the wall: a little wrong, or, where it is the wild one, very much. */
export function drawWall({ world, plan }: Pick<Surroundings, 'world' | 'plan'>, rate: number, isWild: boolean, dice: Dice): () => number {
  const { clockMsMax, wildMs, isWildAnew } = plan.retention
  const offset = dice.between(-clockMsMax, clockMsMax)
  if (!isWild || wildMs === 0) return () => beginning + offset + world.now * rate
  return () => beginning + world.now + wildMs * (isWildAnew ? dice.between(-1, 1) : 1)
}

export interface RetainingOptions {
  readonly self: NodeId
  readonly members: readonly NodeId[]
  readonly life: Life
  readonly log: OrderedLog<Verdict>
  readonly machine: EventMachine
  readonly wall: () => number
}

/** Nothing where no client says what streams keep. */
export function startRetaining({ plan, onViolation }: Surroundings, options: RetainingOptions): Retaining {
  if (plan.workload.retentionClients === 0) return {}
  const { self, members, life, log, machine, wall } = options
  const { reclaimPassMs, reclaimDeadShareMin } = plan.retention
  const warn = (message: string): void => onViolation({ kind: 'node', message: `${life.name} warned: ${message}` })
  return {
    ticking: startTicking({ log, machine, self, voters: () => members, now: wall, scheduler: life }),
    reclaiming: startReclaiming({ log, machine, passMs: reclaimPassMs, reclaimDeadShareMin, workShareMax, scheduler: life, warn }),
  }
}

export async function stopRetaining({ ticking, reclaiming }: Retaining): Promise<void> {
  ticking?.stop()
  await reclaiming?.stop()
}
