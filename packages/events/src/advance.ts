/**
 * Who waits for the head to advance: of all events, or of one stream. A reader takes a ticket first and looks second, so
 * nothing can come between. Wakes run together, once a turn of the event loop.
 */
import type { Scheduler } from '@synod/transport'
import type { SlotRecord } from './slot-record.ts'

export interface Ticket {
  /** Resolves once something was appended since the ticket was taken, or it was woken. */
  readonly fired: Promise<void>
  wake(): void
  /** To be called in any case, fired or not. */
  cancel(): void
}

export class Advance {
  readonly #scheduler: Scheduler
  #all = new Set<() => void>()
  readonly #streams = new Map<string, Set<() => void>>()
  /** Fired and not yet run. */
  #due: Iterable<() => void>[] = []

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  ticket(stream: string | undefined): Ticket {
    const { promise, resolve } = Promise.withResolvers<void>()
    const wake = (): void => resolve()
    const group = stream === undefined ? this.#all : this.#group(stream)
    group.add(wake)
    const cancel = (): void => {
      group.delete(wake)
      if (stream !== undefined && group.size === 0 && this.#streams.get(stream) === group) this.#streams.delete(stream)
    }
    return { fired: promise, wake, cancel }
  }

  onApplied(record: SlotRecord): void {
    if (this.#all.size > 0) {
      this.#fire(this.#all)
      this.#all = new Set()
    }
    if (this.#streams.size === 0) return
    for (const { name } of record.streams) {
      const group = this.#streams.get(name)
      if (group === undefined) continue
      this.#streams.delete(name)
      this.#fire(group)
    }
  }

  #group(stream: string): Set<() => void> {
    const known = this.#streams.get(stream)
    if (known !== undefined) return known
    const group = new Set<() => void>()
    this.#streams.set(stream, group)
    return group
  }

  #fire(wakes: Iterable<() => void>): void {
    this.#due.push(wakes)
    if (this.#due.length > 1) return
    this.#scheduler.defer(() => {
      const due = this.#due
      this.#due = []
      for (const group of due) for (const wake of group) wake()
    })
  }
}
