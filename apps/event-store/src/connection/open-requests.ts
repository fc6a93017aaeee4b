import type { RequestNumber } from '@synod/client-protocol'

/** What a request's number stands for while it is open. */
export interface OpenRequest {
  /** The client wants no more of it; the number is free already. */
  cancel(request: RequestNumber): void
}

/** The numbers that a client has open on its connection. */
export class OpenRequests {
  readonly #open = new Map<RequestNumber, OpenRequest>()
  #onEmpty: (() => void) | undefined

  get size(): number {
    return this.#open.size
  }

  has(request: RequestNumber): boolean {
    return this.#open.has(request)
  }

  get(request: RequestNumber): OpenRequest | undefined {
    return this.#open.get(request)
  }

  open(request: RequestNumber, as: OpenRequest): void {
    this.#open.set(request, as)
  }

  isOpen(request: RequestNumber, as: OpenRequest): boolean {
    return this.#open.get(request) === as
  }

  /** False when it is not open any more, or stands for another by now: then nothing may be answered. */
  close(request: RequestNumber, as: OpenRequest): boolean {
    if (!this.isOpen(request, as)) return false
    this.#open.delete(request)
    if (this.#open.size === 0) this.#onEmpty?.()
    return true
  }

  /** Of a number that is not open it does nothing: its end and the cancelling may have crossed. */
  cancel(request: RequestNumber): void {
    const open = this.#open.get(request)
    if (open === undefined) return
    this.close(request, open)
    open.cancel(request)
  }

  cancelAll(): void {
    for (const request of this.#open.keys()) this.cancel(request)
  }

  /** Resolves as soon as none is open. */
  async empty(): Promise<void> {
    if (this.#open.size > 0) await new Promise<void>((resolve) => (this.#onEmpty = resolve))
  }
}
