/**
 * The appends of one frame: proposed in one turn, so that they share a slot, and answered each when its outcome is known. They
 * have one deadline and one signal: a timer and a signal each would cost more than the appends themselves.
 *
 * There is no key of idempotency: a client that tries again sends the same records, and the ids in them are the identity. A
 * cancelled append goes on, unanswered; one whose client has gone is not offered again.
 */
import type { ClientMessage, NodeMessage, RequestNumber } from '@synod/client-protocol'
import type { Appended, AtomicallyAppended, EventStore } from '@synod/events'
import { busy, unavailable } from '../http/http-error.ts'
import { serving } from '../http/serving.ts'
import { violationsTold } from '../http/to-http-error.ts'
import { checkJson } from './check-json.ts'
import type { ConnectionParts } from './connection-parts.ts'
import type { Deadline } from './deadlines.ts'
import type { OpenRequest } from './open-requests.ts'
import { tooManyRequests } from './refusal.ts'

export type AppendMessage = Extract<ClientMessage, { kind: 'append' | 'appendAtomically' }>

export class Appends {
  readonly #parts: ConnectionParts
  /** Of frames of which an append is not answered yet. */
  readonly #open = new Set<FrameAppends>()

  constructor(parts: ConnectionParts) {
    this.#parts = parts
  }

  /** For the appends of a frame of so many bytes: it stays in memory as long as one of them. */
  frame(frameBytes: number): FrameAppends {
    return new FrameAppends(this.#parts, frameBytes, this.#open)
  }

  /** The client has gone. */
  close(): void {
    for (const appends of this.#open) appends.abort()
  }
}

class FrameAppends implements OpenRequest {
  readonly #parts: ConnectionParts
  readonly #frameBytes: number
  readonly #frames: Set<FrameAppends>
  readonly #controller = new AbortController()
  readonly #open = new Set<RequestNumber>()
  #holdsBytes = false
  #store: EventStore | undefined
  #deadline: Deadline | undefined

  constructor(parts: ConnectionParts, frameBytes: number, frames: Set<FrameAppends>) {
    this.#parts = parts
    this.#frameBytes = frameBytes
    this.#frames = frames
  }

  propose(message: AppendMessage): void {
    const { request } = message
    let appended: Promise<Appended | AtomicallyAppended>
    try {
      appended = this.#append(message)
    } catch (error) {
      return this.#parts.refuse(request, error)
    }
    this.#parts.requests.open(request, this)
    this.#open.add(request)
    appended.then(
      (answer) => {
        if (this.#settle(request)) this.#parts.outbox.add(told(request, answer))
      },
      (error: unknown) => {
        if (this.#settle(request)) this.#parts.refuse(request, message.kind === 'append' ? error : violationsTold(error))
      },
    )
  }

  /** There are no more in the frame. */
  end(): void {
    if (this.#open.size === 0) return this.#release()
    this.#frames.add(this)
    this.#deadline = this.#parts.answers.begin(() => this.#onDeadline())
  }

  abort(): void {
    this.#controller.abort()
  }

  /** It may still happen, and its bytes are in use until then. */
  cancel(): void {}

  /** @throws whatever refuses it before it is under way */
  #append(message: AppendMessage): Promise<Appended | AtomicallyAppended> {
    const { limits, requests, node, bytes } = this.#parts
    if (requests.size >= limits.connectionRequestsMax) throw tooManyRequests(limits.connectionRequestsMax)
    this.#store ??= serving(node)
    this.#holdsBytes ||= bytes.take(this.#frameBytes)
    if (!this.#holdsBytes) throw busy('too many bytes of requests are under way at this node: try again')
    const { signal } = this.#controller
    if (message.kind === 'append') {
      const { stream, records, expected } = message
      checkJson(records, limits.jsonDepthMax)
      return this.#store.appendRecords({ stream, records, expected }, { signal })
    }
    const { writes, checks, condition } = message
    for (const [at, { records }] of writes.entries()) checkJson(records, limits.jsonDepthMax, at)
    return this.#store.appendRecordsAtomically({ writes, checks, ...(condition !== undefined && { condition }) }, { signal })
  }

  /** Returns whether the client still waits for the answer. */
  #settle(request: RequestNumber): boolean {
    if (!this.#open.delete(request)) return false
    const isAwaited = this.#parts.requests.close(request, this)
    if (this.#open.size === 0) this.#release()
    return isAwaited
  }

  #release(): void {
    this.#deadline?.cancel()
    this.#frames.delete(this)
    if (this.#holdsBytes) this.#parts.bytes.release(this.#frameBytes)
    this.#holdsBytes = false
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

function told(request: RequestNumber, answer: Appended | AtomicallyAppended): NodeMessage {
  const { position } = answer
  if ('revision' in answer) return { kind: 'appended', request, revision: answer.revision, position }
  return { kind: 'atomicallyAppended', request, position, revisions: answer.streams.map(({ revision }) => revision) }
}
