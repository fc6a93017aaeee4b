import { busy, unavailable } from './http-error.ts'

/** The subscriptions that are open at this node, over HTTP and over clients' connections: one bound for all. */
export class OpenSubscriptions {
  readonly #max: number
  readonly #open = new Set<AbortController>()
  #stopping = false

  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#open.size
  }

  /** Whoever opens one closes it, aborted or not. @throws HttpError 503 `unavailable`, `busy` */
  open(): AbortController {
    if (this.#stopping) throw unavailable('this node is stopping: subscribe at another one')
    if (this.#open.size >= this.#max) throw busy(`${this.#max} subscriptions are open at this node: try again, or at another node`)
    const controller = new AbortController()
    this.#open.add(controller)
    return controller
  }

  close(controller: AbortController): void {
    this.#open.delete(controller)
    controller.abort()
  }

  /** A part of the shutdown: none is opened any more. */
  endAll(): void {
    this.#stopping = true
    for (const controller of this.#open) controller.abort()
  }
}
