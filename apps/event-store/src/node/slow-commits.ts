import type { NodeLog } from './node-log.ts'

/** A commit that takes longer is a disk in trouble, not a busy one. */
const slowMilliseconds = 1_000
const quietMilliseconds = 10_000

/** Tells of transactions of the store that took over a second, at most one line in ten seconds. */
export class SlowCommits {
  readonly #log: Pick<NodeLog, 'tell'>
  readonly #now: () => number
  #toldAt = -Infinity
  #untold = 0
  #longest = 0

  constructor(log: Pick<NodeLog, 'tell'>, now: () => number = () => performance.now()) {
    this.#log = log
    this.#now = now
  }

  committed({ milliseconds }: { readonly milliseconds: number }): void {
    if (milliseconds < slowMilliseconds) return
    this.#untold++
    this.#longest = Math.max(this.#longest, milliseconds)
    if (this.#now() - this.#toldAt < quietMilliseconds) return
    const longest = Math.round(this.#longest)
    this.#log.tell('storeSlow', { milliseconds: longest, commits: this.#untold }, `the store took ${longest} ms to make a write durable`)
    this.#toldAt = this.#now()
    this.#untold = this.#longest = 0
  }
}
