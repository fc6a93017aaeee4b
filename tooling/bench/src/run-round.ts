import { createHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { processorSeconds } from './processor-time.ts'
import type { Target } from './target.ts'

export interface Round {
  readonly appendsPerSecond: number
  readonly p50Milliseconds: number
  readonly p99Milliseconds: number
  readonly appends: number
  readonly failures: number
  /** Processor time of this process, as cores: what the load itself costs. Near 1, the load is the limit. */
  readonly loadCores: number
  /** Processor seconds of all the store's processes for 1,000 appends; absent where the system does not say. */
  readonly storeSecondsPer1000?: number
  /** Why one of the failed appends failed. */
  readonly failure?: string
}

export interface RoundOptions {
  readonly inFlight: number
  readonly milliseconds: number
  readonly signal: AbortSignal
}

const pauseAfterFailureMilliseconds = 50

/** A closed loop: `inFlight` appends under way at any time, each followed by the next when it is answered. */
export async function runRound(target: Target, { inFlight, milliseconds, signal }: RoundOptions): Promise<Round> {
  await target.prepare(inFlight)
  const microseconds = createHistogram({ figures: 3 })
  const failed: string[] = []
  let turn = 0
  let failures = 0
  const storeBefore = processorSeconds(target.pids)
  const loadBefore = process.cpuUsage()
  const startedAt = performance.now()
  const endsAt = startedAt + milliseconds
  const keepAppending = async (): Promise<void> => {
    for (let sentAt = performance.now(); sentAt < endsAt && !signal.aborted; sentAt = performance.now()) {
      try {
        await target.append(turn++)
        microseconds.record(Math.max(1, Math.round((performance.now() - sentAt) * 1000)))
      } catch (error) {
        failures++
        failed[0] ??= (error as Error).message
        await sleep(pauseAfterFailureMilliseconds)
      }
    }
  }
  await Promise.all(Array.from({ length: inFlight }, keepAppending))
  const elapsed = performance.now() - startedAt
  const load = process.cpuUsage(loadBefore)
  const storeAfter = processorSeconds(target.pids)
  signal.throwIfAborted()
  const appends = microseconds.count
  const percentile = (share: number): number => (appends === 0 ? 0 : microseconds.percentile(share) / 1000)
  return {
    appendsPerSecond: (appends / elapsed) * 1000,
    p50Milliseconds: percentile(50),
    p99Milliseconds: percentile(99),
    appends,
    failures,
    loadCores: (load.user + load.system) / 1000 / elapsed,
    ...(storeBefore !== undefined &&
      storeAfter !== undefined &&
      appends > 0 && { storeSecondsPer1000: ((storeAfter - storeBefore) / appends) * 1000 }),
    ...(failed[0] !== undefined && { failure: failed[0] }),
  }
}
