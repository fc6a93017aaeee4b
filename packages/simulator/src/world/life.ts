/**
 * One process of a node: its clock and its turns. A clock has an offset and a rate of its own; a pause stops the turns and
 * not the clock; death ends everything, also in the middle of a turn, when the next call of a port is the one it does not
 * come back from.
 */
import type { Scheduler } from '@synod/transport'
import type { World } from './world.ts'

export interface Clock {
  readonly offsetMs: number
  /** 1 is true time. */
  readonly rate: number
}

/** So that a timer is never early by a rounding. */
const roundingMs = 1e-6

export class Life implements Scheduler {
  readonly world: World
  /** For instance `n1/3`: the third life of n1. */
  readonly name: string
  readonly #clock: Clock
  readonly #onDeath = new Set<() => void>()
  #isAlive = true
  #waiting: (() => void)[] | undefined
  #callsLeft = Infinity
  #callsAfterWrite: number | undefined
  #dieAtCall: () => void = () => {}

  constructor(world: World, name: string, clock: Clock) {
    this.world = world
    this.name = name
    this.#clock = clock
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  get isPaused(): boolean {
    return this.#waiting !== undefined
  }

  now(): number {
    return this.world.now * this.#clock.rate + this.#clock.offsetMs
  }

  at(time: number, run: () => void): () => void {
    return this.world.at((time - this.#clock.offsetMs) / this.#clock.rate + roundingMs, run, this)
  }

  defer(run: () => void): void {
    this.world.defer(run, this)
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.world.after(ms, resolve, this))
  }

  /** Whether a turn may run now. */
  takes(run: () => void): boolean {
    if (!this.#isAlive) return false
    if (this.#waiting === undefined) return true
    this.#waiting.push(run)
    return false
  }

  pause(): void {
    this.#waiting ??= []
  }

  resume(): void {
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const run of waiting) this.world.defer(run, this)
  }

  /** Calls `die` at the port call after so many others: inside a turn, between two sends or between a write and a send. */
  dieAfterCalls(calls: number, die: () => void): void {
    this.#callsLeft = calls
    this.#dieAtCall = die
  }

  /** The same, counted from the next write on: what was written is not yet synced, and may have been spoken of. */
  dieAfterWrite(calls: number, die: () => void): void {
    this.#callsAfterWrite = calls
    this.#dieAtCall = die
  }

  /** It does not die by these any more. */
  spare(): void {
    this.#callsLeft = Infinity
    this.#callsAfterWrite = undefined
  }

  /** Every call of a port begins with it. False: this process is no more, and the call has no effect. */
  calls(isWrite = false): boolean {
    if (!this.#isAlive) return false
    if (isWrite && this.#callsAfterWrite !== undefined) {
      this.#callsLeft = this.#callsAfterWrite
      this.#callsAfterWrite = undefined
    }
    if (--this.#callsLeft > 0) return true
    this.#callsLeft = Infinity
    this.#dieAtCall()
    return this.#isAlive
  }

  onDeath(listener: () => void): () => void {
    this.#onDeath.add(listener)
    return () => this.#onDeath.delete(listener)
  }

  die(): void {
    if (!this.#isAlive) return
    this.#isAlive = false
    this.#waiting = undefined
    for (const listener of this.#onDeath) listener()
    this.#onDeath.clear()
  }
}
