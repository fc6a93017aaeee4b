/**
 * Virtual time for many lives in one process. Nothing waits: the clock jumps to what is due next. Between two turns every
 * promise that can settle does, without a real turn of the event loop: a microtask that asks for `nextTick` runs when no
 * other microtask is left, so a turn costs about a microsecond and not a `setImmediate`.
 *
 * What belongs to a life (a process of a node) runs only while it lives; while it is paused it waits, in order.
 */
import { TimerHeap } from '@synod/transport/memory'
import type { Life } from './life.ts'

interface Timer {
  readonly time: number
  /** Breaks ties in the order of asking. */
  readonly order: number
  readonly life: Life | undefined
  run: (() => void) | undefined
}

/** A breath of the real event loop after so many turns: progress can be told, and signals come in. */
const turnsWithoutBreath = 20_000

export class World {
  #now = 0
  #order = 0
  #stamp = 0
  #turns = 0
  readonly #timers = new TimerHeap<Timer>()
  #deferred: { readonly life: Life | undefined; readonly run: () => void }[] = []
  #deferredAt = 0
  /** A bug of a life: what would end its process. */
  onCrash: (life: Life | undefined, error: unknown) => void = (_, error) => {
    throw error
  }

  /** Milliseconds since the beginning. */
  get now(): number {
    return this.#now
  }

  get turns(): number {
    return this.#turns
  }

  /** The last one. */
  get stamped(): number {
    return this.#stamp
  }

  /** Counts up: orders what happens at one moment, for histories. */
  stamp(): number {
    return ++this.#stamp
  }

  at(time: number, run: () => void, life?: Life): () => void {
    const timer: Timer = { time: Math.max(time, this.#now), order: this.#order++, life, run }
    this.#timers.push(timer)
    return () => {
      timer.run = undefined
    }
  }

  after(ms: number, run: () => void, life?: Life): () => void {
    return this.at(this.#now + ms, run, life)
  }

  /** At once, after what is already deferred. */
  defer(run: () => void, life?: Life): void {
    this.#deferred.push({ life, run })
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve))
  }

  /** Until the condition holds (true), or `forMs` went by or nothing is left to run (false). */
  runUntil(condition: () => boolean, forMs: number): Promise<boolean> {
    const deadline = this.#now + forMs
    return new Promise((resolve, reject) => {
      let breath = 0
      const turn = (): void => {
        try {
          if (condition()) return resolve(true)
          if (!this.#runNext(deadline)) return resolve(false)
        } catch (error) {
          return reject(error instanceof Error ? error : new Error(String(error)))
        }
        if (++breath % turnsWithoutBreath === 0) setImmediate(turn)
        else queueMicrotask(whenSettled)
      }
      const whenSettled = (): void => process.nextTick(turn)
      queueMicrotask(whenSettled)
    })
  }

  async run(forMs: number): Promise<void> {
    await this.runUntil(() => false, forMs)
  }

  #runNext(deadline: number): boolean {
    const deferred = this.#deferred[this.#deferredAt]
    if (deferred !== undefined) {
      if (++this.#deferredAt === this.#deferred.length) {
        this.#deferred = []
        this.#deferredAt = 0
      }
      this.#run(deferred.run, deferred.life)
      return true
    }
    for (;;) {
      const timer = this.#timers.next
      if (timer === undefined || timer.time > deadline) {
        this.#now = Math.max(this.#now, deadline)
        return false
      }
      this.#timers.pop()
      if (timer.run === undefined) continue
      this.#now = timer.time
      this.#run(timer.run, timer.life)
      return true
    }
  }

  #run(run: () => void, life: Life | undefined): void {
    if (life !== undefined && !life.takes(run)) return
    this.#turns++
    try {
      run()
    } catch (error) {
      this.onCrash(life, error)
    }
  }
}
