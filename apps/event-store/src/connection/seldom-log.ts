import type { FastifyBaseLogger } from 'fastify'

const quietMilliseconds = 10_000

/** What clients do wrong must not fill the log: each kind is told at most every ten seconds, with how often it happened meanwhile. */
export class SeldomLog {
  readonly #logger: Pick<FastifyBaseLogger, 'warn'>
  readonly #kinds = new Map<string, { toldAt: number; untold: number }>()

  constructor(logger: Pick<FastifyBaseLogger, 'warn'>) {
    this.#logger = logger
  }

  /** `kind` is one of a few words. */
  tell(kind: string, message: string, details: Readonly<Record<string, unknown>> = {}): void {
    const now = performance.now()
    const known = this.#kinds.get(kind) ?? { toldAt: -Infinity, untold: 0 }
    this.#kinds.set(kind, known)
    if (now - known.toldAt < quietMilliseconds) {
      known.untold++
      return
    }
    this.#logger.warn({ event: 'clientConnection', kind, untold: known.untold, ...details }, message)
    known.toldAt = now
    known.untold = 0
  }
}
