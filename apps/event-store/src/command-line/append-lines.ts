/**
 * The command `append` without a stream: JSON lines from a file or from standard input. A bad line ends it (or, with --keep-going, is
 * told); either way it says which lines stand. Each line's id follows from the source, its number and its text, so the
 * same input may be given again: what stands is not appended twice.
 */
import { randomUUID } from 'node:crypto'
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Appended } from '@synod/client'
import { AppendProgress } from './append-progress.ts'
import { exitCodes } from '../exit-codes.ts'
import { exitCodeOf, InputError } from './command-errors.ts'
import { LineError, parseEventLine, type EventLine } from './event-line.ts'
import { inputLines, type InputLine } from './input-lines.ts'
import { LineAppender } from './line-appender.ts'
import { AppendReport } from './append-report.ts'
import { runCommand, type ClusterOptions, type CommandRun } from './run-command.ts'

export interface AppendLinesOptions extends ClusterOptions {
  /** `-` or absent: standard input. */
  readonly fromFile?: string
  readonly source?: string
  readonly skip: number
  readonly inFlight: number
  readonly keepGoing?: boolean
}

/** What is under way may end for so long after Ctrl-C. */
const endMilliseconds = 3000

export function appendLines(options: AppendLinesOptions): Promise<number> {
  return runCommand(options, (run) => new LinesRun(options, run).run())
}

interface Input {
  readonly chunks: AsyncIterable<Uint8Array>
  readonly bytes: number | undefined
  /** A path; undefined for standard input. */
  readonly path: string | undefined
}

class LinesRun {
  readonly #options: AppendLinesOptions
  readonly #run: CommandRun
  readonly #cut = new AbortController()
  readonly #startedAt = performance.now()
  readonly #appender: LineAppender
  #report: AppendReport | undefined
  #progress: AppendProgress | undefined
  #bytesRead = 0
  /** Output of what was answered meanwhile. */
  #told: Promise<void> = Promise.resolve()

  constructor(options: AppendLinesOptions, run: CommandRun) {
    this.#options = options
    this.#run = run
    this.#appender = new LineAppender({
      client: run.client,
      appendsMax: options.inFlight,
      signal: this.#cut.signal,
      onAppended: (lines, answer) => this.#onAppended(lines, answer),
      onFailed: (lines, error, isInDoubt) => this.#onFailed(lines, error, isInDoubt),
    })
  }

  async run(): Promise<number> {
    const { signal } = this.#run
    const { json, source: given, skip } = this.#options
    const input = await openInput(this.#options.fromFile)
    const source = given ?? input.path ?? randomUUID()
    const isSourceGiven = given !== undefined || input.path !== undefined
    const report = (this.#report = new AppendReport({ source, isSourceGiven, skip, head: await this.#head() }))
    this.#progress = json ? undefined : new AppendProgress(process.stderr, input.bytes)
    const onEnd = (): void => {
      this.#appender.stop()
      setTimeout(() => this.#cut.abort(signal.reason), endMilliseconds).unref()
    }
    // A reader of --json that has gone does not end an import half-way.
    signal.addEventListener('abort', () => (exitCodeOf(signal.reason) === 0 ? undefined : onEnd()))
    const pulse = setInterval(() => this.#showProgress(), 100)
    try {
      await this.#takeAll(input, source)
      await this.#appender.drain()
    } finally {
      clearInterval(pulse)
      this.#showProgress()
      this.#progress?.stop()
    }
    await this.#told
    const interrupted: unknown = signal.aborted && exitCodeOf(signal.reason) !== 0 ? signal.reason : undefined
    const seconds = (performance.now() - this.#startedAt) / 1000
    if (json) await this.#run.output.line(report.json(interrupted))
    else {
      await this.#run.output.line(report.summary(seconds))
      const problems = report.problems(interrupted)
      if (problems !== '') process.stderr.write(`${problems}\n`)
    }
    return report.exitCode(interrupted)
  }

  /** The store's last position. */
  async #head(): Promise<bigint> {
    const { client, signal } = this.#run
    for await (const { position } of client.readAll({ direction: 'backward', limit: 1, signal })) return position
    return 0n
  }

  /** Until the input ends, a line is bad, or something else ends it. */
  async #takeAll(input: Input, source: string): Promise<void> {
    const lines = inputLines(input.chunks)
    // A pipe that says nothing must not hold up the end.
    const stopped = new Promise<'stopped'>((resolve) =>
      this.#run.signal.addEventListener('abort', () => exitCodeOf(this.#run.signal.reason) !== 0 && resolve('stopped'), { once: true }),
    )
    for (;;) {
      const next = await Promise.race([lines.next().catch((error: Error) => this.#onInputBroken(error)), stopped])
      if (next === 'stopped' || next.done || this.#appender.isStopped) return
      this.#bytesRead = next.value.bytesUpTo
      if (!(await this.#take(next.value, source))) return
    }
  }

  /** False: it was the last one. */
  async #take(line: InputLine, source: string): Promise<boolean> {
    if (line.number <= this.#options.skip) return true
    try {
      if (line.problem !== undefined) throw new LineError(line.problem)
      if (line.text === '') this.#report?.onBlank(line.number)
      else await this.#appender.add(parseEventLine(line.text, line.number, source))
      await this.#told
      return true
    } catch (error) {
      if (!(error instanceof LineError)) throw error
      this.#tellFailure([line.number], error, false)
      return this.#options.keepGoing === true && this.#report?.isFull === false
    }
  }

  /** What was read until then is appended, and told as always. */
  #onInputBroken(error: Error): 'stopped' {
    this.#tellFailure([], new InputError(`the input cannot be read on: ${error.message}`), false)
    return 'stopped'
  }

  #onAppended(lines: readonly EventLine[], { revision, position }: Appended): void {
    const numbers = lines.map(({ number }) => number)
    const stoodBefore = this.#report?.onAppended(numbers, position)
    if (!this.#options.json) return
    const stream = lines[0]?.stream
    this.#tell({ kind: 'appended', lines: numbers, stream, revision: Number(revision), position: Number(position), stoodBefore })
  }

  #onFailed(lines: readonly EventLine[], error: unknown, isInDoubt: boolean): void {
    const numbers = lines.map(({ number }) => number)
    this.#tellFailure(numbers, error, isInDoubt)
    const isOfTheLine = exitCodeOf(error) !== exitCodes.unavailable && !isInDoubt
    if (!(this.#options.keepGoing === true && isOfTheLine) || this.#report?.isFull !== false) this.#appender.stop()
  }

  #tellFailure(numbers: readonly number[], error: unknown, isInDoubt: boolean): void {
    const described = this.#report?.onFailed(numbers, error, isInDoubt)
    if (this.#options.json) this.#tell({ kind: 'failed', lines: numbers, ...described })
  }

  #tell(line: unknown): void {
    this.#told = this.#run.output.line(JSON.stringify(line))
  }

  #showProgress(): void {
    this.#progress?.update(this.#report?.answered ?? 0, this.#bytesRead, (performance.now() - this.#startedAt) / 1000)
  }
}

async function openInput(fromFile: string | undefined): Promise<Input> {
  if (fromFile === undefined || fromFile === '-') return { chunks: process.stdin, bytes: undefined, path: undefined }
  const path = resolve(fromFile)
  try {
    const handle = await open(path)
    const stat = await handle.stat()
    if (stat.isDirectory()) throw new Error('it is a folder')
    const chunks = handle.createReadStream()
    // A pipe may have a path too, which says nothing about what comes through it.
    return stat.isFile() ? { chunks, bytes: stat.size, path } : { chunks, bytes: undefined, path: undefined }
  } catch (error) {
    throw new InputError(`${fromFile} cannot be read: ${(error as Error).message}`)
  }
}
