/**
 * When subscriptions tell a checkpoint. One timer for all of them: it comes by 32 times an interval and asks each whether
 * it is due, which is a comparison or two, so that ten thousand that have nothing to say cost nothing to speak of. The first
 * checkpoints are spread over an interval, or those that began together would all tell theirs in one turn, for ever.
 */
import type { Scheduler } from '@synod/transport'

const roundsPerInterval = 32
/** The least time between two checkpoints that only the count of events asks for. */
const countedPerInterval = 8

export interface Checkpointed {
  /** The last position that a checkpoint told; what the next one is counted from. */
  readonly checkpointed: number
  checkpointDue(): void
}

interface Hand {
  readonly of: Checkpointed
  dueAt: number
  countedAt: number
}

export class CheckpointClock {
  readonly #scheduler: Scheduler
  readonly #head: () => number
  readonly #intervalMs: number
  readonly #eventsMax: number
  readonly #hands = new Set<Hand>()
  #entered = 0
  #cancel: (() => void) | undefined

  constructor(
    scheduler: Scheduler,
    head: () => number,
    limits: { readonly checkpointIntervalMs: number; readonly checkpointEventsMax: number },
  ) {
    this.#scheduler = scheduler
    this.#head = head
    this.#intervalMs = limits.checkpointIntervalMs
    this.#eventsMax = limits.checkpointEventsMax
  }

  /** Until the returned function is called. */
  enter(of: Checkpointed): () => void {
    const now = this.#scheduler.now()
    const share = ((this.#entered++ % roundsPerInterval) + 1) / roundsPerInterval
    const hand: Hand = { of, dueAt: now + this.#intervalMs * share, countedAt: now + (this.#intervalMs * share) / countedPerInterval }
    this.#hands.add(hand)
    if (this.#cancel === undefined) this.#arm()
    return () => {
      this.#hands.delete(hand)
      if (this.#hands.size > 0) return
      this.#cancel?.()
      this.#cancel = undefined
    }
  }

  #arm(): void {
    const next = this.#scheduler.now() + this.#intervalMs / roundsPerInterval
    this.#cancel = this.#scheduler.at(next, () => {
      this.#arm()
      this.#round()
    })
  }

  #round(): void {
    const now = this.#scheduler.now()
    const counted = this.#head() - this.#eventsMax
    for (const hand of this.#hands) {
      if (now < hand.dueAt && (now < hand.countedAt || hand.of.checkpointed > counted)) continue
      hand.dueAt = now + this.#intervalMs
      hand.countedAt = now + this.#intervalMs / countedPerInterval
      hand.of.checkpointDue()
    }
  }
}
