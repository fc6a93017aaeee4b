/** What is at consumers, in the order in which it was given, so that the first is the first that is late. */
import type { Scheduler } from '@synod/transport'
import type { LocalConsumer } from './local-consumer.ts'

interface Delivery {
  readonly consumer: LocalConsumer
  readonly position: number
  readonly at: number
}

/** `now`: the same for all that are late together. */
type OnLate = (consumer: LocalConsumer, position: number, now: number) => void

/** So many that were answered may stand among the others, before they are thrown out. */
const answeredMax = 4096

export class DeliveryDeadlines {
  readonly #scheduler: Scheduler
  readonly #deadlineMs: () => number
  readonly #onLate: OnLate
  #deliveries: Delivery[] = []
  #first = 0
  #cancelTimer: (() => void) | undefined
  #armedMs: number | undefined

  constructor(scheduler: Scheduler, deadlineMs: () => number, onLate: OnLate) {
    this.#scheduler = scheduler
    this.#deadlineMs = deadlineMs
    this.#onLate = onLate
  }

  add(consumer: LocalConsumer, position: number, at: number): void {
    this.#deliveries.push({ consumer, position, at })
    if (this.#deliveries.length > answeredMax * 2 && this.#deliveries.length > this.#waiting() * 2) this.#sweep()
    this.#arm()
  }

  clear(): void {
    this.#deliveries = []
    this.#first = 0
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }

  /** The deadline may be another one. A timer that is due is left alone: it would never run if it was set anew each time. */
  changed(): void {
    if (this.#deadlineMs() === this.#armedMs) return
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#arm()
  }

  #waiting(): number {
    let count = 0
    for (const consumer of new Set(this.#deliveries.map((delivery) => delivery.consumer))) count += consumer.given.size
    return count
  }

  #sweep(): void {
    this.#deliveries = this.#deliveries.slice(this.#first).filter(isOpen)
    this.#first = 0
  }

  #arm(): void {
    while (this.#first < this.#deliveries.length && !isOpen(this.#deliveries[this.#first]!)) this.#first++
    const next = this.#deliveries[this.#first]
    if (next === undefined || this.#cancelTimer !== undefined) return
    this.#armedMs = this.#deadlineMs()
    this.#cancelTimer = this.#scheduler.at(next.at + this.#armedMs, () => {
      this.#cancelTimer = undefined
      this.#expire()
      this.#arm()
    })
  }

  #expire(): void {
    const now = this.#scheduler.now()
    const since = now - this.#deadlineMs()
    for (let next = this.#deliveries[this.#first]; next !== undefined && next.at <= since; next = this.#deliveries[this.#first]) {
      this.#first++
      if (isOpen(next)) this.#onLate(next.consumer, next.position, now)
    }
    if (this.#first > answeredMax) this.#sweep()
  }
}

/** Neither answered nor given again since. */
function isOpen({ consumer, position, at }: Delivery): boolean {
  return consumer.given.get(position)?.at === at
}
