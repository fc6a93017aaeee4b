/**
 * Virtual time: nothing waits, the clock jumps to whatever is due next. With it and a seed a run of many nodes in one
 * process is the same each time, and minutes of it pass in a moment.
 */
import type { Scheduler } from '../scheduler.ts'
import { TimerHeap } from './timer-heap.ts'

interface Timer {
  readonly time: number
  /** Breaks ties in the order of asking. */
  readonly order: number
  run: (() => void) | undefined
}

export class VirtualScheduler implements Scheduler {
  #now = 0
  #order = 0
  #deferred: (() => void)[] = []
  /** A cancelled one stays until its time comes. */
  readonly #timers = new TimerHeap<Timer>()

  now(): number {
    return this.#now
  }

  at(time: number, run: () => void): () => void {
    const timer: Timer = { time: Math.max(time, this.#now), order: this.#order++, run }
    this.#timers.push(timer)
    return () => {
      timer.run = undefined
    }
  }

  defer(run: () => void): void {
    this.#deferred.push(run)
  }

  /**
   * Lets turns and timers run until the condition holds; promises settle between them. False when `forMs` of virtual time
   * went by, or nothing was left to run, before it held.
   */
  async runUntil(condition: () => boolean, forMs: number): Promise<boolean> {
    const deadline = this.#now + forMs
    for (;;) {
      await settlePromises()
      if (condition()) return true
      if (this.#deferred.length > 0) {
        const turn = this.#deferred
        this.#deferred = []
        for (const run of turn) run()
        continue
      }
      const timer = this.#timers.next
      if (timer === undefined) return false
      if (timer.time > deadline) {
        this.#now = Math.max(this.#now, deadline)
        return false
      }
      this.#timers.pop()
      if (timer.run === undefined) continue
      this.#now = Math.max(this.#now, timer.time)
      timer.run()
    }
  }

  /** Lets this much virtual time go by. */
  async run(forMs: number): Promise<void> {
    await this.runUntil(() => false, forMs)
  }
}

/** A real turn of the event loop: everything that only waited for promises has happened after it. */
function settlePromises(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
