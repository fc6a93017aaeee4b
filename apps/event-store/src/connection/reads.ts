/** Pages, as they are stored. A few are read at a time, and only while there is room to send them: a page may have 8 MiB. */
import type { ClientMessage } from '@synod/client-protocol'
import type { EventStore, ReadOptions, RecordedEvent } from '@synod/events'
import { unavailable } from '../http/http-error.ts'
import { serving } from '../http/serving.ts'
import type { ConnectionParts } from './connection-parts.ts'
import type { Deadline } from './deadlines.ts'
import { tooManyRequests } from './refusal.ts'

export type ReadMessage = Extract<ClientMessage, { kind: 'read' }>

/** Of one connection at a time; further ones wait. */
const readsAtOnceMax = 4

export class Reads {
  readonly #parts: ConnectionParts
  readonly #waiting = new Set<Read>()
  #running = 0
  #isAskingForRoom = false

  constructor(parts: ConnectionParts) {
    this.#parts = parts
  }

  begin(message: ReadMessage): void {
    const { requests, refuse, limits } = this.#parts
    if (requests.size >= limits.connectionRequestsMax) return refuse(message.request, tooManyRequests(limits.connectionRequestsMax))
    const read = new Read(this.#parts, message, () => this.#waiting.delete(read))
    requests.open(message.request, read)
    this.#waiting.add(read)
    this.#pump()
  }

  #pump(): void {
    const { outbox } = this.#parts
    for (const read of this.#waiting) {
      if (this.#running >= readsAtOnceMax) return
      if (!outbox.hasRoom) return this.#askForRoom()
      this.#waiting.delete(read)
      this.#running++
      void read.run().finally(() => {
        this.#running--
        this.#pump()
      })
    }
  }

  #askForRoom(): void {
    if (this.#isAskingForRoom) return
    this.#isAskingForRoom = true
    this.#parts.outbox.whenRoom(() => {
      this.#isAskingForRoom = false
      this.#pump()
    })
  }
}

class Read {
  readonly #parts: ConnectionParts
  readonly #message: ReadMessage
  readonly #onEnd: () => void
  readonly #controller = new AbortController()
  #isBegun = false
  #deadline: Deadline

  constructor(parts: ConnectionParts, message: ReadMessage, onEnd: () => void) {
    this.#parts = parts
    this.#message = message
    this.#onEnd = onEnd
    this.#deadline = parts.answers.begin(() => this.#onDeadline())
  }

  cancel(): void {
    this.#deadline.cancel()
    this.#controller.abort()
    this.#onEnd()
  }

  /** Never rejects: what goes wrong is the answer. Ends with the request, whatever the store does. */
  async run(): Promise<void> {
    this.#isBegun = true
    const { signal } = this.#controller
    const ended = new Promise<void>((resolve) => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    })
    await Promise.race([this.#read(), ended])
  }

  async #read(): Promise<void> {
    const { node, outbox, requests, refuse } = this.#parts
    const { request, consistency } = this.#message
    try {
      const events = await this.#page(consistency === 'local' ? node.store() : serving(node))
      if (requests.close(request, this)) outbox.add({ kind: 'page', request, events })
    } catch (error) {
      if (requests.close(request, this)) refuse(request, error)
    } finally {
      this.#deadline.cancel()
    }
  }

  #page(store: EventStore): Promise<readonly RecordedEvent[]> {
    const { stream, from, direction, limit, consistency } = this.#message
    const { signal } = this.#controller
    const options: ReadOptions = { direction, limit, consistency, signal, ...(from !== undefined && { from }) }
    return stream === undefined ? store.readAll(options) : store.readStream(stream, options)
  }

  #onDeadline(): void {
    const { answers, graces, outbox, requests, refuse } = this.#parts
    // It waits for the client to take what was sent before: that is not for this node to give up.
    if (!this.#isBegun && !outbox.hasRoom) {
      this.#deadline = answers.begin(() => this.#onDeadline())
      return
    }
    const { request } = this.#message
    this.#deadline = graces.begin(() => {
      this.#onEnd()
      if (requests.close(request, this)) refuse(request, unavailable('no answer in time: try again, or at another node'))
    })
    this.#controller.abort()
  }
}
