/**
 * What waits under which signal. One listener a signal, however much waits under it: a signal looks through all its listeners
 * for every one that is added or removed, and hundreds of commands may share one.
 */
export class AbortGroups<T> {
  readonly #onAbort: (waiting: T) => void
  readonly #groups = new Map<AbortSignal, { readonly waiting: Set<T>; readonly listener: () => void }>()

  constructor(onAbort: (waiting: T) => void) {
    this.#onAbort = onAbort
  }

  /** To be ended by `delete`, also after the signal was aborted. */
  add(signal: AbortSignal, waiting: T): void {
    const group = this.#groups.get(signal)
    if (group !== undefined) {
      group.waiting.add(waiting)
      return
    }
    const all = new Set([waiting])
    const listener = (): void => {
      for (const each of all) this.#onAbort(each)
    }
    this.#groups.set(signal, { waiting: all, listener })
    signal.addEventListener('abort', listener, { once: true })
  }

  delete(signal: AbortSignal, waiting: T): void {
    const group = this.#groups.get(signal)
    if (group === undefined || !group.waiting.delete(waiting) || group.waiting.size > 0) return
    this.#groups.delete(signal)
    signal.removeEventListener('abort', group.listener)
  }
}
