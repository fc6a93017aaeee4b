/**
 * Appends lines with many appends under way, and one at a time in each stream, which keeps the order of its lines. While a stream's
 * append is under way its next lines wait, and go together in the next one; a line that expects something of its stream goes alone.
 *
 * An append of several lines is all or nothing. When it is refused, its lines go again one by one, so that each gets an answer of its
 * own. That is how a run over lines that stand in part ends well too: an append whose ids stand in part is refused, a line that
 * stands is answered as it was the first time.
 */
import { BusyError, UnavailableError, type Appended, type Client } from '@synod/client'
import type { EventLine } from './event-line.ts'

export interface LineAppenderOptions {
  readonly client: Pick<Client, 'append'>
  /** Appends under way at a time, each in another stream. */
  readonly appendsMax: number
  /** Ends the appends under way; their outcome is unknown. */
  readonly signal: AbortSignal
  readonly onAppended: (lines: readonly EventLine[], answer: Appended) => void
  /** None of the lines was appended, unless `isInDoubt`. */
  readonly onFailed: (lines: readonly EventLine[], error: unknown, isInDoubt: boolean) => void
}

interface Lane {
  readonly stream: string
  waiting: EventLine[]
}

/** Read and not answered: beyond, the input waits. */
const linesHeldMax = 8192
const bytesHeldMax = 32 * 1024 * 1024
/** Of one append. */
const linesTogetherMax = 256
const bytesTogetherMax = 1024 * 1024

export class LineAppender {
  readonly #options: LineAppenderOptions
  readonly #lanes = new Map<string, Lane>()
  /** Lanes that have lines and no append under way, first come first. */
  readonly #ready = new Set<Lane>()
  #running = 0
  #linesHeld = 0
  #bytesHeld = 0
  #isStopped = false
  #onChange: (() => void)[] = []

  constructor(options: LineAppenderOptions) {
    this.#options = options
  }

  /** Takes a line, as soon as there is room. */
  async add(line: EventLine): Promise<void> {
    while (!this.#isStopped && this.#linesHeld > 0 && !this.#hasRoom(line.bytes)) await this.#change()
    if (this.#isStopped) return
    this.#linesHeld++
    this.#bytesHeld += line.bytes
    const lane = this.#lanes.get(line.stream)
    if (lane !== undefined) {
      lane.waiting.push(line)
      return
    }
    const opened = { stream: line.stream, waiting: [line] }
    this.#lanes.set(line.stream, opened)
    this.#ready.add(opened)
    // In the next turn, so that lines that are there already go with it.
    if (this.#running < this.#options.appendsMax) setImmediate(() => this.#pump())
  }

  /** Sends nothing new; lines that wait are dropped. */
  stop(): void {
    this.#isStopped = true
    this.#wake()
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  /** Resolves when nothing is under way, and, unless stopped, nothing waits. */
  async drain(): Promise<void> {
    while (this.#running > 0 || (!this.#isStopped && this.#linesHeld > 0)) await this.#change()
  }

  #hasRoom(bytes: number): boolean {
    return this.#linesHeld < linesHeldMax && this.#bytesHeld + bytes <= bytesHeldMax
  }

  #pump(): void {
    for (const lane of this.#ready) {
      if (this.#isStopped || this.#running >= this.#options.appendsMax) return
      this.#ready.delete(lane)
      this.#running++
      void this.#run(lane)
    }
  }

  /** One append of a lane; never rejects. */
  async #run(lane: Lane): Promise<void> {
    const lines = takeTogether(lane)
    if (!(await this.#append(lines))) {
      for (const line of lines) {
        if (this.#isStopped) break
        await this.#append([line])
      }
    }
    for (const line of lines) this.#bytesHeld -= line.bytes
    this.#linesHeld -= lines.length
    this.#running--
    if (lane.waiting.length > 0) this.#ready.add(lane)
    else this.#lanes.delete(lane.stream)
    this.#pump()
    this.#wake()
  }

  /** False: several lines were refused together, and have to go one by one. */
  async #append(lines: readonly EventLine[]): Promise<boolean> {
    const [first] = lines
    if (first === undefined) return true
    const { client, signal, onAppended, onFailed } = this.#options
    let answer: Appended
    try {
      const events = lines.map(({ event }) => event)
      answer = await client.append(first.stream, events, { expected: first.expected, signal })
    } catch (error) {
      const isInDoubt = error instanceof UnavailableError ? error.outcomeUnknown : signal.aborted && error === signal.reason
      const isOfTheCluster = error instanceof UnavailableError || error instanceof BusyError
      if (lines.length > 1 && !isInDoubt && !isOfTheCluster) return false
      onFailed(lines, error, isInDoubt)
      return true
    }
    onAppended(lines, answer)
    return true
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#onChange.push(resolve))
  }

  #wake(): void {
    const waiting = this.#onChange
    this.#onChange = []
    for (const resolve of waiting) resolve()
  }
}

/** The lane's next lines that can go in one append. */
function takeTogether(lane: Lane): readonly EventLine[] {
  let [count, bytes] = [0, 0]
  for (const line of lane.waiting) {
    const fits = count < linesTogetherMax && bytes + line.bytes <= bytesTogetherMax && line.expected === 'any'
    if (count > 0 && !fits) break
    count++
    bytes += line.bytes
    if (line.expected !== 'any') break
  }
  return lane.waiting.splice(0, count)
}
