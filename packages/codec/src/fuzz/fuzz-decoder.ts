/**
 * For the tests of whatever decodes what others wrote: feeds it hostile bytes, and sees that it either decodes them or refuses
 * them with an error of its own, and keeps nothing of them.
 */
import { bytesToHex, type Bytes } from '../bytes.ts'
import { MalformedError } from '../malformed-error.ts'
import { hostileBytes } from './hostile-bytes.ts'

export interface FuzzOptions {
  /** What is decoded without an error: these are spoiled. */
  readonly samples: readonly Bytes[]
  readonly count: number
  readonly seed: number
  readonly decode: (bytes: Bytes) => unknown
  /** Default: a MalformedError. Any other error is rethrown, with the bytes. */
  readonly isRefusal?: (error: unknown) => boolean
  /** `process.memoryUsage`, where there is one. */
  readonly memory?: () => { readonly heapUsed: number; readonly arrayBuffers: number }
}

export interface FuzzReport {
  readonly accepted: number
  readonly refused: number
  /** How far the memory in use rose at most, garbage included. */
  readonly grownBytesMax: number
}

const memoryEvery = 2_048
const hexBytesMax = 512

/** @throws Error that names seed, number and bytes of what made the decoder fail in a way that is no refusal */
export function fuzzDecoder({ samples, count, seed, decode, isRefusal = isMalformed, memory }: FuzzOptions): FuzzReport {
  for (const sample of samples) decode(sample)
  const usedBytes = (): number => {
    if (memory === undefined) return 0
    const { heapUsed, arrayBuffers } = memory()
    return heapUsed + arrayBuffers
  }
  const before = usedBytes()
  // Most of the time would go into stack traces that nobody reads.
  const errors: { stackTraceLimit?: number } = Error
  const { stackTraceLimit } = errors
  errors.stackTraceLimit = 0
  let [accepted, refused, grownBytesMax, number] = [0, 0, 0, 0]
  try {
    for (const bytes of hostileBytes(samples, count, seed)) {
      const fed = bytes.slice(0, hexBytesMax)
      try {
        decode(bytes)
        accepted++
      } catch (cause) {
        if (!isRefusal(cause)) throw new Error(`seed ${seed}, number ${number}, ${bytes.length} bytes: ${bytesToHex(fed)}`, { cause })
        refused++
      }
      if (++number % memoryEvery === 0) grownBytesMax = Math.max(grownBytesMax, usedBytes() - before)
    }
  } finally {
    errors.stackTraceLimit = stackTraceLimit ?? 10
  }
  return { accepted, refused, grownBytesMax }
}

function isMalformed(error: unknown): boolean {
  return error instanceof MalformedError
}
