import cliProgress from 'cli-progress'

const plainLineMilliseconds = 2_000

/** What the demo says while it runs: two bars at a terminal, a plain line now and then elsewhere. */
export class DemoScreen {
  readonly #output: NodeJS.WriteStream
  readonly #startedAt = performance.now()
  #bars:
    | { readonly all: cliProgress.MultiBar; readonly appended: cliProgress.SingleBar; readonly followed: cliProgress.SingleBar }
    | undefined
  #plainLine = ''
  #plainLineAt = -Infinity
  #isProgressOver = false

  constructor(output: NodeJS.WriteStream) {
    this.#output = output
  }

  /** One line, above the bars. */
  say(line: string): void {
    const text = `${((performance.now() - this.#startedAt) / 1000).toFixed(1).padStart(5)} s  ${line}\n`
    if (this.#bars === undefined) this.#output.write(text)
    else this.#bars.all.log(text)
  }

  /** Text as it is. */
  print(text: string): void {
    this.endProgress()
    this.#output.write(`${text}\n`)
  }

  /** Nothing happens any more after `endProgress`. */
  progress(appended: number, followed: number, total: number): void {
    if (this.#isProgressOver) return
    if (this.#output.isTTY) {
      this.#bars ??= this.#openBars(total)
      this.#bars.appended.update(appended)
      this.#bars.followed.update(followed)
      return
    }
    const isDone = appended === total && followed === total
    const line = `${appended} of ${total} appended, the subscriber has ${followed}`
    if ((performance.now() - this.#plainLineAt < plainLineMilliseconds && !isDone) || line === this.#plainLine) return
    this.#plainLine = line
    this.#plainLineAt = performance.now()
    this.say(line)
  }

  /** Leaves the bars as they are and goes on below them. */
  endProgress(): void {
    this.#isProgressOver = true
    this.#bars?.all.stop()
    this.#bars = undefined
  }

  #openBars(total: number): { all: cliProgress.MultiBar; appended: cliProgress.SingleBar; followed: cliProgress.SingleBar } {
    const format = '  {what} {bar} {value} of {total}'
    const all = new cliProgress.MultiBar(
      { format, stream: this.#output, hideCursor: true, emptyOnZero: true, gracefulExit: false },
      cliProgress.Presets.shades_classic,
    )
    return { all, appended: all.create(total, 0, { what: 'appended  ' }), followed: all.create(total, 0, { what: 'subscriber' }) }
  }
}
