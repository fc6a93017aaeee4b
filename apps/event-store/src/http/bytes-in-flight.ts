/** What has arrived of requests at this node and is not answered yet, over HTTP and over clients' connections: one bound for all. */
export class BytesInFlight {
  readonly #max: number
  #bytes = 0

  constructor(max: number) {
    this.#max = max
  }

  get bytes(): number {
    return this.#bytes
  }

  fits(bytes: number): boolean {
    return this.#bytes + bytes <= this.#max
  }

  /** False, and nothing is counted, when they do not fit. */
  take(bytes: number): boolean {
    if (!this.fits(bytes)) return false
    this.#bytes += bytes
    return true
  }

  release(bytes: number): void {
    this.#bytes -= bytes
  }
}
