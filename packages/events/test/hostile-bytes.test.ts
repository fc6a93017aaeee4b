// Commands and rows of the read side, spoiled: the decoders are reached directly.
import type { Bytes } from '@synod/codec'
import { fuzzDecoder } from '@synod/codec/fuzz'
import { decodeAppendCommand, ReadSideError } from '@synod/events'
import { memoryReadSide } from '@synod/events/memory'
import { expect, test } from 'vitest'
import { encodeAppendCommand, encodeAtomicAppend, readAtomicAppend } from '../src/append-command.ts'
import { kindReader } from '../src/command-kinds.ts'
import { decodeSlotIndex } from '../src/slot-index.ts'
import { decodeVerdict, encodeVerdict, type Verdict } from '../src/verdict.ts'
import { event, openNode } from './node.ts'

test('120,000 hostile commands are refused or are commands, and leave no memory in use', () => {
  const key = { key: 'k', digest: new Uint8Array(16) }
  const samples = [
    encodeAppendCommand({ writes: [{ stream: 's', expected: 'any', count: 3 }] }),
    encodeAppendCommand({ writes: [{ stream: 'orders-1', expected: 7, count: 3 }], key }),
    encodeAppendCommand({
      writes: [
        { stream: 'a', expected: 'noStream', count: 1 },
        { stream: 'b', expected: 'streamExists', count: 2 },
      ],
    }),
  ]
  const decode = (bytes: Bytes): void => {
    const command = decodeAppendCommand(bytes, 3)
    if (Buffer.compare(encodeAppendCommand(command), bytes) !== 0) throw new Error('two encodings of one command')
  }
  const { accepted, refused, grownBytesMax } = fuzzDecoder({ samples, count: 120_000, seed: 41, decode, memory: process.memoryUsage })
  expect(accepted).toBeGreaterThan(3_000)
  expect(refused).toBeGreaterThan(60_000)
  expect(grownBytesMax).toBeLessThan(100_000_000)
})

test('120,000 hostile atomic appends are refused or are commands, and leave no memory in use', () => {
  const writes = [
    { stream: 'a', expected: 'noStream' as const, count: 1 },
    { stream: 'b', expected: 4, count: 2 },
  ]
  const samples = [
    encodeAtomicAppend({ writes }),
    encodeAtomicAppend({ writes, checks: [{ stream: 'c', expected: 'streamExists' }], key: { key: 'k', digest: new Uint8Array(16) } }),
    encodeAtomicAppend({
      writes,
      checks: [{ stream: 'c', expected: 9 }],
      condition: {
        after: 300,
        items: [
          { types: ['T', 'U'], tags: ['t'] },
          { types: [], tags: [] },
        ],
      },
    }),
  ]
  const decode = (bytes: Bytes): void => {
    const command = readAtomicAppend(kindReader(bytes), 3)
    // The first byte is the kind, which was looked at before.
    if (Buffer.compare(encodeAtomicAppend(command).subarray(1), bytes.subarray(1)) !== 0) throw new Error('two encodings of one command')
  }
  const { accepted, refused, grownBytesMax } = fuzzDecoder({ samples, count: 120_000, seed: 44, decode, memory: process.memoryUsage })
  expect(accepted).toBeGreaterThan(3_000)
  expect(refused).toBeGreaterThan(60_000)
  expect(grownBytesMax).toBeLessThan(100_000_000)
})

test('60,000 hostile verdicts are refused or are verdicts, and leave no memory in use', () => {
  const verdicts: Verdict[] = [
    { kind: 'appended', position: 9, revisions: [1, 2] },
    { kind: 'wrongExpectedRevision', violations: [{ write: 0, actual: -1 }] },
    { kind: 'eventIdConflict', id: new Uint8Array(16) },
    { kind: 'keyReused' },
    { kind: 'malformed', why: 'so' },
    { kind: 'violated', revisions: [{ place: 3, actual: -1 }], position: 12 },
    { kind: 'conditionTooBroad', scanned: 4096 },
    { kind: 'streamTombstoned', write: 2 },
  ]
  const options = { samples: verdicts.map(encodeVerdict), count: 60_000, seed: 42, decode: decodeVerdict, memory: process.memoryUsage }
  const { accepted, refused, grownBytesMax } = fuzzDecoder(options)
  expect(accepted).toBeGreaterThan(3_000)
  expect(refused).toBeGreaterThan(30_000)
  expect(grownBytesMax).toBeLessThan(100_000_000)
})

test('100,000 hostile rows of slots are refused as damaged, and leave no memory in use', async () => {
  const readSide = memoryReadSide()
  const { store, machine } = await openNode({ readSide })
  await Promise.all([
    store.append({ stream: 'a', events: [event('A'), event('B', 'x'.repeat(300))], expected: 'any' }),
    store.append({ stream: 'b', events: [event('A')], expected: 'noStream' }),
    store.append({ stream: 'b', events: [event('A')], expected: 7 }).catch(() => {}), // refused, which is in the row too
  ])
  await machine.flush()
  const [row] = await readSide.slotsHolding(1, 1)
  if (row === undefined) throw new Error('no row was flushed')
  const { offsets } = decodeSlotIndex(row)
  const decode = (index: Bytes): void => {
    // A row that passes is the row that was written: there is a checksum.
    if (decodeSlotIndex({ ...row, index }).offsets.join() !== offsets.join()) throw new Error('a spoiled row was taken')
  }
  const isRefusal = (error: unknown): boolean => error instanceof ReadSideError && error.code === 'damaged'
  const options = { samples: [row.index], count: 100_000, seed: 43, decode, isRefusal, memory: process.memoryUsage }
  const { refused, grownBytesMax } = fuzzDecoder(options)
  expect(refused).toBeGreaterThan(90_000)
  expect(grownBytesMax).toBeLessThan(100_000_000)
})
