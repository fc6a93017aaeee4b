import type { CheckpointFile } from './checkpoint-file.ts'
import type { Output } from './output.ts'

const saveMilliseconds = 1000

/**
 * Saves what was reached a second after it at the latest, and at the end. One save at a time: on a disk that takes longer the next one
 * waits. What fails is told at the next event, or at the end.
 */
export class CheckpointKeeper {
  readonly #file: Pick<CheckpointFile, 'save'>
  readonly #output: Pick<Output, 'flush' | 'isClosed'>
  #position: bigint | undefined
  #timer: NodeJS.Timeout | undefined
  #isSaving = false
  #saving: Promise<void> = Promise.resolve()
  #failure: { readonly error: unknown } | undefined

  constructor(file: Pick<CheckpointFile, 'save'>, output: Pick<Output, 'flush' | 'isClosed'>) {
    this.#file = file
    this.#output = output
  }

  reached(position: bigint): void {
    if (this.#failure !== undefined) throw this.#failure.error
    this.#position = position
    this.#schedule()
  }

  async end(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#saving
    if (this.#failure !== undefined) throw this.#failure.error
    await this.#save()
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      if (this.#isSaving) return this.#schedule()
      this.#saving = this.#save().catch((error: unknown) => void (this.#failure = { error }))
    }, saveMilliseconds)
  }

  async #save(): Promise<void> {
    const position = this.#position
    if (position === undefined) return
    this.#isSaving = true
    try {
      await this.#output.flush()
      // What was written to a reader that has gone was read by nobody, perhaps.
      if (!this.#output.isClosed) await this.#file.save(position)
    } finally {
      this.#isSaving = false
    }
  }
}
