/** Time-outs of one length: whoever began first ends first, so one timer serves all, and to begin and to cancel one is cheap. */
export interface Deadline {
  cancel(): void
}

export class Deadlines {
  readonly #milliseconds: number
  /** In the order of their ends. */
  readonly #open = new Map<Deadline, { readonly at: number; readonly onEnd: () => void }>()
  #timer: NodeJS.Timeout | undefined

  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds
  }

  begin(onEnd: () => void): Deadline {
    const deadline: Deadline = { cancel: () => void this.#open.delete(deadline) }
    this.#open.set(deadline, { at: performance.now() + this.#milliseconds, onEnd })
    this.#timer ??= setTimeout(() => this.#onTimer(), this.#milliseconds)
    return deadline
  }

  /** None ends any more. */
  close(): void {
    this.#open.clear()
    clearTimeout(this.#timer)
  }

  #onTimer(): void {
    this.#timer = undefined
    const now = performance.now()
    for (const [deadline, { at, onEnd }] of this.#open) {
      if (at > now) {
        this.#timer = setTimeout(() => this.#onTimer(), at - now)
        return
      }
      this.#open.delete(deadline)
      onEnd()
    }
  }
}
