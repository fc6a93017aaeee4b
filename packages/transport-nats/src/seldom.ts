const quietMs = 60_000

/** Passes on one message a minute for each reason; the reasons are few and fixed, whatever strangers send. */
export class Seldom {
  readonly #warn: (message: string) => void
  readonly #quietUntil = new Map<string, number>()

  constructor(warn: (message: string) => void) {
    this.#warn = warn
  }

  say(reason: string, message: string): void {
    const now = performance.now()
    if (now < (this.#quietUntil.get(reason) ?? 0)) return
    this.#quietUntil.set(reason, now + quietMs)
    this.#warn(message)
  }
}
