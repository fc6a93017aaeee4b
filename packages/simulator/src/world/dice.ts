import { seededRandom } from '@synod/transport/memory'

/** Draws that a text seed decides. Parts of a run have dice of their own, so that one drawing more moves no other. */
export class Dice {
  readonly #seed: string
  readonly #next: () => number

  constructor(seed: string) {
    this.#seed = seed
    this.#next = seededRandom(seed)
  }

  /** Other dice, the same ones for the same name. */
  named(name: string): Dice {
    return new Dice(`${this.#seed} ${name}`)
  }

  /** In [0, 1). */
  unit(): number {
    return this.#next()
  }

  chance(probability: number): boolean {
    return probability > 0 && this.#next() < probability
  }

  /** In [low, high). */
  between(low: number, high: number): number {
    return low + this.#next() * (high - low)
  }

  /** As likely between 1 and 10 as between 10 and 100. Both above 0. */
  scaled(low: number, high: number): number {
    return low * (high / low) ** this.#next()
  }

  /** Both ends included. */
  whole(low: number, high: number): number {
    return low + Math.floor(this.#next() * (high - low + 1))
  }

  /** Waiting times without memory. */
  exponential(mean: number): number {
    return -Math.log(1 - this.#next()) * mean
  }

  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.#next() * items.length)]
    if (item === undefined) throw new RangeError('nothing to pick from')
    return item
  }

  shuffled<T>(items: readonly T[]): T[] {
    const left = [...items]
    return items.map(() => left.splice(Math.floor(this.#next() * left.length), 1)).flat()
  }
}
