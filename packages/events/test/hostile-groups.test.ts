// Commands, verdicts and cells of groups, spoiled: the decoders are reached directly.
import { ByteReader, type Bytes } from '@synod/codec'
import { fuzzDecoder } from '@synod/codec/fuzz'
import type { Verdict } from '@synod/events'
import { expect, test } from 'vitest'
import { kindReader } from '../src/command-kinds.ts'
import { encodeGroupCommand, readGroupCommand, type GroupCommand } from '../src/groups/group-command.ts'
import { definitionParts } from '../src/groups/group-definition.ts'
import { GroupState, memberId } from '../src/groups/group-state.ts'
import { decodeParked, encodeParked, PartitionState } from '../src/groups/partition-state.ts'
import { decodeVerdict, encodeVerdict } from '../src/verdict.ts'

const key = '0123456789abcdef'
const failure = { position: 7, attempt: 2, key, parks: true, reason: 'no' }
const commands: GroupCommand[] = [
  { form: 'put', group: 'g', definition: definitionParts({ filter: { items: [{ types: ['a'] }] }, partitionBy: { tagPrefix: 'c:' } }) },
  { form: 'delete', group: 'g' },
  { form: 'join', group: 'g', instance: 'i-1', node: 'n1', number: 3, consumer: 'c' },
  { form: 'leave', group: 'g', instance: 'i-1', numbers: [1, 2] },
  { form: 'heartbeat', instance: 'i-1' },
  { form: 'expire', instance: 'i-1', seen: 9 },
  {
    form: 'settle',
    group: 'g',
    instance: 'i-1',
    generation: 4,
    parts: [{ number: 1, partition: 2, through: 5, settled: [6, 8], failures: [failure] }],
  },
  { form: 'replay', group: 'g' },
  { form: 'replay', group: 'g', positions: [3] },
]

test('40,000 hostile commands of groups are refused or are commands', () => {
  for (const command of commands) expect(readGroupCommand(kindReader(encodeGroupCommand(command)), 0)).toEqual(command)
  const decode = (bytes: Bytes): void => {
    const again = encodeGroupCommand(readGroupCommand(kindReader(bytes), 0))
    // The kind is the machine's to look at.
    if (Buffer.compare(again.subarray(1), bytes.subarray(1)) !== 0) throw new Error('two encodings of one command')
  }
  const options = { samples: commands.map(encodeGroupCommand), count: 40_000, seed: 61, decode, memory: process.memoryUsage }
  const { accepted, refused, grownBytesMax } = fuzzDecoder(options)
  expect(accepted).toBeGreaterThan(1_000)
  expect(refused).toBeGreaterThan(20_000)
  expect(grownBytesMax).toBeLessThan(100_000_000)
})

test('what no node would say is refused', () => {
  const read = (command: GroupCommand, blobs = 0): unknown => readGroupCommand(kindReader(encodeGroupCommand(command)), blobs)
  const parts = definitionParts({})
  const refused: (() => unknown)[] = [
    () => read({ form: 'delete', group: 'a/b' }),
    () => read({ form: 'delete', group: 'g' }, 1),
    () => read({ form: 'heartbeat', instance: 'a/b' }),
    () => read({ form: 'put', group: 'g', definition: { ...parts, attemptsMax: 0 } }),
    () => read({ form: 'put', group: 'g', definition: { ...parts, fixed: '{' } }),
    () => read({ form: 'put', group: 'g', definition: { ...parts, fixed: 'null' } }),
    () =>
      read({ form: 'put', group: 'g', definition: { ...parts, fixed: '{"filter":{},"from":1,"partitionBy":"stream","partitions":2000}' } }),
    () =>
      read({ form: 'put', group: 'g', definition: { ...parts, fixed: '{"filter":{},"from":0,"partitionBy":"stream","partitions":2}' } }),
  ]
  for (const run of refused) expect(run).toThrow(expect.objectContaining({ name: 'MalformedError' }))
})

test('20,000 hostile verdicts of groups are refused or are verdicts', () => {
  const verdicts: Verdict[] = (
    [
      { result: 'done', generation: 3, count: 2 },
      { result: 'notFound' },
      { result: 'exists' },
      { result: 'full', what: 'consumers' },
      { result: 'stale', generation: 2 },
      { result: 'settled', generation: 2, refused: [1, 3] },
    ] as const
  ).map((group) => ({ kind: 'group', group }))
  for (const verdict of verdicts) expect(decodeVerdict(encodeVerdict(verdict).slice())).toEqual(verdict)
  const samples = verdicts.map((verdict) => encodeVerdict(verdict).slice())
  const { accepted, refused } = fuzzDecoder({ samples, count: 20_000, seed: 62, decode: decodeVerdict })
  expect(accepted).toBeGreaterThan(500)
  expect(refused).toBeGreaterThan(5_000)
})

test('15,000 hostile cells of groups are refused or are cells', () => {
  const group = new GroupState('g', definitionParts({ partitions: 3 }), 5)
  group.join({ id: memberId('i-1', 1), instance: 'i-1', number: 1, consumer: 'c' })
  group.settle('i-1', [
    { number: 1, partition: 2, through: 6, settled: [8, 11], failures: [failure, { ...failure, position: 10, parks: false }] },
  ])
  group.replay([7])
  const partition = new Map(group.partitions()).get(2)!
  expect(PartitionState.decode(partition.encode()).encode()).toEqual(partition.encode())
  expect(GroupState.decode('g', group.encode()).encode()).toEqual(group.encode())
  const parked = { attempts: 2, key, generation: 4, reason: 'no' }
  expect(decodeParked(encodeParked(parked))).toEqual(parked)
  for (const [seed, sample, decode] of [
    [63, group.encode(), (bytes: Bytes) => GroupState.decode('g', bytes)],
    [64, partition.encode(), (bytes: Bytes) => PartitionState.decode(bytes)],
    [65, encodeParked(parked), decodeParked],
  ] as const) {
    const { refused } = fuzzDecoder({ samples: [sample], count: 5_000, seed, decode })
    expect(refused).toBeGreaterThan(1_000)
  }
  expect(() => decodeParked(new Uint8Array([2]))).toThrow('version 2')
  expect(new ByteReader(partition.encode()).u8()).toBe(1)
})
