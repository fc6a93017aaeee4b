// The decoder, reached directly: hundreds of thousands of hostile messages through a server would take minutes.
import { MalformedError } from '@synod/codec'
import { describe, expect, test } from 'vitest'
import { decodeMessage, encodeAnswer, encodeBye, encodeFrames, encodeHello, framesMax, overheadBytesMax } from '../src/message.ts'

/** Small numbers that differ from run to run would hide a failure: these repeat. */
function dice(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const head = { from: 'n1', to: 'node-2', life: 2 ** 48 - 1, link: 7 }
const frames = [new Uint8Array(0), Uint8Array.of(1, 2, 3), new Uint8Array(300).fill(9)]
const good = [
  encodeFrames(head, frames),
  encodeFrames(head, []),
  encodeHello(head, 'synod.orders.n1'),
  encodeAnswer(head, 'notAPeer', 'n'.repeat(64)),
  encodeBye(head),
]

describe('messages', () => {
  test('there and back', () => {
    expect(good.map(decodeMessage)).toEqual([
      { ...head, kind: 'frames', frames },
      { ...head, kind: 'frames', frames: [] },
      { ...head, kind: 'hello', answerTo: 'synod.orders.n1' },
      { ...head, kind: 'answer', verdict: 'notAPeer', wanted: 'n'.repeat(64) },
      { ...head, kind: 'bye' },
    ])
  })

  test('frames are views, and no Buffers', () => {
    const message = Buffer.from(good[0]!)
    const decoded = decodeMessage(message)
    if (decoded.kind !== 'frames') throw new Error(decoded.kind)
    for (const frame of decoded.frames) {
      expect(frame.buffer).toBe(message.buffer)
      expect(Buffer.isBuffer(frame)).toBe(false)
    }
  })

  test('the longest head leaves what overheadBytesMax says', () => {
    const longest = { from: 'n'.repeat(64), to: 'm'.repeat(64), life: 2 ** 53 - 1, link: 2 ** 32 - 1 }
    expect(encodeFrames(longest, [new Uint8Array(100)]).length).toBe(overheadBytesMax + 100)
  })

  test('every truncation and every byte too many is refused; another version is told, whatever follows', () => {
    for (const message of good) {
      for (let length = 0; length < message.length; length++) {
        // Frames end where the message ends: cut between two of them it is a shorter message.
        const cut = message.subarray(0, length)
        if (isWholeFrames(cut)) continue
        expect(() => decodeMessage(cut)).toThrow(MalformedError)
      }
      expect(() => decodeMessage(Uint8Array.of(...message, 0))).toThrow(MalformedError)
      const other = message.slice()
      other[4] = 2
      expect(decodeMessage(other)).toEqual({ kind: 'otherVersion' })
    }
  })

  test('frames without number are refused, not gathered', () => {
    const fits = encodeFrames(head, Array(framesMax).fill(new Uint8Array(0)))
    expect(decodeMessage(fits)).toMatchObject({ kind: 'frames' })
    const prefix = encodeFrames(head, [])
    const many = new Uint8Array(prefix.length + 4 * 250_000)
    many.set(prefix)
    expect(() => decodeMessage(many)).toThrow(/more than 4096 frames/)
  })

  test('320,000 malformed messages: a MalformedError or a message, and memory stays flat', () => {
    const roll = dice(1)
    let refused = 0
    let most = 0
    const before = memory()
    for (let number = 0; number < 320_000; number++) {
      const bytes = hostile(number, roll)
      try {
        decodeMessage(bytes)
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error
        refused++
      }
      if (number % 20_000 === 0) most = Math.max(most, memory() - before)
    }
    expect(refused).toBeGreaterThan(200_000)
    // What waits for the garbage collector, and nothing that grows with the number of messages.
    expect(most).toBeLessThan(128 * 1024 * 1024)
  })
})

/** Noise; noise behind a proper beginning; proper messages with some bytes changed, or cut. */
function hostile(number: number, roll: (below: number) => number): Uint8Array {
  const message = good[roll(good.length)]!.slice()
  if (number % 4 === 0) return Uint8Array.from({ length: roll(200) }, () => roll(256))
  if (number % 4 === 1) {
    const from = 6 + roll(30)
    for (let at = from; at < Math.min(message.length, from + 20); at++) message[at] = roll(256)
    return message
  }
  for (let damage = 1 + roll(3); damage > 0; damage--) message[roll(message.length)] = roll(256)
  return number % 4 === 2 ? message : message.subarray(0, roll(message.length))
}

function memory(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function isWholeFrames(bytes: Uint8Array): boolean {
  try {
    return decodeMessage(bytes).kind === 'frames'
  } catch {
    return false // malformed: what the test expects of all others
  }
}
