import { bytesEqual, bytesToHex, hexToBytes, MalformedError } from '@synod/codec'
import fc from 'fast-check'
import { expect, test } from 'vitest'

test('hexadecimal there and back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      expect(bytesToHex(bytes)).toBe(Buffer.from(bytes).toString('hex'))
      expect(hexToBytes(bytesToHex(bytes))).toEqual(bytes)
      expect(hexToBytes(bytesToHex(bytes).toUpperCase())).toEqual(bytes)
    }),
  )
})

test.each(['0', 'zz', '0x', ' 00', '00 ', '00\n', 'é0'])('%j is not hexadecimal', (text) => {
  expect(() => hexToBytes(text)).toThrow(RangeError)
})

test('equality is by content', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (left, right) => {
      expect(bytesEqual(left, right)).toBe(Buffer.from(left).equals(right))
      expect(bytesEqual(left, Uint8Array.from(left))).toBe(true)
      expect(bytesEqual(left, Uint8Array.of(...left, 0))).toBe(false)
    }),
  )
})

test('the error has a code that callers can rely on', () => {
  expect(new MalformedError('a test')).toMatchObject({ code: 'malformed', name: 'MalformedError' })
})
