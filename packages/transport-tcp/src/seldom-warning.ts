const quietMs = 60_000
const remembered = 100

/** Says the same thing at most once a minute, and at most a hundred different things in one. */
export class SeldomWarning {
  readonly #warn: (message: string) => void
  readonly #said = new Map<string, number>()

  constructor(warn: (message: string) => void) {
    this.#warn = warn
  }

  say(message: string): void {
    const now = performance.now()
    for (const [other, at] of this.#said) if (now - at >= quietMs) this.#said.delete(other)
    if (this.#said.has(message) || this.#said.size >= remembered) return
    this.#said.set(message, now)
    this.#warn(message)
  }
}
