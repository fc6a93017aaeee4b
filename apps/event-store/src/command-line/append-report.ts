/** Which lines of an input were appended, which were not and why, and how to go on: told as text and as JSON. */
import { exitCodes } from '../exit-codes.ts'
import { describeError, exitCodeOf } from './command-errors.ts'
import { LineRanges } from './line-ranges.ts'
import { printable } from './printable.ts'

export interface AppendReportOptions {
  /** What the lines' ids follow from. */
  readonly source: string
  /** Whether the same command has the same source again. */
  readonly isSourceGiven: boolean
  /** Lines at the beginning that were not looked at. */
  readonly skip: number
  /** The store's last position when the run began: an answer up to there is that of an earlier run. */
  readonly head: bigint
}

/** With --keep-going: that many bad lines, and it ends all the same. */
const failuresMax = 1000
const failuresShownMax = 20
const rangesShownMax = 20

export class AppendReport {
  readonly #options: AppendReportOptions
  /** Appended, or blank: nothing remains to be done for them. */
  readonly #done = new LineRanges()
  readonly #failed = new LineRanges()
  readonly #inDoubt = new LineRanges()
  readonly #failures: string[] = []
  #appended = 0
  #stoodBefore = 0
  #lastPosition = 0n
  #exitCode: number = exitCodes.ok

  constructor(options: AppendReportOptions) {
    this.#options = options
  }

  /** Lines that were answered: appended now, or before. */
  get answered(): number {
    return this.#appended + this.#stoodBefore
  }

  get isFull(): boolean {
    return this.#failed.size >= failuresMax
  }

  onBlank(line: number): void {
    this.#done.add(line)
  }

  /** Whether they stood there before this run. */
  onAppended(lines: readonly number[], position: bigint): boolean {
    for (const line of lines) this.#done.add(line)
    if (position > this.#lastPosition) this.#lastPosition = position
    const stoodBefore = position <= this.#options.head
    if (stoodBefore) this.#stoodBefore += lines.length
    else this.#appended += lines.length
    return stoodBefore
  }

  /** What to tell of it in JSON. Without lines it is the input itself that failed. */
  onFailed(lines: readonly number[], error: unknown, isInDoubt: boolean): Readonly<Record<string, unknown>> {
    const ranges = new LineRanges()
    for (const line of lines) {
      ranges.add(line)
      if (isInDoubt) this.#inDoubt.add(line)
      else this.#failed.add(line)
    }
    const described = describeError(error)
    const what = lines.length === 0 ? 'the input' : `${lines.length === 1 ? 'line' : 'lines'} ${ranges.text(rangesShownMax)}`
    if (this.#failures.length < failuresShownMax) this.#failures.push(`${what}: ${printable(String(described.message))}`)
    const exitCode = exitCodeOf(error)
    // It is the input that is wrong, not the command.
    if (this.#exitCode === exitCodes.ok) this.#exitCode = exitCode === exitCodes.usage ? exitCodes.failure : exitCode
    return { inDoubt: isInDoubt, ...described }
  }

  exitCode(interrupted: unknown): number {
    return interrupted === undefined ? this.#exitCode : exitCodeOf(interrupted)
  }

  summary(seconds: number): string {
    const events = `${this.#appended} ${this.#appended === 1 ? 'event' : 'events'}`
    const upTo = this.#appended > 0 ? `, up to position ${this.#lastPosition}` : ''
    const before = this.#stoodBefore > 0 ? `; ${this.#stoodBefore} stood there before` : ''
    return `appended ${events} in ${seconds.toFixed(1)} s${upTo}${before}`
  }

  /** Empty when all is well. */
  problems(interrupted: unknown): string {
    if (this.exitCode(interrupted) === exitCodes.ok) return ''
    const lines = [...this.#failures]
    const hidden = this.#failed.size + this.#inDoubt.size - failuresShownMax
    if (this.#failures.length === failuresShownMax && hidden > 0) lines.push(`and more: ${this.#failed.size} lines failed in all`)
    if (interrupted !== undefined) lines.push((interrupted as Error).message)
    lines.push(`these lines stand: ${this.#done.text(rangesShownMax)}`)
    if (this.#inDoubt.size > 0) lines.push(`these may stand or not: ${this.#inDoubt.text(rangesShownMax)}`)
    lines.push('no other line was appended', this.#howToGoOn())
    return lines.join('\n')
  }

  json(interrupted: unknown): string {
    return JSON.stringify({
      kind: 'summary',
      appended: this.#appended,
      stoodBefore: this.#stoodBefore,
      failed: this.#failed.size,
      inDoubt: this.#inDoubt.size,
      doneLines: this.#done.ranges,
      failedLines: this.#failed.ranges,
      inDoubtLines: this.#inDoubt.ranges,
      lastPosition: this.answered > 0 ? Number(this.#lastPosition) : null,
      source: this.#options.source,
      exitCode: this.exitCode(interrupted),
    })
  }

  #howToGoOn(): string {
    const { source, isSourceGiven, skip } = this.#options
    const again = isSourceGiven ? 'the same command' : `the same command with --source ${source}`
    const [first] = this.#done.ranges
    const isContiguous = this.#done.ranges.length === 1 && first?.[0] === skip + 1 && this.#inDoubt.size === 0
    const skipping = isContiguous ? ` (or, shorter, with --skip ${first[1]})` : ''
    const mending = this.#failed.size > 0 ? 'mend the input, with every line in its place, and ' : ''
    return `to go on, ${mending}give ${again} again: what stands is not appended twice${skipping}`
  }
}
