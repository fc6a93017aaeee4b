/**
 * What happened, in order: a hash of all of it always, so that two runs of one seed can be compared, and the lines
 * themselves when they are wanted. docs/simulation.md tells the columns.
 */
export interface TraceLine {
  /** Virtual milliseconds since the beginning. */
  readonly time: number
  /** A node, a client, or `world`. */
  readonly who: string
  readonly event: string
  readonly detail: string
}

export class Trace {
  readonly lines: TraceLine[] = []
  readonly #isKept: boolean
  readonly #float = new Float64Array(1)
  readonly #words = new Uint32Array(this.#float.buffer)
  #high = 0x9e37_79b9
  #low = 0x85eb_ca6b
  #count = 0

  constructor(isKept: boolean) {
    this.#isKept = isKept
  }

  get hash(): string {
    return (this.#high >>> 0).toString(16).padStart(8, '0') + (this.#low >>> 0).toString(16).padStart(8, '0')
  }

  get count(): number {
    return this.#count
  }

  add(time: number, who: string, event: string, detail: string): void {
    this.#count++
    this.number(time)
    this.#text(who)
    this.#text(event)
    this.#text(detail)
    if (this.#isKept) this.lines.push({ time, who, event, detail })
  }

  /** Goes into the hash alone: for what is too frequent to be told. */
  number(value: number): void {
    this.#float[0] = value
    this.#mix(this.#words[0] ?? 0)
    this.#mix(this.#words[1] ?? 0)
  }

  #text(text: string): void {
    for (let at = 0; at < text.length; at++) this.#low = Math.imul(this.#low ^ text.charCodeAt(at), 0x0100_0193)
    this.#mix(text.length)
  }

  #mix(word: number): void {
    this.#low = Math.imul(this.#low ^ word, 0x0100_0193)
    this.#high = Math.imul(this.#high ^ this.#low, 0x85eb_ca6b)
    this.#high ^= this.#high >>> 15
  }
}

/** Aligned columns: seconds, who, event, detail. */
export function traceText(lines: readonly TraceLine[]): string {
  const [who, event] = lines.reduce(([a, b], line) => [Math.max(a, line.who.length), Math.max(b, line.event.length)], [0, 0])
  return lines
    .map((line) => `${(line.time / 1000).toFixed(6).padStart(12)}  ${line.who.padEnd(who)}  ${line.event.padEnd(event)}  ${line.detail}\n`)
    .join('')
}
