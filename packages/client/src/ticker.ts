/**
 * The client's one clock. Time-outs are counted in ticks, not read from a clock: a process that was busy or stopped for long sees one
 * tick where many were due, so it hears what arrived meanwhile before it takes anybody for dead.
 */
export const tickMilliseconds = 250

export class Ticker {
  readonly #onTick: () => void
  #timer: ReturnType<typeof setInterval> | undefined
  #now = 0

  constructor(onTick: () => void) {
    this.#onTick = onTick
  }

  /** Ticks so far. It stands still while the ticker is stopped. */
  get now(): number {
    return this.#now
  }

  /** When so many milliseconds will have passed, at the earliest. */
  after(milliseconds: number): number {
    return this.#now + 1 + Math.ceil(milliseconds / tickMilliseconds)
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      this.#now++
      this.#onTick()
    }, tickMilliseconds)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
