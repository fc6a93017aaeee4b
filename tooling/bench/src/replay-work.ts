import type { WorkOptions } from './bench-plan.ts'
import { medianOf } from './median-of.ts'
import type { ReplayDoor, StoreKey, Target } from './target.ts'

export interface ReplayFigures {
  readonly store: StoreKey
  readonly name: string
  readonly reader: string
  readonly eventsCount: number
  readonly median: { readonly eventsPerSecond: number }
  readonly rounds: readonly { readonly eventsPerSecond: number }[]
}

/** Every store gets the same events first; then each reads all of them, by turns. */
export async function replayWork(targets: readonly Target[], { plan, report, signal }: WorkOptions): Promise<ReplayFigures[]> {
  const eventsCount = plan.replayEventsCount
  const measured: { target: Target; door: ReplayDoor; rounds: { eventsPerSecond: number }[] }[] = []
  for (const target of targets) {
    if (target.replay === undefined) continue
    report(`replay: appending ${eventsCount} events to ${target.name}`)
    await target.replay.fill(eventsCount)
    signal.throwIfAborted()
    measured.push({ target, door: target.replay, rounds: [] })
  }
  for (let round = 1; round <= plan.rounds; round++) {
    for (const { target, door, rounds } of measured) {
      const startedAt = performance.now()
      await door.read(eventsCount, signal)
      const eventsPerSecond = (eventsCount / (performance.now() - startedAt)) * 1000
      rounds.push({ eventsPerSecond })
      report(`replay, round ${round} of ${plan.rounds}: ${target.name} ${Math.round(eventsPerSecond)} events/s`)
    }
  }
  return measured.map(({ target: { key, name }, door: { reader }, rounds }) => {
    const median = { eventsPerSecond: medianOf(rounds.map((round) => round.eventsPerSecond)) }
    return { store: key, name, reader, eventsCount, median, rounds }
  })
}
