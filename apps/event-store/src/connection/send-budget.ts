/** What waits to be sent on all connections of a node together. */
export class SendBudget {
  readonly #bytesMax: number
  readonly #makeRoom: () => boolean
  #bytes = 0

  /** `makeRoom` drops a connection; false when there is none to drop. */
  constructor(bytesMax: number, makeRoom: () => boolean) {
    this.#bytesMax = bytesMax
    this.#makeRoom = makeRoom
  }

  get bytes(): number {
    return this.#bytes
  }

  add(bytes: number): void {
    this.#bytes += bytes
  }

  check(): void {
    while (this.#bytes > this.#bytesMax && this.#makeRoom());
  }
}
