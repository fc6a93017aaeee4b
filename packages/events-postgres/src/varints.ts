/** Numbers from 0 to 2^53 - 1 in as few bytes as they need, seven bits each, the lowest first. */
export const varintBytesMax = 8

/** Where the next one goes. */
export function writeVarint(bytes: Uint8Array, from: number, value: number): number {
  let [at, rest] = [from, value]
  for (; rest > 0x7fff_ffff; rest = Math.floor(rest / 128)) bytes[at++] = (rest % 128) | 128
  for (; rest >= 128; rest >>>= 7) bytes[at++] = (rest & 127) | 128
  bytes[at++] = rest
  return at
}

export class VarintReader {
  readonly #bytes: Uint8Array
  at: number

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.at = at
  }

  /** NaN when the bytes end before the number does. */
  next(): number {
    let [value, scale] = [0, 1]
    for (;;) {
      const byte = this.#bytes[this.at++]
      if (byte === undefined) return NaN
      value += (byte & 127) * scale
      if (byte < 128) return value
      scale *= 128
    }
  }
}
