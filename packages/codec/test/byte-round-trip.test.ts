import { ByteReader, ByteWriter, MalformedError } from '@synod/codec'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

/** One thing that can be written and read back. */
type Field =
  | { readonly kind: 'u8' | 'u16' | 'u32' | 'u53'; readonly value: number }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'bytes' | 'raw'; readonly value: Uint8Array }
  | { readonly kind: 'string'; readonly value: string }

const field: fc.Arbitrary<Field> = fc.oneof(
  fc.record({ kind: fc.constant('u8'), value: fc.integer({ min: 0, max: 0xff }) }),
  fc.record({ kind: fc.constant('u16'), value: fc.integer({ min: 0, max: 0xffff }) }),
  fc.record({ kind: fc.constant('u32'), value: fc.integer({ min: 0, max: 0xffff_ffff }) }),
  fc.record({ kind: fc.constant('u53'), value: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant('bool'), value: fc.boolean() }),
  fc.record({ kind: fc.constantFrom('bytes', 'raw'), value: fc.uint8Array({ maxLength: 300 }) }),
  fc.record({ kind: fc.constant('string'), value: fc.string({ unit: 'binary', maxLength: 200 }) }),
)

function write(writer: ByteWriter, field: Field): void {
  switch (field.kind) {
    case 'bool':
      writer.bool(field.value)
      break
    case 'string':
      writer.string(field.value)
      break
    case 'bytes':
    case 'raw':
      writer[field.kind](field.value)
      break
    default:
      writer[field.kind](field.value)
  }
}

function read(reader: ByteReader, like: Field): Field {
  switch (like.kind) {
    case 'bool':
      return { kind: like.kind, value: reader.bool() }
    case 'string':
      return { kind: like.kind, value: reader.string() }
    case 'bytes':
      return { kind: like.kind, value: reader.bytes() }
    case 'raw':
      return { kind: like.kind, value: reader.raw(like.value.length) }
    default:
      return { kind: like.kind, value: reader[like.kind]() }
  }
}

function encode(fields: readonly Field[], initialBytes?: number): Uint8Array {
  const writer = new ByteWriter(initialBytes)
  for (const each of fields) write(writer, each)
  return writer.finish()
}

describe('what was written is what is read', () => {
  test('any fields, any initial size', () => {
    fc.assert(
      fc.property(fc.array(field, { maxLength: 40 }), fc.integer({ min: 0, max: 600 }), (fields, initialBytes) => {
        const reader = new ByteReader(encode(fields, initialBytes))
        expect(fields.map((like) => read(reader, like))).toEqual(fields)
        expect(reader.remaining).toBe(0)
        reader.end()
      }),
      { numRuns: 500 },
    )
  })

  test('at any place of a larger buffer', () => {
    fc.assert(
      fc.property(fc.array(field, { maxLength: 10 }), fc.integer({ min: 0, max: 33 }), (fields, before) => {
        const bytes = encode(fields)
        const larger = new Uint8Array(before + bytes.length + 9).fill(0xa5)
        larger.set(bytes, before)
        const reader = new ByteReader(larger.subarray(before, before + bytes.length))
        expect(fields.map((like) => read(reader, like))).toEqual(fields)
        reader.end()
      }),
    )
  })

  test.each([0, 1, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, 0x1f_ffff_0000_0000, Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER])(
    'u53 keeps %d',
    (value) => {
      expect(new ByteReader(encode([{ kind: 'u53', value }])).u53()).toBe(value)
    },
  )

  test.each(['', '\uFEFF', '\uFEFFtext', 'a\u0000b', '\u{10FFFF}', 'é'.repeat(1000), '日本'.repeat(5000)])('string keeps %j', (value) => {
    expect(new ByteReader(encode([{ kind: 'string', value }])).string()).toBe(value)
  })

  test('offset and length count bytes', () => {
    const writer = new ByteWriter()
    expect(writer.length).toBe(0)
    writer.u8(1).u16(2).u32(3).u53(4).bool(true).string('é').bytes(Uint8Array.of(9))
    expect(writer.length).toBe(1 + 2 + 4 + 8 + 1 + 6 + 5)
    const reader = new ByteReader(writer.finish())
    reader.u8()
    reader.u16()
    expect(reader.offset).toBe(3)
    expect(reader.remaining).toBe(24)
  })
})

describe('what cannot be written is refused', () => {
  test.each([
    ['u8', 0xff],
    ['u16', 0xffff],
    ['u32', 0xffff_ffff],
    ['u53', Number.MAX_SAFE_INTEGER],
  ] as const)('%s', (kind, max) => {
    for (const value of [-1, max + 1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => new ByteWriter()[kind](value)).toThrow(RangeError)
    expect(new ByteWriter()[kind](max).length).toBeGreaterThan(0)
  })

  test('text with a lone surrogate, and nothing of it is left behind', () => {
    for (const text of ['\uD800', 'a\uDC00b', '\uDC00\uD800']) {
      const writer = new ByteWriter().u8(7)
      expect(() => writer.string(text)).toThrow(RangeError)
      expect(writer.finish()).toEqual(Uint8Array.of(7))
    }
  })
})

describe('hostile bytes give MalformedError and nothing else', () => {
  test('every truncation', () => {
    fc.assert(
      fc.property(fc.array(field, { minLength: 1, maxLength: 12 }), (fields) => {
        const bytes = encode(fields)
        for (let length = 0; length < bytes.length; length++) {
          const reader = new ByteReader(bytes.subarray(0, length))
          expect(() => fields.forEach((like) => read(reader, like))).toThrow(MalformedError)
        }
      }),
    )
  })

  test('300,000 random reads of random bytes', () => {
    const kinds = ['u8', 'u16', 'u32', 'u53', 'bool', 'bytes', 'string', 'count', 'end'] as const
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 64 }),
        fc.array(fc.constantFrom(...kinds), { minLength: 30, maxLength: 30 }),
        (bytes, reads) => {
          const reader = new ByteReader(bytes)
          for (const kind of reads) {
            const before = reader.offset
            try {
              reader[kind]()
            } catch (error) {
              if (!(error instanceof MalformedError)) throw error
            }
            if (reader.offset < before || reader.offset > bytes.length) throw new Error(`the reader went astray: ${kind}`)
          }
        },
      ),
      { numRuns: 10_000 },
    )
  })

  test('a length beyond what is there, or beyond what is allowed, allocates nothing', () => {
    const huge = new ByteWriter().u32(0xffff_ffff).u8(1).finish()
    expect(() => new ByteReader(huge).bytes()).toThrow(MalformedError)
    expect(() => new ByteReader(huge).string()).toThrow(MalformedError)
    expect(() => new ByteReader(huge).count()).toThrow(MalformedError)
    const three = new ByteWriter().bytes(Uint8Array.of(1, 2, 3)).finish()
    expect(() => new ByteReader(three).bytes(2)).toThrow(MalformedError)
    expect(() => new ByteReader(three).string(2)).toThrow(MalformedError)
    expect(new ByteReader(three).bytes(3)).toEqual(Uint8Array.of(1, 2, 3))
  })

  test('a count is believed only as far as the bytes that follow', () => {
    const bytes = new ByteWriter().u32(3).raw(new Uint8Array(24)).finish()
    expect(new ByteReader(bytes).count(8)).toBe(3)
    expect(() => new ByteReader(bytes).count(9)).toThrow(MalformedError)
  })

  test('a length that the caller computed wrongly', () => {
    for (const length of [-1, Number.NaN, 5, Number.POSITIVE_INFINITY])
      expect(() => new ByteReader(new Uint8Array(4)).raw(length)).toThrow(MalformedError)
  })

  test.each([
    ['a boolean of 2', (reader: ByteReader) => reader.bool(), [2]],
    ['a number of 2^53', (reader: ByteReader) => reader.u53(), [0, 0x20, 0, 0, 0, 0, 0, 0]],
    ['half a character', (reader: ByteReader) => reader.string(), [0, 0, 0, 1, 0xc3]],
    ['an encoded surrogate', (reader: ByteReader) => reader.string(), [0, 0, 0, 3, 0xed, 0xa0, 0x80]],
    ['an overlong slash', (reader: ByteReader) => reader.string(), [0, 0, 0, 2, 0xc0, 0xaf]],
    ['bytes after the end', (reader: ByteReader) => reader.end(), [0]],
  ])('%s', (_what, use, bytes) => {
    expect(() => use(new ByteReader(Uint8Array.from(bytes)))).toThrow(MalformedError)
  })
})
