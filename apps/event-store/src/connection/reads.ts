/**
 * Pages, as they are stored, and what is asked for rarely. A few are under way at a time, and only while there is room to send
 * what they answer: a page may have 8 MiB.
 */
import type { ClientMessage, NodeMessage } from '@synod/client-protocol'
import type { ReadOptions } from '@synod/events'
import { busy, tooLarge, unavailable } from '../http/http-error.ts'
import { storeFor } from '../http/read-routes.ts'
import { call } from './calls.ts'
import type { ConnectionParts } from './connection-parts.ts'
import type { Deadline } from './deadlines.ts'
import { checkFilterSize } from './filter-size.ts'
import { tooManyRequests } from './refusal.ts'

type Of<K extends ClientMessage['kind']> = Extract<ClientMessage, { kind: K }>

export type ReadMessage = Of<'read' | 'query' | 'call'>

/** Of one connection at a time; further ones wait. */
const readsAtOnceMax = 4
/** Characters of a call's argument. */
const argumentLengthMax = 1_048_576

export class Reads {
  readonly #parts: ConnectionParts
  readonly #waiting = new Set<Read>()
  #running = 0
  #isAskingForRoom = false

  constructor(parts: ConnectionParts) {
    this.#parts = parts
  }

  begin(message: ReadMessage): void {
    const { requests, refuse } = this.#parts
    let heldBytes: number
    try {
      heldBytes = this.#admit(message)
    } catch (error) {
      return refuse(message.request, error)
    }
    const read = new Read(this.#parts, message, heldBytes, () => this.#waiting.delete(read))
    requests.open(message.request, read)
    this.#waiting.add(read)
    this.#pump()
  }

  /** Returns the bytes that it holds until it ends. @throws HttpError */
  #admit(message: ReadMessage): number {
    const { requests, limits, bytes } = this.#parts
    if (requests.size >= limits.connectionRequestsMax) throw tooManyRequests(limits.connectionRequestsMax)
    if (message.kind === 'query') checkFilterSize(message.filter)
    if (message.kind !== 'call') return 0
    const { length } = message.argument
    if (length > argumentLengthMax) throw tooLarge(`the argument has ${length} characters: at most ${argumentLengthMax} are allowed`)
    if (!bytes.take(length)) throw busy('too many bytes of requests are under way at this node: try again')
    return length
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
  #heldBytes: number
  #isBegun = false
  #deadline: Deadline

  constructor(parts: ConnectionParts, message: ReadMessage, heldBytes: number, onEnd: () => void) {
    this.#parts = parts
    this.#message = message
    this.#heldBytes = heldBytes
    this.#onEnd = onEnd
    this.#deadline = parts.answers.begin(() => this.#onDeadline())
  }

  cancel(): void {
    this.#deadline.cancel()
    this.#controller.abort()
    this.#end()
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
    const { outbox, requests, refuse } = this.#parts
    const { request } = this.#message
    try {
      const answer = await this.#answer()
      if (requests.close(request, this)) outbox.add(answer)
    } catch (error) {
      if (requests.close(request, this)) refuse(request, error)
    } finally {
      this.#deadline.cancel()
      this.#end()
    }
  }

  async #answer(): Promise<NodeMessage> {
    const { node, limits } = this.#parts
    const message = this.#message
    const { request } = message
    const { signal } = this.#controller
    if (message.kind === 'call') return { kind: 'result', request, result: await call(node, message, limits.jsonDepthMax, signal) }
    const { from, direction, limit, consistency, atLeast } = message
    const given = { ...(from !== undefined && { from }), ...(atLeast !== undefined && { atLeast }) }
    const options: ReadOptions = { direction, limit, consistency, signal, ...given }
    const store = storeFor(node, options)
    if (message.kind === 'query') {
      const { events, considered, isEnd } = await store.query({ ...options, filter: message.filter })
      return { kind: 'queryPage', request, events, considered, isEnd }
    }
    const { stream } = message
    return { kind: 'page', request, events: await (stream === undefined ? store.readAll(options) : store.readStream(stream, options)) }
  }

  /** It waits no more, and holds nothing. */
  #end(): void {
    this.#onEnd()
    this.#parts.bytes.release(this.#heldBytes)
    this.#heldBytes = 0
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
      this.#end()
      if (requests.close(request, this)) refuse(request, unavailable('no answer in time: try again, or at another node'))
    })
    this.#controller.abort()
  }
}
