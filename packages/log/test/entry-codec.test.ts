import { MalformedError } from '@synod/codec'
import { decodeEntry, encodeEntry, noopEntry, type Entry } from '@synod/log'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const number = fc.maxSafeNat()
const bytes = fc.uint8Array({ maxLength: 40 })
const envelope = fc.record({
  version: fc.nat(255),
  session: number,
  sequence: number,
  floor: number,
  principal: fc.string({ maxLength: 60 }),
  body: bytes,
  blobs: fc.array(bytes, { maxLength: 4 }),
})
const commands: fc.Arbitrary<Entry> = fc.array(envelope, { maxLength: 5 }).map((list) => ({ kind: 'commands', commands: list }))

describe('the form of an entry', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(commands, (entry) => {
        expect(decodeEntry(encodeEntry(entry))).toEqual(entry)
      }),
    )
    expect(decodeEntry(noopEntry)).toEqual({ kind: 'noop' })
  })

  it('gives bodies and blobs as views into the entry, so that they can be found again', () => {
    const encoded = encodeEntry({
      kind: 'commands',
      commands: [
        { version: 1, session: 1, sequence: 1, floor: 1, principal: 'p', body: new Uint8Array([1]), blobs: [new Uint8Array([7, 8, 9])] },
      ],
    })
    const entry = decodeEntry(encoded)
    const blob = entry.kind === 'commands' ? entry.commands[0]?.blobs[0] : undefined
    if (blob === undefined) throw new Error('no blob')
    const offset = blob.byteOffset - encoded.byteOffset
    expect([...encoded.subarray(offset, offset + blob.length)]).toEqual([7, 8, 9])
  })

  it('is refused when it is cut anywhere, or followed by anything', () => {
    fc.assert(
      fc.property(commands, fc.nat(), (entry, at) => {
        const encoded = encodeEntry(entry)
        expect(() => decodeEntry(encoded.subarray(0, at % encoded.length))).toThrow(MalformedError)
        expect(() => decodeEntry(new Uint8Array([...encoded, 0]))).toThrow(MalformedError)
      }),
    )
  })

  it('never fails otherwise on random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (random) => {
        try {
          decodeEntry(random)
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError)
        }
      }),
      { numRuns: 5000 },
    )
  })
})
