import type { ClientMessage, StoredRecord } from '@synod/client-protocol'
import type { ScriptedConnection } from './scripted-node.ts'
import { passes, type ScriptedStore } from './scripted-store.ts'

type SubscribeMessage = Extract<ClientMessage, { readonly kind: 'subscribe' | 'subscribeFiltered' }>

/** Sends while there is credit, `caughtUp` each time it reaches the end. */
export class ScriptedSubscription {
  readonly #message: SubscribeMessage
  readonly #connection: ScriptedConnection
  readonly #store: ScriptedStore
  #sent: number
  #toldEnd = -1
  #credit: number
  #isOver = false

  constructor(message: SubscribeMessage, connection: ScriptedConnection, store: ScriptedStore) {
    this.#message = message
    this.#connection = connection
    this.#store = store
    this.#credit = message.creditBytes
    const { start } = message
    const stream = message.kind === 'subscribe' ? message.stream : undefined
    const before = start.kind === 'afterPosition' ? start.position : stream === undefined && start.kind === 'from' ? start.from - 1 : 0
    this.#sent = Math.max(0, before)
    store.onAppended(() => this.#push())
    this.#push()
  }

  credit(bytes: number): void {
    this.#credit += bytes
    this.#push()
  }

  end(): void {
    this.#isOver = true
  }

  #push(): void {
    const { request, start } = this.#message
    const stream = this.#message.kind === 'subscribe' ? this.#message.stream : undefined
    const filter = this.#message.kind === 'subscribe' ? {} : this.#message.filter
    if (this.#isOver || this.#store.events.length < this.#sent) return
    const first = stream !== undefined && start.kind === 'from' ? start.from : 0
    const batch: StoredRecord[] = []
    while (this.#credit > 0 && this.#sent < this.#store.events.length) {
      const event = this.#store.events[this.#sent++]
      if (event === undefined || (stream !== undefined && (event.stream !== stream || event.revision < first))) continue
      if (!passes(event, filter)) continue
      this.#credit -= event.record.length
      batch.push(event)
    }
    if (batch.length > 0) this.#connection.send({ kind: 'events', request, events: batch })
    if (this.#sent === this.#store.events.length && this.#toldEnd < this.#sent) {
      this.#toldEnd = this.#sent
      this.#connection.send({ kind: 'caughtUp', request, position: this.#sent })
    }
  }
}
