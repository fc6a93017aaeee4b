import type { Scheduler } from './scheduler.ts'

/** The real clock and the real event loop. */
export const systemScheduler: Scheduler = {
  now: () => performance.now(),
  at(time, run) {
    const timer = setTimeout(run, Math.max(0, time - performance.now()))
    return () => clearTimeout(timer)
  },
  defer(run) {
    setImmediate(run)
  },
}
