import { describe, expect, test } from 'vitest'
import { decodeRecord, drawUuid, encodeRecord, parseUuid, recordIdOffset, type EventToRecord } from '@synod/event-record'
import { eventLimits, type AppendRecordsRequest, type AppendRequest, type EventStoreError } from '@synod/events'
import { openNode, uuid } from './node.ts'

const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const record = (event: Partial<EventToRecord> = {}, id = drawUuid()): Uint8Array =>
  encodeRecord({ type: 'A', data: text('1'), ...event }, id, 0)
const idOf = (number: number): Uint8Array => parseUuid(uuid(number)) ?? new Uint8Array(16)

async function refusal(appended: Promise<unknown>): Promise<Pick<EventStoreError, 'code' | 'message'>> {
  try {
    await appended
  } catch (error) {
    const { code, message } = error as EventStoreError
    return { code, message }
  }
  throw new Error('nothing was refused')
}

describe('records that the caller encoded', () => {
  test('are appended as they are, with the time in them', async () => {
    const { store } = await openNode()
    const given = record({ type: 'Tÿpe', data: text('{"a": 1}'), metadata: text('null'), tags: ['x', 'ß'] }, idOf(7))
    const before = given.slice()
    expect(await store.appendRecords({ stream: 's', records: [given], expected: 'noStream' })).toEqual({ revision: 0, position: 1 })
    const [read] = await store.readStream('s', { limit: 1, consistency: 'local' })
    expect(decodeRecord(read?.record ?? before)).toEqual({ ...decodeRecord(before), recordedAt: 1_700_000_000_000 })
    expect(read?.record.subarray(9)).toEqual(before.subarray(9))
  })

  test('with the same ids are the same append, whoever encoded them', async () => {
    const { store } = await openNode()
    const request = { stream: 's', expected: 'noStream' as const }
    const first = await store.appendRecords({ ...request, records: [record({}, idOf(1)), record({}, idOf(2))] })
    expect(await store.appendRecords({ ...request, records: [record({}, idOf(1)), record({}, idOf(2))] })).toEqual(first)
    const events = [1, 2].map((number) => ({ id: uuid(number), type: 'A', data: text('1') }))
    expect(await store.append({ ...request, events })).toEqual(first)
    expect(await refusal(store.appendRecords({ ...request, records: [record({}, idOf(2)), record({}, idOf(3))] }))).toMatchObject({
      code: 'event_id_conflict',
    })
  })
})

const large = 'x'.repeat(600_000)

describe('the rules are those of events, in the same words', () => {
  test.each<[string, Partial<AppendRecordsRequest>, Partial<EventToRecord>[]]>([
    ['no stream', { stream: '' }, [{}]],
    ['a reserved stream', { stream: '$s' }, [{}]],
    ['a long stream', { stream: 'x'.repeat(513) }, [{}]],
    ['a revision that is none', { expected: -1 }, [{}]],
    ['no events', {}, []],
    ['too many events', {}, Array.from({ length: 4097 }, () => ({}))],
    ['no type', {}, [{ type: '' }]],
    ['a reserved type', {}, [{}, { type: '$A' }]],
    ['a long type', {}, [{ type: 'ü'.repeat(129) }]],
    ['too many tags', {}, [{ tags: Array.from({ length: 65 }, String) }]],
    ['an empty tag', {}, [{ tags: ['a', ''] }]],
    ['a long tag', {}, [{ tags: ['x'.repeat(257)] }]],
    ['a large event', {}, [{ data: text(large), metadata: text(large) }]],
    ['a large request', {}, Array.from({ length: 15 }, () => ({ data: text(large) }))],
    ['a long principal', { principal: 'x'.repeat(257) }, [{}]],
  ])('%s', async (_, more, events) => {
    const { store } = await openNode()
    const request = { stream: 's', expected: 'any' as const, ...more }
    const records = events.map((event) => record(event))
    const before = records.map((bytes) => bytes.slice())
    const asRecords = await refusal(store.appendRecords({ ...request, records }))
    const full = events.map((event) => ({ type: 'A', data: text('1'), ...event }))
    expect(asRecords).toEqual(await refusal(store.append({ ...request, events: full } satisfies AppendRequest)))
    // What is refused is as it was: its sender may look at it, or send it again.
    expect(records.every((bytes, at) => Buffer.compare(bytes, before[at] ?? new Uint8Array(0)) === 0)).toBe(true)
  })

  test('one id twice', async () => {
    const { store } = await openNode()
    const records = [record({}, idOf(1)), record(), record({}, idOf(1))]
    const events = [uuid(1), uuid(2), uuid(1)].map((id) => ({ id, type: 'A', data: text('1') }))
    const request = { stream: 's', expected: 'any' as const }
    expect(await refusal(store.appendRecords({ ...request, records }))).toEqual(await refusal(store.append({ ...request, events })))
  })

  test('what is at a limit is within it', async () => {
    const { store } = await openNode()
    const type = 'x'.repeat(eventLimits.typeBytesMax)
    const tags = Array.from({ length: eventLimits.tagsMax }, (_, at) => String(at).padStart(eventLimits.tagBytesMax, '0'))
    const data = new Uint8Array(eventLimits.eventBytesMax - type.length - tags.join('').length).fill(0x31)
    const records = [record({ type, tags, data })]
    await store.appendRecords({ stream: 'x'.repeat(512), records, expected: 'any' })
  })
})

test.each<[string, (bytes: Uint8Array) => Uint8Array]>([
  ['nothing', () => new Uint8Array(0)],
  ['a byte too few', (bytes) => bytes.subarray(0, -1)],
  ['a byte too many', (bytes) => Uint8Array.of(...bytes, 0)],
  ['another version', (bytes) => bytes.with(0, 2)],
  ['a key', (bytes) => bytes.with(recordIdOffset + 19, 1)],
  ['another content', (bytes) => bytes.with(29, 1)],
  ['a type that is no UTF-8', (bytes) => bytes.with(34, 0xff)],
])('no record: %s', async (_, spoil) => {
  const { store, machine } = await openNode()
  const records = [record(), spoil(record())]
  expect(await refusal(store.appendRecords({ stream: 's', records, expected: 'any' }))).toMatchObject({
    code: 'invalid_argument',
    message: expect.stringMatching(/^event 1 is no record: /) as string,
  })
  expect(machine.position()).toBe(0)
})
