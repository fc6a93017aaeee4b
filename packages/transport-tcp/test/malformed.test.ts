// The parsers below a socket, reached directly: 200,000 hostile inputs through sockets would take minutes and all ports.
import { MalformedError } from '@synod/codec'
import { describe, expect, test } from 'vitest'
import { FrameBatch } from '../src/frame-batch.ts'
import { FrameParser } from '../src/frame-parser.ts'
import { decodeAnswer, decodeHello, encodeAnswer, encodeHello } from '../src/greeting.ts'

/** Small numbers that differ from run to run would hide a failure: these repeat. */
function dice(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

function collect(frameBytesMax: number) {
  const frames: Uint8Array[] = []
  let pings = 0
  const parser = new FrameParser(frameBytesMax, {
    onFrame: (frame) => frames.push(frame) > 0,
    onPing: () => pings++,
  })
  return { parser, frames, pings: () => pings }
}

describe('frames', () => {
  test('what a batch writes is what the parser reads, wherever the stream is cut', () => {
    const roll = dice(1)
    for (let round = 0; round < 300; round++) {
      const batch = new FrameBatch()
      const sent: Uint8Array[] = []
      const stream: Uint8Array[] = []
      let pings = 0
      for (let number = roll(60); number >= 0; number--) {
        const length = [0, 1, 3, 100, 4095, 4096, 4097, 70_000, 300_000][roll(9)]!
        const frame = new Uint8Array(length).fill(roll(256))
        sent.push(frame)
        batch.add(frame)
        if (roll(5) === 0) {
          batch.addPing()
          pings++
        }
        if (roll(4) === 0) stream.push(...batch.take())
      }
      stream.push(...batch.take())
      expect(batch.bytes).toBe(0)
      const bytes = Buffer.concat(stream)
      const reader = collect(300_000)
      const chunkMax = [1, 5, 1000, 65_536, 1_000_000][round % 5]!
      for (let at = 0; at < Math.min(bytes.length, chunkMax * 20_000);) {
        const end = at + 1 + roll(chunkMax)
        reader.parser.push(bytes.subarray(at, end))
        at = end
      }
      const whole = bytes.length <= chunkMax * 10_000
      if (whole) {
        expect(reader.frames.length).toBe(sent.length)
        expect(reader.pings()).toBe(pings)
      }
      for (const [at, frame] of reader.frames.entries())
        if (Buffer.compare(frame, sent[at]!) !== 0) expect.fail(`frame ${at} of round ${round} differs`)
    }
  })

  test('a frame that lies whole in a chunk is a view of it, and no Buffer', () => {
    const reader = collect(100)
    const chunk = Buffer.from([0, 0, 0, 2, 7, 8])
    reader.parser.push(chunk)
    expect(reader.frames[0]!.buffer).toBe(chunk.buffer)
    expect(Buffer.isBuffer(reader.frames[0])).toBe(false)
    expect(reader.frames[0]).toEqual(Uint8Array.of(7, 8))
  })

  test('a listener that wants no more gets no more', () => {
    let heard = 0
    const parser = new FrameParser(100, { onFrame: () => ++heard < 2, onPing: () => {} })
    parser.push(new Uint8Array(40))
    expect(heard).toBe(2)
  })

  test('200,000 malformed streams give MalformedError or wait for more, and never more than was sent', () => {
    const roll = dice(2)
    const frameBytesMax = 1024
    let refused = 0
    for (let number = 0; number < 200_000; number++) {
      const bytes = Uint8Array.from({ length: 4 + roll(30) }, () => roll(256))
      // A fifth begin with lengths that could be true, the rest with anything.
      if (number % 5 === 0) bytes.set([0, 0, roll(5), roll(256)])
      let heard = 0
      const parser = new FrameParser(frameBytesMax, {
        onFrame: (frame) => (heard += frame.length + 4) > 0,
        onPing: () => {},
      })
      const cut = roll(bytes.length)
      try {
        parser.push(bytes.subarray(0, cut))
        parser.push(bytes.subarray(cut))
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error
        refused++
      }
      if (heard > bytes.length) expect.fail('a frame that nobody sent')
    }
    expect(refused).toBeGreaterThan(100_000)
  })
})

describe('greetings', () => {
  const hello = { known: true, from: 'n1', to: 'node-2', pingMs: 1000 } as const
  const answer = { verdict: 'welcome', self: 'n'.repeat(64), frameBytesMax: 0xffff_ffff } as const
  const helloBytes = encodeHello(hello.from, hello.to, hello.pingMs)
  const answerBytes = encodeAnswer(answer)

  test('there and back, with what follows left alone', () => {
    const followed = Uint8Array.of(...helloBytes, 1, 2, 3)
    expect(decodeHello(followed)).toEqual({ greeting: hello, bytes: helloBytes.length })
    expect(decodeAnswer(answerBytes)).toEqual({ greeting: answer, bytes: answerBytes.length })
  })

  test('every truncation waits for more, every other kind is refused at once', () => {
    for (let length = 0; length < helloBytes.length; length++) expect(decodeHello(helloBytes.subarray(0, length))).toBeUndefined()
    for (let length = 0; length < answerBytes.length; length++) expect(decodeAnswer(answerBytes.subarray(0, length))).toBeUndefined()
    expect(() => decodeHello(answerBytes)).toThrow(MalformedError)
    expect(() => decodeAnswer(helloBytes.subarray(0, 4))).toThrow(MalformedError)
    expect(() => decodeHello(Buffer.from('G'))).toThrow(MalformedError)
  })

  test('100,000 damaged greetings give MalformedError, wait for more, or are greetings', () => {
    const roll = dice(3)
    let refused = 0
    for (let number = 0; number < 100_000; number++) {
      const [bytes, decode] = number % 2 === 0 ? [helloBytes.slice(), decodeHello] : [answerBytes.slice(), decodeAnswer]
      for (let damage = 1 + roll(3); damage > 0; damage--) bytes[roll(bytes.length)] = roll(256)
      try {
        decode(bytes.subarray(0, 1 + roll(bytes.length)))
        decode(bytes)
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error
        refused++
      }
    }
    expect(refused).toBeGreaterThan(30_000)
  })
})
