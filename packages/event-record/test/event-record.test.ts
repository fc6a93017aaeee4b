import { bytesToHex, MalformedError } from '@synod/codec'
import { fuzzDecoder } from '@synod/codec/fuzz'
import {
  decodeRecord,
  decodeRecordBody,
  drawUuid,
  encodeRecord,
  formatUuid,
  isRecord,
  parseUuid,
  recordIdOffset,
  recordTagsAt,
  recordTypeAt,
  stampRecord,
  type EventToRecord,
} from '@synod/event-record'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const text = fc.string({ unit: 'binary', maxLength: 60 })
const bytes = fc.uint8Array({ maxLength: 200 })
const uuid = fc.uint8Array({ minLength: 16, maxLength: 16 })
const event: fc.Arbitrary<EventToRecord> = fc.record(
  { type: text, data: bytes, metadata: bytes, tags: fc.array(text, { maxLength: 5 }) },
  { requiredKeys: ['type', 'data'] },
)

describe('a record', () => {
  test('comes back as it was', () => {
    fc.assert(
      fc.property(event, uuid, fc.maxSafeNat(), (given, id, recordedAt) => {
        const record = encodeRecord(given, id, recordedAt)
        expect(isRecord(record)).toBe(true)
        expect(decodeRecord(record)).toEqual({ tags: [], ...given, id: formatUuid(id), recordedAt })
        expect(decodeRecordBody(record)).toEqual({ tags: [], ...given })
        expect(record.subarray(recordIdOffset, recordIdOffset + 16)).toEqual(id)
      }),
    )
  })

  test('tells where its type and its tags stand', () => {
    fc.assert(
      fc.property(event, (given) => {
        const record = encodeRecord(given, drawUuid(), 7)
        const { type, tags = [] } = given
        const texts = (at: number, count: number): string[] => {
          const view = new DataView(record.buffer, record.byteOffset)
          return Array.from({ length: count }, () => {
            const length = view.getUint32(at)
            at += 4 + length
            return new TextDecoder('utf-8', { ignoreBOM: true }).decode(record.subarray(at - length, at))
          })
        }
        expect(texts(recordTypeAt, 1)).toEqual([type])
        expect(texts(recordTagsAt(record) + 4, tags.length)).toEqual([...tags])
        expect(recordTagsAt(record.subarray(0, -1))).toBe(0)
      }),
    )
  })

  test('is these bytes', () => {
    const given = { type: 'A', data: Uint8Array.of(0x31), metadata: Uint8Array.of(0x32), tags: ['t', 'ü'] }
    const id = Uint8Array.from({ length: 16 }, (_, at) => at)
    expect(bytesToHex(encodeRecord(given, id, 0x0102_0304_0506))).toBe(
      '01' +
        '0000010203040506' +
        '000102030405060708090a0b0c0d0e0f' +
        '00000000' +
        '00' +
        '0000000141' +
        '0000000131' +
        '01' +
        '0000000132' +
        '00000002' +
        '0000000174' +
        '00000002c3bc',
    )
  })

  test('of text with half a surrogate pair cannot be: it would come back another', () => {
    expect(() => encodeRecord({ type: '\ud800', data: new Uint8Array(0) }, drawUuid(), 0)).toThrow(RangeError)
    expect(() => encodeRecord({ type: 'A', data: new Uint8Array(0), tags: ['\udc00'] }, drawUuid(), 0)).toThrow(RangeError)
  })

  test('gives data and metadata as views', () => {
    const record = encodeRecord({ type: 'A', data: Uint8Array.of(1), metadata: Uint8Array.of(2) }, drawUuid(), 0)
    const { data, metadata } = decodeRecord(record)
    expect([data.buffer, metadata?.buffer]).toEqual([record.buffer, record.buffer])
  })

  test('takes a time in place, and nothing else of it changes, wherever it lies in its buffer', () => {
    fc.assert(
      fc.property(event, uuid, fc.maxSafeNat(), fc.nat(20), (given, id, recordedAt, offset) => {
        const record = encodeRecord(given, id, 0)
        const buffer = new Uint8Array(offset + record.length + 5).fill(0xaa)
        buffer.set(record, offset)
        stampRecord(buffer.subarray(offset, offset + record.length), recordedAt)
        expect(buffer.subarray(offset, offset + record.length)).toEqual(encodeRecord(given, id, recordedAt))
        expect([...buffer.subarray(0, offset), ...buffer.subarray(offset + record.length)].every((byte) => byte === 0xaa)).toBe(true)
      }),
    )
    expect(() => stampRecord(new Uint8Array(29), 1)).toThrow(MalformedError)
  })
})

describe('what is no record', () => {
  const record = encodeRecord({ type: 'A', data: Uint8Array.of(1, 2), metadata: Uint8Array.of(3), tags: ['x', 'yy'] }, drawUuid(), 5)

  test.each<[string, Uint8Array]>([
    ['of another version', record.with(0, 2)],
    ['encrypted', record.with(28, 1)],
    ['of another content', record.with(29, 1)],
    ['with metadata that is neither there nor not', record.with(30 + 5 + 6, 2)],
    ['with a byte too many', Uint8Array.of(...record, 0)],
  ])('is refused: %s', (_, bytesOf) => {
    expect(isRecord(bytesOf)).toBe(false)
    expect(() => decodeRecord(bytesOf)).toThrow(MalformedError)
    expect(() => decodeRecordBody(bytesOf)).toThrow(MalformedError)
  })

  test('is refused: every beginning of one', () => {
    for (let length = 0; length < record.length; length++) {
      const cut = record.subarray(0, length)
      expect(isRecord(cut)).toBe(false)
      expect(() => decodeRecord(cut)).toThrow(MalformedError)
    }
  })

  test('250,000 hostile ones are refused or are records, the same by every door, and leave no memory in use', () => {
    const samples = [
      record,
      encodeRecord({ type: 'Opened', data: new Uint8Array(100) }, drawUuid(), 1),
      encodeRecord({ type: '', data: new Uint8Array(0) }, drawUuid(), 0),
    ]
    const refusalOf = (decode: () => unknown): string | undefined => {
      try {
        decode()
        return undefined
      } catch (error) {
        if (error instanceof MalformedError) return error.message
        throw error
      }
    }
    // Text is not looked at by `isRecord`, nor the time by anything but `decodeRecord`.
    const decode = (hostile: Uint8Array): void => {
      const shape = isRecord(hostile)
      const body = refusalOf(() => decodeRecordBody(hostile))
      const whole = refusalOf(() => decodeRecord(hostile))
      if (!shape && body === undefined) throw new Error('a body of what is no record')
      if (shape && body !== undefined && !body.includes('UTF-8')) throw new Error(`a record without a body: ${body}`)
      if (body === undefined && whole !== undefined && !whole.includes('2^53')) throw new Error(`a body without a record: ${whole}`)
      if (whole !== undefined) throw new MalformedError(whole)
    }
    const { accepted, refused, grownBytesMax } = fuzzDecoder({ samples, count: 250_000, seed: 11, decode, memory: process.memoryUsage })
    expect(accepted).toBeGreaterThan(10_000)
    expect(refused).toBeGreaterThan(100_000)
    expect(grownBytesMax).toBeLessThan(100_000_000)
  })
})

describe('a UUID', () => {
  test('there and back', () => {
    fc.assert(
      fc.property(uuid, (id) => {
        const formatted = formatUuid(id)
        expect(formatted).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
        expect(parseUuid(formatted)).toEqual(id)
        expect(parseUuid(formatted.toUpperCase())).toEqual(id)
      }),
    )
    fc.assert(
      fc.property(fc.uuid(), (id) => {
        expect(formatUuid(parseUuid(id) ?? new Uint8Array(0))).toBe(id)
      }),
    )
  })

  test.each([
    '',
    'x',
    '00000000-0000-4000-8000-00000000000',
    '00000000-0000-4000-8000-0000000000000',
    '0000000000004000800000000000000g',
    '00000000-0000-4000-8000-00000000000g',
    '000000000-000-4000-8000-000000000000',
    ' 00000000-0000-4000-8000-000000000000',
  ])('%j is none', (none) => expect(parseUuid(none)).toBeUndefined())

  test('drawn ones are of version 4, and each is another', () => {
    const drawn = Array.from({ length: 10_000 }, () => formatUuid(drawUuid()))
    expect(drawn.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toBe(true)
    expect(new Set(drawn).size).toBe(drawn.length)
  })

  test('drawn ones stay what they are while others are drawn', () => {
    const first = drawUuid()
    const before = bytesToHex(first)
    for (let at = 0; at < 1000; at++) drawUuid()
    expect(bytesToHex(first)).toBe(before)
  })
})
