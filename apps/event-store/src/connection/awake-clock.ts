/**
 * Milliseconds during which this process looked after its connections. A process that was stopped, or was too busy to look, has
 * heard nobody in that time, and must not hold it against its clients. Advances at every look: as exact as they are frequent.
 */
export class AwakeClock {
  readonly #stepMillisecondsMax: number
  #lookedAt = performance.now()
  #now = 0

  constructor(stepMillisecondsMax: number) {
    this.#stepMillisecondsMax = stepMillisecondsMax
  }

  get now(): number {
    return this.#now
  }

  look(): void {
    const now = performance.now()
    this.#now += Math.min(now - this.#lookedAt, this.#stepMillisecondsMax)
    this.#lookedAt = now
  }
}
