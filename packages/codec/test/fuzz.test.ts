import { ByteReader, ByteWriter, bytesToHex, MalformedError } from '@synod/codec'
import { fuzzDecoder, hostileBytes } from '@synod/codec/fuzz'
import { describe, expect, test } from 'vitest'

const sample = new ByteWriter().string('hello').bytes(new Uint8Array(40)).u32(3).finish()

test('hostile bytes are the same for a seed, others for another, and of many kinds', () => {
  const hexes = (seed: number): string[] => [...hostileBytes([sample], 500, seed)].map(bytesToHex)
  expect(hexes(1)).toEqual(hexes(1))
  expect(hexes(1)).not.toEqual(hexes(2))
  const lengths = new Set([...hostileBytes([sample], 500, 1)].map(({ length }) => length))
  expect(lengths.size).toBeGreaterThan(50)
  expect(new Set(hexes(1)).size).toBeGreaterThan(400)
})

test('hostile bytes leave the samples as they were, and none may be empty for them', () => {
  const before = bytesToHex(sample)
  for (const _ of hostileBytes([sample, new Uint8Array(0)], 2000, 3));
  expect(bytesToHex(sample)).toBe(before)
})

describe('a decoder', () => {
  const decode = (bytes: Uint8Array): void => {
    const reader = new ByteReader(bytes)
    reader.string()
    reader.bytes()
    reader.u32()
    reader.end()
  }

  test('that refuses what it should passes', () => {
    const { accepted, refused, grownBytesMax } = fuzzDecoder({
      samples: [sample],
      count: 20_000,
      seed: 4,
      decode,
      memory: process.memoryUsage,
    })
    expect(accepted + refused).toBe(20_000)
    expect(accepted).toBeGreaterThan(1000)
    expect(refused).toBeGreaterThan(10_000)
    expect(grownBytesMax).toBeLessThan(100_000_000)
  })

  test('that trusts a length is found out, with the bytes that did it', () => {
    const trusting = (bytes: Uint8Array): void => {
      if (bytes.length >= 4) void new Uint8Array(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) * 2 ** 22)
    }
    expect(() => fuzzDecoder({ samples: [Uint8Array.of(0, 0, 0, 1, 7)], count: 1000, seed: 5, decode: trusting })).toThrow(
      /^seed 5, number \d+, \d+ bytes: [0-9a-f]+$/,
    )
  })

  test('that keeps what it was given shows in the memory', () => {
    const kept: Uint8Array[] = []
    const keeping = (): void => void kept.push(new Uint8Array(20_000))
    const { grownBytesMax } = fuzzDecoder({ samples: [sample], count: 10_000, seed: 6, decode: keeping, memory: process.memoryUsage })
    expect(grownBytesMax).toBeGreaterThan(100_000_000)
  })

  test('may have errors of its own', () => {
    const fails = (bytes: Uint8Array): void => {
      if (bytes !== sample) throw new RangeError('never')
    }
    const isRefusal = (error: unknown): boolean => error instanceof RangeError
    expect(fuzzDecoder({ samples: [sample], count: 10, seed: 7, decode: fails, isRefusal })).toMatchObject({ accepted: 0, refused: 10 })
    expect(() => fuzzDecoder({ samples: [sample], count: 10, seed: 7, decode: fails })).toThrow(/^seed 7, number 0/)
    expect(() => fuzzDecoder({ samples: [sample.subarray(1)], count: 1, seed: 7, decode })).toThrow(MalformedError)
  })
})
