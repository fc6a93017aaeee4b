/**
 * Virtual time: nothing waits, the clock jumps to whatever is due next. With it and a seed a run of many nodes in one
 * process is the same each time, and minutes of it pass in a moment.
 */
import type { Scheduler } from '../scheduler.ts'

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
  /** A binary heap: the next timer is first. A cancelled one stays until its time comes. */
  readonly #timers: Timer[] = []

  now(): number {
    return this.#now
  }

  at(time: number, run: () => void): () => void {
    const timer: Timer = { time: Math.max(time, this.#now), order: this.#order++, run }
    push(this.#timers, timer)
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
      const timer = this.#timers[0]
      if (timer === undefined) return false
      if (timer.time > deadline) {
        this.#now = Math.max(this.#now, deadline)
        return false
      }
      pop(this.#timers)
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

function isBefore(left: Timer, right: Timer): boolean {
  return left.time < right.time || (left.time === right.time && left.order < right.order)
}

function push(heap: Timer[], timer: Timer): void {
  let at = heap.push(timer) - 1
  while (at > 0) {
    const parent = (at - 1) >> 1
    const above = heap[parent]
    if (above === undefined || !isBefore(timer, above)) break
    heap[at] = above
    at = parent
  }
  heap[at] = timer
}

function pop(heap: Timer[]): void {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  let at = 0
  for (;;) {
    let child = at * 2 + 1
    const right = heap[child + 1]
    let least = heap[child]
    if (least === undefined) break
    if (right !== undefined && isBefore(right, least)) {
      least = right
      child++
    }
    if (!isBefore(least, last)) break
    heap[at] = least
    at = child
  }
  heap[at] = last
}
