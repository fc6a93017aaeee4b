import type { PendingRequest } from './pending-request.ts'

/** First in, first out; any of them can leave it from the middle at no cost. A request stands in one queue at most. */
export class RequestQueue {
  #first: PendingRequest<unknown> | undefined
  #last: PendingRequest<unknown> | undefined
  #size = 0
  #bytes = 0

  get first(): PendingRequest<unknown> | undefined {
    return this.#first
  }

  get size(): number {
    return this.#size
  }

  get bytes(): number {
    return this.#bytes
  }

  push(request: PendingRequest<unknown>): void {
    request.queue = this
    request.previous = this.#last
    request.next = undefined
    if (this.#last === undefined) this.#first = request
    else this.#last.next = request
    this.#last = request
    this.#size++
    this.#bytes += request.bytes
  }

  remove(request: PendingRequest<unknown>): void {
    const { previous, next } = request
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    request.queue = request.previous = request.next = undefined
    this.#size--
    this.#bytes -= request.bytes
  }

  /** Moves all of them behind those of another queue. */
  moveTo(other: RequestQueue): void {
    for (let request = this.#first; request !== undefined; request = this.#first) {
      this.remove(request)
      other.push(request)
    }
  }
}
