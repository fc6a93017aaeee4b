import { createHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WorkOptions } from './bench-plan.ts'
import { medianOf } from './median-of.ts'
import type { LiveDoor, StoreKey, Target } from './target.ts'

export interface LiveRound {
  /** From the call that appends an event to its arrival at the subscriber, parsed. */
  readonly p50Milliseconds: number
  readonly p99Milliseconds: number
  /** What was really appended a second. */
  readonly eventsPerSecond: number
  /** Events that did not arrive, or whose append failed. */
  readonly missing: number
}

export interface LiveFigures {
  readonly store: StoreKey
  readonly name: string
  readonly subscriber: string
  readonly median: Pick<LiveRound, 'p50Milliseconds' | 'p99Milliseconds' | 'eventsPerSecond'>
  readonly rounds: readonly LiveRound[]
}

/** After the last event was appended. */
const arrivalMillisecondsMax = 5_000

/** An open loop: events are appended at a fixed rate, whether or not the ones before have arrived. */
export async function liveWork(targets: readonly Target[], { plan, report, signal }: WorkOptions): Promise<LiveFigures[]> {
  const measured = targets.flatMap((target) =>
    target.live === undefined ? [] : [{ target, door: target.live, rounds: [] as LiveRound[], nextNumber: 1 }],
  )
  for (let round = 1; round <= plan.rounds; round++) {
    for (const one of measured) {
      const rate = { count: Math.round((plan.liveMilliseconds / 1000) * plan.liveEventsPerSecond), perSecond: plan.liveEventsPerSecond }
      const result = await runLiveRound(one.door, { ...rate, firstNumber: one.nextNumber, signal })
      one.nextNumber += rate.count
      one.rounds.push(result)
      report(`live, round ${round} of ${plan.rounds}: ${one.target.name} p99 ${result.p99Milliseconds.toFixed(2)} ms`)
    }
  }
  return measured.map(({ target: { key, name }, door: { subscriber }, rounds }) => {
    const median = {
      p50Milliseconds: medianOf(rounds.map((round) => round.p50Milliseconds)),
      p99Milliseconds: medianOf(rounds.map((round) => round.p99Milliseconds)),
      eventsPerSecond: medianOf(rounds.map((round) => round.eventsPerSecond)),
    }
    return { store: key, name, subscriber, median, rounds }
  })
}

interface Rate {
  readonly count: number
  readonly perSecond: number
  /** Numbers are used once, so that a late event of another round is not taken for one of this. */
  readonly firstNumber: number
  readonly signal: AbortSignal
}

async function runLiveRound(door: LiveDoor, { count, perSecond, firstNumber, signal }: Rate): Promise<LiveRound> {
  const microseconds = createHistogram({ figures: 3 })
  const sentAt = new Float64Array(count)
  const allArrived = Promise.withResolvers<void>()
  const subscription = await door.subscribe((number) => {
    const index = number - firstNumber
    if (index < 0 || index >= count || sentAt[index] === 0) return
    microseconds.record(Math.max(1, Math.round((performance.now() - sentAt[index]!) * 1000)))
    if (microseconds.count === count) allArrived.resolve()
  }, signal)
  const failures: unknown[] = []
  const startedAt = performance.now()
  for (let index = 0; index < count && !signal.aborted;) {
    const due = Math.min(count, Math.floor(((performance.now() - startedAt) * perSecond) / 1000) + 1)
    for (; index < due; index++) {
      sentAt[index] = performance.now()
      door.publish(firstNumber + index).catch((error: unknown) => failures.push(error)) // it will be missing
    }
    await sleep(1)
  }
  const elapsed = performance.now() - startedAt
  await Promise.race([allArrived.promise, sleep(arrivalMillisecondsMax, undefined, { signal, ref: false })])
  await subscription.close()
  return {
    p50Milliseconds: microseconds.percentile(50) / 1000,
    p99Milliseconds: microseconds.percentile(99) / 1000,
    eventsPerSecond: (count / elapsed) * 1000,
    missing: count - microseconds.count,
  }
}
