import type { StoredRecord } from '@synod/client-protocol'
import type { SubscriptionMessage } from './client.ts'

/** What a node tells of a subscription beside its events. */
export type Note = Exclude<SubscriptionMessage, { readonly kind: 'event' }>

/** Of those taken, before the list is cut. */
const takenItemsMax = 1024

/**
 * What a subscription received and its reader has not taken, in order. Events are bounded by the credit that their node has; of the
 * notes behind an event only the newest of each kind is kept.
 */
export class MessageBuffer {
  #items: (StoredRecord | Note)[] = []
  #at = 0
  #bytes = 0

  /** Of the records in it. */
  get bytes(): number {
    return this.#bytes
  }

  addEvent(stored: StoredRecord): void {
    this.#items.push(stored)
    this.#bytes += stored.record.length
  }

  addNote(note: Note): void {
    for (let at = this.#items.length - 1; at >= this.#at; at--) {
      const item = this.#items[at]
      if (item === undefined || !('kind' in item)) break
      if (item.kind === note.kind) this.#items.splice(at, 1)
    }
    this.#items.push(note)
  }

  take(): StoredRecord | Note | undefined {
    const item = this.#items[this.#at]
    if (item === undefined) return undefined
    this.#at++
    if (this.#at === this.#items.length) this.#cut()
    else if (this.#at >= takenItemsMax && this.#at * 2 >= this.#items.length) this.#cut()
    if (!('kind' in item)) this.#bytes -= item.record.length
    return item
  }

  clear(): void {
    this.#items = []
    this.#at = this.#bytes = 0
  }

  #cut(): void {
    this.#items = this.#at === this.#items.length ? [] : this.#items.slice(this.#at)
    this.#at = 0
  }
}
