import type { Scheduler } from '@synod/transport'

/** Virtual time without promises, so that a whole run is one synchronous call: what falls due, in order of time and then of asking. */
export class StepScheduler implements Scheduler {
  #now = 0
  #order = 0
  #jobs: { readonly time: number; readonly order: number; readonly run: () => void }[] = []

  now(): number {
    return this.#now
  }

  at(time: number, run: () => void): () => void {
    const job = { time: Math.max(time, this.#now), order: this.#order++, run }
    this.#jobs.push(job)
    return () => {
      this.#jobs = this.#jobs.filter((other) => other !== job)
    }
  }

  defer(run: () => void): void {
    this.at(this.#now, run)
  }

  get waiting(): number {
    return this.#jobs.length
  }

  runUntil(time: number): void {
    for (;;) {
      this.#jobs.sort((left, right) => left.time - right.time || left.order - right.order)
      const next = this.#jobs[0]
      if (next === undefined || next.time > time) break
      this.#jobs.shift()
      this.#now = next.time
      next.run()
    }
    this.#now = time
  }
}
