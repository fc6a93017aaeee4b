/** The events that a group's consumers at this node are given, read as a subscription reads them: what retention hides is not there. */
import type { EventLimits } from '../event-limits.ts'
import type { EventIndex } from '../event-machine.ts'
import type { EventReader } from '../event-reader.ts'
import type { EventFilter, RecordedEvent } from '../event-store.ts'
import type { Ticket } from '../advance.ts'
import { readFailure } from '../store-reads.ts'
import type { EventPages } from './group-scan.ts'

export class GroupPages implements EventPages {
  readonly #index: Pick<EventIndex, 'tail' | 'advance'>
  readonly #reader: EventReader
  readonly #limits: EventLimits

  constructor(index: Pick<EventIndex, 'tail' | 'advance'>, reader: EventReader, limits: EventLimits) {
    this.#index = index
    this.#reader = reader
    this.#limits = limits
  }

  async page(filter: EventFilter, from: number): Promise<{ readonly events: readonly RecordedEvent[]; readonly considered: number }> {
    const { subscriptionPageEventsMax: limit, subscriptionPageBytesMax: bytesMax, scanEventsMax: scanMax } = this.#limits
    const page = { from, to: this.head(), backward: false, limit, bytesMax, scanMax }
    const isAll = Object.keys(filter).length === 0
    const { events, next } = await (isAll ? this.#reader.all(page) : this.#reader.filtered(filter, page))
    return { events, considered: next - 1 }
  }

  async at(position: number): Promise<RecordedEvent | undefined> {
    if (position > this.head()) return undefined
    const page = { from: position, to: position, backward: false, limit: 1, bytesMax: 1, scanMax: 1 }
    try {
      return (await this.#reader.all(page)).events[0]
    } catch (error) {
      throw readFailure(error)
    }
  }

  head(): number {
    return this.#index.tail.head
  }

  ticket(filter: EventFilter | undefined): Ticket {
    return this.#index.advance.ticket(filter === undefined ? {} : { filter })
  }
}
