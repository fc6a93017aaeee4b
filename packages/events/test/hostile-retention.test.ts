// Commands of retention and ticks, spoiled: the decoders are reached directly.
import { ByteReader, MalformedError, type Bytes } from '@synod/codec'
import { fuzzDecoder } from '@synod/codec/fuzz'
import { ReadSideError } from '@synod/events'
import { expect, test } from 'vitest'
import { encodeRetentionCommand, readRetentionCommand, type RetentionCommand } from '../src/retention/retention-command.ts'
import { decodeRetentionState, encodeRetentionState } from '../src/retention/retention-state.ts'
import { encodeTick, readTick } from '../src/retention/tick-command.ts'
import { decodeVerdict, encodeVerdict, type Verdict } from '../src/verdict.ts'

function behindKind(bytes: Bytes): ByteReader {
  const reader = new ByteReader(bytes)
  reader.u8()
  return reader
}

function same(again: Bytes, bytes: Bytes): void {
  // The kind is the machine's to look at.
  if (Buffer.compare(again.subarray(1), bytes.subarray(1)) !== 0) throw new Error('two encodings of one thing')
}

test('60,000 hostile changes of retention are refused or are changes', () => {
  const commands: RetentionCommand[] = [
    { op: 'setMetadata', stream: 's', metadata: {} },
    { op: 'setMetadata', stream: 'orders-1', metadata: { maxCount: 3, maxAgeSeconds: 9, truncateBefore: 4, custom: '{"a":[1]}' } },
    { op: 'delete', stream: 's', expected: 7 },
    { op: 'tombstone', stream: 's', expected: 'streamExists' },
  ]
  const decode = (bytes: Bytes): void => same(encodeRetentionCommand(readRetentionCommand(behindKind(bytes), 0)), bytes)
  const options = { samples: commands.map(encodeRetentionCommand), count: 60_000, seed: 51, decode, memory: process.memoryUsage }
  const { accepted, refused, grownBytesMax } = fuzzDecoder(options)
  expect(accepted).toBeGreaterThan(1_000)
  expect(refused).toBeGreaterThan(30_000)
  expect(grownBytesMax).toBeLessThan(100_000_000)
})

test('60,000 hostile ticks are refused or are ticks', () => {
  const ticks = [
    { node: 'n2', clock: 1_700_000_000_000, flushed: 9, voters: ['n1', 'n2', 'n3'] },
    { node: 'n1', clock: 0, flushed: 0, voters: ['n1'] },
  ]
  const decode = (bytes: Bytes): void => same(encodeTick(readTick(behindKind(bytes), 0)), bytes)
  const options = { samples: ticks.map(encodeTick), count: 60_000, seed: 52, decode, memory: process.memoryUsage }
  const { accepted, refused, grownBytesMax } = fuzzDecoder(options)
  expect(accepted).toBeGreaterThan(1_000)
  expect(refused).toBeGreaterThan(30_000)
  expect(grownBytesMax).toBeLessThan(100_000_000)
})

test('what no node would say is refused', () => {
  const change = (command: RetentionCommand, blobs = 0): unknown => readRetentionCommand(behindKind(encodeRetentionCommand(command)), blobs)
  const tick = (node: string, voters: readonly string[]): unknown =>
    readTick(behindKind(encodeTick({ node, clock: 1, flushed: 1, voters })), 0)
  const refused: (() => unknown)[] = [
    () => change({ op: 'delete', stream: '$all', expected: 'any' }),
    () => change({ op: 'delete', stream: '', expected: 'any' }),
    () => change({ op: 'delete', stream: 's', expected: 'any' }, 1),
    () => change({ op: 'setMetadata', stream: 's', metadata: { maxCount: 0 } }),
    () => change({ op: 'setMetadata', stream: 's', metadata: { maxAgeSeconds: 2 ** 52 } }),
    () => change({ op: 'setMetadata', stream: 's', metadata: { custom: '[]' } }),
    () => change({ op: 'setMetadata', stream: 's', metadata: { custom: '{' } }),
    () => tick('n4', ['n1', 'n2']),
    () => tick('n1', ['n2', 'n1']),
    () => tick('n1', ['n1', 'n1']),
    () => tick('n1', []),
  ]
  for (const run of refused) expect(run).toThrow(MalformedError)
})

test('30,000 hostile verdicts of retention are refused or are verdicts', () => {
  const verdicts: Verdict[] = [
    { kind: 'retention', outcome: 'changed', version: 3, state: 'deleted' },
    { kind: 'retention', outcome: 'wrongExpectedRevision', actual: -1 },
    { kind: 'retention', outcome: 'streamTombstoned' },
    { kind: 'retention', outcome: 'ticked' },
  ]
  for (const verdict of verdicts) expect(decodeVerdict(encodeVerdict(verdict).slice())).toEqual(verdict)
  const samples = verdicts.map((verdict) => encodeVerdict(verdict).slice())
  const { accepted, refused } = fuzzDecoder({ samples, count: 30_000, seed: 53, decode: decodeVerdict })
  expect(accepted).toBeGreaterThan(1_000)
  expect(refused).toBeGreaterThan(10_000)
})

test('30,000 hostile cells are refused as damaged or unknown, or are cells', () => {
  const metadata = { maxCount: 3, maxAgeSeconds: 9, truncateBefore: 4, custom: '{"a":[1]}' }
  const state = { metadata, version: 3, belowRevision: 4, throughPosition: 5, deletedRevision: 2, isTombstoned: false }
  const samples = [encodeRetentionState(state), encodeRetentionState({ ...state, metadata: {} })]
  expect(decodeRetentionState('s', samples[0]!)).toEqual(state)
  const isRefusal = (error: unknown): boolean =>
    error instanceof ReadSideError && (error.code === 'damaged' || error.code === 'unknown_version')
  const decode = (bytes: Bytes): unknown => decodeRetentionState('s', bytes)
  const { refused } = fuzzDecoder({ samples, count: 30_000, seed: 54, decode, isRefusal })
  expect(refused).toBeGreaterThan(10_000)
})
