/** How far `append` is, on standard error: a bar where the input's size is known, else a count. Only at a terminal. */
import cliProgress from 'cli-progress'

export class AppendProgress {
  readonly #bar: cliProgress.SingleBar | undefined
  readonly #bytes: number | undefined

  /** @param bytes of the whole input; undefined when nobody knows */
  constructor(output: NodeJS.WriteStream, bytes: number | undefined) {
    this.#bytes = bytes
    if (!output.isTTY) return
    const format =
      bytes === undefined ? '{lines} lines appended, {perSecond}/s' : '{bar} {percentage} %  {lines} lines appended, {perSecond}/s'
    this.#bar = new cliProgress.SingleBar(
      { format, stream: output, hideCursor: true, clearOnComplete: true, emptyOnZero: true, gracefulExit: false },
      cliProgress.Presets.shades_classic,
    )
    this.#bar.start(bytes ?? 1, 0, { lines: 0, perSecond: 0 })
  }

  update(linesAppended: number, bytesRead: number, seconds: number): void {
    const perSecond = seconds > 0 ? Math.round(linesAppended / seconds) : 0
    this.#bar?.update(this.#bytes === undefined ? 0 : Math.min(bytesRead, this.#bytes), { lines: linesAppended, perSecond })
  }

  stop(): void {
    this.#bar?.stop()
  }
}
