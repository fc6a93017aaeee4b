/**
 * The appends of one frame: proposed in one turn, so that they share a slot, and answered each when its outcome is known. They
 * have one deadline and one signal: a timer and a signal each would cost more than the appends themselves.
 *
 * There is no key of idempotency: a client that tries again sends the same records, and the ids in them are the identity. A
 * cancelled append goes on, unanswered; one whose client has gone is not offered again.
 */
import type { ClientMessage, RequestNumber } from '@synod/client-protocol'
import type { Appended, EventStore } from '@synod/events'
import { busy, unavailable } from '../http/http-error.ts'
import { serving } from '../http/serving.ts'
import { checkJson } from './check-json.ts'
import type { ConnectionParts } from './connection-parts.ts'
import type { Deadline } from './deadlines.ts'
import type { OpenRequest } from './open-requests.ts'
import { tooManyRequests } from './refusal.ts'

export type AppendMessage = Extract<ClientMessage, { kind: 'append' }>

export class Appends {
  readonly #parts: ConnectionParts
  readonly #groups = new Set<AppendGroup>()

  constructor(parts: ConnectionParts) {
    this.#parts = parts
  }

  /** `frameBytes` are those of the frame that they came in: it stays in memory as long as one of its appends. */
  propose(appends: readonly AppendMessage[], frameBytes: number): void {
    const { bytes, refuse } = this.#parts
    if (!bytes.take(frameBytes)) {
      const why = busy('too many bytes of requests are under way at this node: try again')
      for (const { request } of appends) refuse(request, why)
      return
    }
    const group = new AppendGroup(this.#parts, () => {
      bytes.release(frameBytes)
      this.#groups.delete(group)
    })
    this.#groups.add(group)
    group.propose(appends)
  }

  /** The client has gone. */
  close(): void {
    for (const group of this.#groups) group.abort()
  }
}

class AppendGroup implements OpenRequest {
  readonly #parts: ConnectionParts
  readonly #onEnd: () => void
  readonly #controller = new AbortController()
  readonly #open = new Set<RequestNumber>()
  #deadline: Deadline | undefined

  constructor(parts: ConnectionParts, onEnd: () => void) {
    this.#parts = parts
    this.#onEnd = onEnd
  }

  propose(appends: readonly AppendMessage[]): void {
    const { answers, refuse, node } = this.#parts
    let store: EventStore | undefined
    try {
      store = serving(node)
    } catch (error) {
      for (const { request } of appends) refuse(request, error)
    }
    if (store !== undefined) for (const append of appends) this.#propose(store, append)
    if (this.#open.size === 0) this.#onEnd()
    else this.#deadline = answers.begin(() => this.#onDeadline())
  }

  abort(): void {
    this.#controller.abort()
  }

  /** It may still happen, and its bytes are in use until then. */
  cancel(): void {}

  #propose(store: EventStore, { request, stream, expected, records }: AppendMessage): void {
    const { limits, requests, refuse } = this.#parts
    const { signal } = this.#controller
    let appended: Promise<Appended>
    try {
      if (requests.size >= limits.connectionRequestsMax) throw tooManyRequests(limits.connectionRequestsMax)
      checkJson(records, limits.jsonDepthMax)
      appended = store.appendRecords({ stream, records, expected }, { signal })
    } catch (error) {
      return refuse(request, error)
    }
    requests.open(request, this)
    this.#open.add(request)
    appended.then(
      ({ revision, position }) => {
        if (this.#settle(request)) this.#parts.outbox.add({ kind: 'appended', request, revision, position })
      },
      (error: unknown) => {
        if (this.#settle(request)) refuse(request, error)
      },
    )
  }

  /** Returns whether the client still waits for the answer. */
  #settle(request: RequestNumber): boolean {
    if (!this.#open.delete(request)) return false
    const isAwaited = this.#parts.requests.close(request, this)
    if (this.#open.size === 0) {
      this.#deadline?.cancel()
      this.#onEnd()
    }
    return isAwaited
  }

  /** The signal makes the store say why, in its own words; what does not heed it is answered here, a little later. */
  #onDeadline(): void {
    this.#deadline = this.#parts.graces.begin(() => {
      const late = unavailable('no answer in time, the outcome is unknown: try again with the same event ids')
      for (const request of this.#open) if (this.#settle(request)) this.#parts.refuse(request, late)
    })
    this.abort()
  }
}
