/**
 * Linearizable reads share barriers: those that arrive while one is under way wait for the next, because a barrier counts
 * only for reads that arrived before it was asked for.
 */
import type { Scheduler } from '@synod/transport'
import { LogError } from './ordered-log.ts'
import type { Index } from './slot.ts'

interface Read {
  readonly signal: AbortSignal | undefined
  readonly resolve: (index: Index) => void
  readonly reject: (error: Error) => void
}

const retryMs = 25

export class Reads {
  readonly #barrier: () => Promise<Index>
  /** Why a read should not wait any longer for a quorum; undefined while it may. */
  readonly #hopeless: () => string | undefined
  readonly #scheduler: Scheduler
  readonly #readsMax: number
  #arrived: Read[] = []
  #waiting = 0
  #underWay = false
  readonly #counters = { barriers: 0, reads: 0 }

  constructor(scheduler: Scheduler, barrier: () => Promise<Index>, hopeless: () => string | undefined, readsMax: number) {
    this.#scheduler = scheduler
    this.#barrier = barrier
    this.#hopeless = hopeless
    this.#readsMax = readsMax
  }

  /** Rejects with a LogError: `busy`, `aborted`, or `unavailable` once waiting for a quorum has become hopeless. */
  async read(signal: AbortSignal | undefined): Promise<Index> {
    if (this.#waiting >= this.#readsMax) throw new LogError('busy', `${this.#readsMax} reads wait for a quorum here: try again in a moment`)
    this.#counters.reads++
    this.#waiting++
    try {
      return await new Promise<Index>((resolve, reject) => {
        this.#arrived.push({ signal, resolve, reject })
        if (!this.#underWay) this.#begin((run) => this.#scheduler.defer(run))
      })
    } finally {
      this.#waiting--
    }
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, readsWaiting: this.#waiting, readsMax: this.#readsMax }
  }

  #begin(wait: (run: () => void) => void): void {
    this.#underWay = true
    wait(() => void this.#round())
  }

  async #round(): Promise<void> {
    const reads = this.#arrived.filter((read) => !abort(read))
    this.#arrived = []
    if (reads.length === 0) {
      this.#underWay = false
      return
    }
    this.#counters.barriers++
    let failed = false
    try {
      const index = await this.#barrier()
      for (const read of reads) read.resolve(index)
    } catch (error) {
      failed = true
      const why = this.#hopeless()
      if (why !== undefined) for (const read of reads) read.reject(new LogError('unavailable', why, { cause: error }))
      else this.#arrived = reads.concat(this.#arrived)
    }
    if (this.#arrived.length === 0) this.#underWay = false
    else this.#begin((run) => (failed ? void this.#scheduler.at(this.#scheduler.now() + retryMs, run) : this.#scheduler.defer(run)))
  }
}

function abort({ signal, reject }: Read): boolean {
  if (signal?.aborted !== true) return false
  reject(new LogError('aborted', 'the read was given up before a quorum had answered'))
  return true
}
