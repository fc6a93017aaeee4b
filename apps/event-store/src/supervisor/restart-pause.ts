/** The wait before something that ended is started again: longer each time while it ends soon after its start. */
import { pause } from './pause.ts'

export interface RestartPauseOptions {
  readonly millisecondsMin: number
  readonly millisecondsMax: number
  /** Cuts the wait short. */
  readonly signal: AbortSignal
}

export class RestartPause {
  readonly #options: RestartPauseOptions
  #milliseconds = 0

  constructor(options: RestartPauseOptions) {
    this.#options = options
  }

  /** How long the next wait takes. */
  next(hasFailedSoon: boolean): number {
    const { millisecondsMin, millisecondsMax } = this.#options
    this.#milliseconds = hasFailedSoon ? Math.min(Math.max(this.#milliseconds * 2, millisecondsMin), millisecondsMax) : millisecondsMin
    return this.#milliseconds
  }

  wait(): Promise<void> {
    return pause(this.#milliseconds, this.#options.signal)
  }
}
