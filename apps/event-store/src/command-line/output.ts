/**
 * Standard output of a command. Text is collected for one turn of the event loop, or up to a bound, and written at the pace of
 * whoever reads it: `write` resolves when more may come. A reader that has gone is told once, and what comes after is dropped.
 */
import type { Writable } from 'node:stream'

const chunkCharactersMax = 65_536

export class Output {
  readonly #stream: Writable
  readonly #onClosed: (error: NodeJS.ErrnoException) => void
  #text = ''
  #isScheduled = false
  #isClosed = false
  /** Of everything written so far. */
  #written: Promise<void> = Promise.resolve()

  constructor(stream: Writable, onClosed: (error: NodeJS.ErrnoException) => void) {
    this.#stream = stream
    this.#onClosed = onClosed
    stream.on('error', (error) => this.#close(error))
  }

  /** Nobody reads any more, or it cannot be written. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Adds text, line ends included. */
  async write(text: string): Promise<void> {
    if (this.#isClosed) return
    this.#text += text
    if (this.#text.length >= chunkCharactersMax) return this.flush()
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      void this.flush()
    })
  }

  line(text: string): Promise<void> {
    return this.write(`${text}\n`)
  }

  /** Resolves when the system has everything so far. Never rejects. */
  flush(): Promise<void> {
    const text = this.#text
    this.#text = ''
    if (text === '' || this.#isClosed) return this.#written
    this.#written = new Promise((resolve) => {
      // The stream tells a failure here and by its event; the event is heard.
      this.#stream.write(text, () => resolve())
    })
    return this.#written
  }

  #close(error: NodeJS.ErrnoException): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#onClosed(error)
  }
}
