import { describe, expect, test } from 'vitest'
import { drawUuid, encodeRecord } from '@synod/event-record'
import { type AppendCondition, type AtomicAppendRequest, type EventStore, type EventStoreError, type StreamEvents } from '@synod/events'
import { event, openNode, uuid } from './node.ts'

let drawn = 1000
const write = (stream: string, more: Partial<StreamEvents> = {}, tags: readonly string[] = [], id = drawn++): StreamEvents => ({
  stream,
  events: [event('Taken', {}, { id: uuid(id), tags })],
  ...more,
})
const unless = (tag: string, after?: number): AppendCondition => ({
  failIfEventsMatch: { items: [{ types: ['Taken'], tags: [tag] }] },
  ...(after !== undefined && { after }),
})

async function refusal(store: EventStore, request: AtomicAppendRequest): Promise<Partial<EventStoreError>> {
  const before = store.position()
  const error: unknown = await store.appendAtomically(request).then(
    () => new Error('nothing was refused'),
    (reason: unknown) => reason,
  )
  expect(store.position()).toBe(before)
  return error as Partial<EventStoreError>
}

describe('an append to several streams', () => {
  test('writes all of them, in the order of the writes, at positions of their own', async () => {
    const { store } = await openNode()
    await store.append({ stream: 'b', events: [event('A')], expected: 'any' })
    const given = { ...write('a'), events: [event('A'), event('B')] }
    expect(await store.appendAtomically({ writes: [given, write('b', { expected: 0 }), write('c', { expected: 'noStream' })] })).toEqual({
      position: 5,
      streams: [
        { stream: 'a', revision: 1 },
        { stream: 'b', revision: 1 },
        { stream: 'c', revision: 0 },
      ],
    })
    const all = await store.readAll({ limit: 10, consistency: 'local' })
    expect(all.map(({ stream, revision, position }) => [stream, revision, position])).toEqual([
      ['b', 0, 1],
      ['a', 0, 2],
      ['a', 1, 3],
      ['b', 1, 4],
      ['c', 0, 5],
    ])
  })

  test('writes nothing when one stream is not as expected, and tells every violated one, checks and the condition too', async () => {
    const { store } = await openNode()
    await store.appendAtomically({ writes: [write('a', {}, ['t']), write('b')] })
    const error = await refusal(store, {
      writes: [write('a', { expected: 'noStream' }), write('b', { expected: 0 }), write('c', { expected: 7 })],
      checks: [
        { stream: 'd', expected: 'streamExists' },
        { stream: 'e', expected: 'noStream' },
      ],
      condition: unless('t'),
    })
    expect(error).toMatchObject({
      code: 'wrong_expected_revision',
      stream: 'a',
      expected: 'noStream',
      actual: 0,
      violations: [
        { kind: 'revision', stream: 'a', expected: 'noStream', actual: 0 },
        { kind: 'revision', stream: 'c', expected: 7, actual: 'noStream' },
        { kind: 'revision', stream: 'd', expected: 'streamExists', actual: 'noStream' },
        { kind: 'condition', position: 1 },
      ],
    })
  })

  test('checks streams that it does not write', async () => {
    const { store } = await openNode()
    await store.append({ stream: 'open', events: [event('A')], expected: 'any' })
    const checks = [{ stream: 'open', expected: 0 }] as const
    expect(await store.appendAtomically({ writes: [write('a')], checks })).toMatchObject({ position: 2 })
    await store.append({ stream: 'open', events: [event('A')], expected: 'any' })
    expect(await refusal(store, { writes: [write('a')], checks })).toMatchObject({
      code: 'wrong_expected_revision',
      stream: 'open',
      actual: 1,
    })
  })

  test('takes records that the caller encoded', async () => {
    const { store } = await openNode()
    const records = [encodeRecord({ type: 'Taken', data: Uint8Array.of(0x31), tags: ['t'] }, drawUuid(), 0)]
    const request = { writes: [{ stream: 'a', records }], condition: unless('t') }
    const first = await store.appendRecordsAtomically(request)
    expect(first).toEqual({ position: 1, streams: [{ stream: 'a', revision: 0 }] })
    expect(await store.appendRecordsAtomically(request)).toEqual(first)
  })
})

describe('a condition', () => {
  test.each<[string, AppendCondition, number]>([
    ['a tag', { failIfEventsMatch: { items: [{ tags: ['x'] }] } }, 3],
    ['every tag of an item', { failIfEventsMatch: { items: [{ tags: ['x', 'y'] }] } }, 2],
    ['any type of an item', { failIfEventsMatch: { items: [{ types: ['None', 'A', 'B'] }] } }, 3],
    ['a type and a tag', { failIfEventsMatch: { items: [{ types: ['A'], tags: ['x'] }] } }, 1],
    ['any item, the newest match told', { failIfEventsMatch: { items: [{ types: ['A'] }, { types: ['B'] }] } }, 3],
    ['every event, when an item asks for nothing', { failIfEventsMatch: { items: [{}] } }, 4],
    ['events after a position', { failIfEventsMatch: { items: [{ tags: ['x'] }] }, after: 2 }, 3],
    ['nothing at or below it', { failIfEventsMatch: { items: [{ tags: ['x'] }] }, after: 3 }, 0],
    ['nothing when an item has no match', { failIfEventsMatch: { items: [{ types: ['A'], tags: ['y'] }] } }, 0],
    ['nothing above the head', { failIfEventsMatch: { items: [{}] }, after: 99 }, 0],
  ])('sees %s, in memory and flushed', async (_, condition, position) => {
    for (const isFlushed of [false, true]) {
      const { store, machine } = await openNode({ machine: { flushDelayMs: 1_000_000 } })
      const events = [
        event('A', 0, { tags: ['x'] }),
        event('B', 0, { tags: ['x', 'y'] }),
        event('B', 0, { tags: ['x', 'x'] }),
        event('C', 0),
      ]
      await store.append({ stream: 's', events, expected: 'any' })
      if (isFlushed) await machine.flush()
      const request = { writes: [write('a')], condition }
      if (position === 0) expect(await store.appendAtomically(request)).toMatchObject({ position: 5 })
      else
        expect(await refusal(store, request)).toMatchObject({
          code: 'condition_failed',
          position,
          violations: [{ kind: 'condition', position }],
        })
    }
  })

  test('sees the commands before it in its own slot: of a hundred at once one wins', async () => {
    const { store } = await openNode()
    const requests = Array.from({ length: 100 }, (_, at) => ({
      writes: [write(`user-${at}`, {}, ['name:bob'])],
      condition: unless('name:bob'),
    }))
    const ends = await Promise.allSettled(requests.map((request) => store.appendAtomically(request)))
    expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(store.position()).toBe(1)
  })

  test('is too broad when it is not decided within the bound, and is not when a match or the end comes first', async () => {
    const { store, machine } = await openNode({ machine: { conditionScanMax: 10 } })
    const each = Array.from({ length: 6 }, () => event('A', 0, { tags: ['x'] }))
    await store.append({ stream: 's', events: each, expected: 'any' })
    await machine.flush()
    await store.append({ stream: 's', events: Array.from({ length: 6 }, () => event('B', 0, { tags: ['y'] })), expected: 'any' })
    // Two lists, so two postings a step: five of the six.
    const both = { failIfEventsMatch: { items: [{ tags: ['x', 'y'] }] } }
    expect(await refusal(store, { writes: [write('a')], condition: both })).toMatchObject({ code: 'condition_too_broad' })
    expect(await store.appendAtomically({ writes: [write('a')], condition: { ...both, after: 1 } })).toMatchObject({ position: 13 })
    const rare = { failIfEventsMatch: { items: [{ types: ['A'], tags: ['z'] }] } }
    expect(await store.appendAtomically({ writes: [write('a')], condition: rare })).toMatchObject({ position: 14 })
    const found = { failIfEventsMatch: { items: [{ types: ['A'] }, ...both.failIfEventsMatch.items] } }
    expect(await refusal(store, { writes: [write('a')], condition: found })).toMatchObject({ code: 'condition_failed', position: 6 })
  })

  test('does not see what retention hides, and sees what was appended since', async () => {
    const { store, machine } = await openNode()
    const append = (): Promise<unknown> =>
      store.appendAtomically({ writes: [write('name-bob', {}, ['name:bob'])], condition: unless('name:bob') })
    await append()
    await store.retention.delete('name-bob', {})
    await machine.flush()
    await append()
    await expect(append()).rejects.toMatchObject({ code: 'condition_failed', position: 2 })
    expect(
      await store.appendAtomically({ writes: [write('b')], condition: { failIfEventsMatch: { items: [{}] }, after: 2 } }),
    ).toMatchObject({ position: 3 })
  })
})

describe('what a batch changes after its conditions were prefetched', () => {
  test('a list that was the shortest and is not any more', async () => {
    const { store, machine } = await openNode({ machine: { flushDelayMs: 1_000_000 } })
    const tagged = (tag: string, count: number) => Array.from({ length: count }, () => event('A', 0, { tags: [tag] }))
    await store.append({ stream: 's', events: [...tagged('few', 3), ...tagged('many', 200)], expected: 'any' })
    await machine.flush()
    const [, appended] = await Promise.all([
      store.append({ stream: 's', events: tagged('few', 100), expected: 'any' }),
      store.appendAtomically({ writes: [write('a')], condition: { failIfEventsMatch: { items: [{ tags: ['few', 'many'] }] } } }),
    ])
    expect(appended).toMatchObject({ position: 304 })
  })

  test.each([false, true])('a match that is hidden by then, before older ones (flushed: %s)', async (isFlushed) => {
    const { store, machine } = await openNode({ machine: { flushDelayMs: 1_000_000, idWindow: 2 } })
    const tagged = (): ReturnType<typeof event> => event('A', 0, { tags: ['t'] })
    await store.append({ stream: 'old', events: [tagged(), ...Array.from({ length: 70 }, () => event('A'))], expected: 'any' })
    await store.append({ stream: 'short', events: [tagged()], expected: 'any' })
    await store.retention.setMetadata('short', { maxCount: 1 })
    if (isFlushed) await machine.flush()
    const request = { writes: [write('a')], condition: { failIfEventsMatch: { items: [{ tags: ['t'] }] } } }
    const [, refused] = await Promise.allSettled([
      store.append({ stream: 'short', events: [event('A')], expected: 'any' }),
      store.appendAtomically(request),
    ])
    expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'condition_failed', position: 1 } })
    await store.append({ stream: 'short', events: [tagged()], expected: 'any' })
    expect(await refusal(store, request)).toMatchObject({ code: 'condition_failed', position: 74 })
  })
})

describe('the order of verdicts', () => {
  test('a retry of an append whose own events now match its condition and violate its revisions answers as before', async () => {
    const { store } = await openNode()
    const request = {
      writes: [write('a', { expected: 'noStream' }, ['t']), write('b', { expected: 'noStream' })],
      checks: [{ stream: 'c', expected: 'noStream' as const }],
      condition: unless('t'),
    }
    const first = await store.appendAtomically(request)
    await store.append({ stream: 'c', events: [event('A')], expected: 'any' })
    expect(await store.appendAtomically(request)).toEqual(first)
    expect(store.position()).toBe(3)
  })

  test('a key answers before ids are looked at, refusals too, and another request under it is refused', async () => {
    const { store } = await openNode()
    const events = (): StreamEvents => ({ stream: 'a', events: [event('Taken', 1, { tags: ['t'] })] })
    const request = { writes: [events()], condition: unless('t'), idempotencyKey: 'k' }
    const first = await store.appendAtomically(request)
    expect(await store.appendAtomically({ ...request, writes: [events()] })).toEqual(first)
    const refused = { ...request, idempotencyKey: 'l' }
    expect(await refusal(store, refused)).toMatchObject({ code: 'condition_failed', position: 1 })
    await store.retention.delete('a', {})
    expect(await refusal(store, refused)).toMatchObject({ code: 'condition_failed', position: 1 })
    for (const other of [
      { ...request, condition: unless('t', 0), checks: [{ stream: 'x', expected: 'any' as const }] },
      { ...request, condition: unless('u') },
      { ...request, condition: unless('t', 5) },
      { ...request, writes: [{ ...events(), expected: 'streamExists' as const }] },
      { writes: request.writes, idempotencyKey: 'k' },
    ])
      expect(await refusal(store, other)).toMatchObject({ code: 'idempotency_key_reused' })
    await expect(store.append({ ...events(), expected: 'any', idempotencyKey: 'k' })).rejects.toMatchObject({
      code: 'idempotency_key_reused',
    })
  })

  test('ids come before a tombstone, a tombstone before revisions and the condition', async () => {
    const { store } = await openNode()
    const writes = [write('a', {}, ['t']), write('b')]
    const first = await store.appendAtomically({ writes })
    await store.retention.delete('b', { isHard: true })
    expect(await store.appendAtomically({ writes })).toEqual(first)
    expect(await refusal(store, { writes: [writes[0]!, write('b')] })).toMatchObject({ code: 'event_id_conflict' })
    const error = await refusal(store, { writes: [write('a', { expected: 9 }), write('b', { expected: 9 })], condition: unless('t') })
    expect(error).toMatchObject({ code: 'stream_tombstoned' })
    expect(error.message).toContain('"b"')
    await expect(store.append({ stream: 'b', events: [event('A')], expected: 7 })).rejects.toMatchObject({ code: 'stream_tombstoned' })
  })

  test('violated revisions are told, though the condition is too broad', async () => {
    const { store } = await openNode({ machine: { conditionScanMax: 1 } })
    await store.append({ stream: 's', events: [event('Taken', 0, { tags: ['t', 'u'] })], expected: 'any' })
    const condition = { failIfEventsMatch: { items: [{ tags: ['t', 'v'] }, { tags: ['t', 'u'] }] } }
    expect(await refusal(store, { writes: [write('a')], condition })).toMatchObject({ code: 'condition_too_broad' })
    expect(await refusal(store, { writes: [write('a', { expected: 3 })], condition })).toMatchObject({
      code: 'wrong_expected_revision',
      violations: [{ kind: 'revision', stream: 'a', expected: 3, actual: 'noStream' }],
    })
  })

  test('an id is recognised in every write, and an append that overlaps in part is refused', async () => {
    const { store } = await openNode()
    const writes = [write('a'), write('b')]
    await store.appendAtomically({ writes })
    for (const other of [
      [writes[0]!, write('b')],
      [write('a'), writes[1]!],
      [
        { ...writes[0]!, stream: 'b' },
        { ...writes[1]!, stream: 'a' },
      ],
    ])
      expect(await refusal(store, { writes: other })).toMatchObject({ code: 'event_id_conflict' })
    // One of the writes alone is an append that stands there.
    expect(await store.appendAtomically({ writes: [writes[0]!] })).toEqual({ position: 1, streams: [{ stream: 'a', revision: 0 }] })
  })
})

const condition = (items: unknown, after?: number): AppendCondition =>
  ({ failIfEventsMatch: { items }, ...(after !== undefined && { after }) }) as AppendCondition

describe('what makes no sense is refused before it is proposed', () => {
  test.each<[string, Partial<AtomicAppendRequest>, string]>([
    ['no writes', { writes: [] }, 'invalid_argument'],
    ['a write without events', { writes: [{ stream: 'a', events: [] }] }, 'invalid_argument'],
    ['two writes to one stream', { writes: [write('a'), write('a')] }, 'invalid_argument'],
    ['a write and a check of one stream', { checks: [{ stream: 'a', expected: 'any' }] }, 'invalid_argument'],
    ['two checks of one stream', { checks: [1, 2].map(() => ({ stream: 'b', expected: 'any' })) }, 'invalid_argument'],
    ['a reserved stream', { writes: [write('$a')] }, 'invalid_argument'],
    ['an expectation that is none', { checks: [{ stream: 'b', expected: -1 }] }, 'invalid_argument'],
    ['the same id twice', { writes: [write('a', {}, [], 5), write('b', {}, [], 5)] }, 'invalid_argument'],
    ['an empty key', { idempotencyKey: '' }, 'invalid_argument'],
    ['a condition without items', { condition: condition([]) }, 'invalid_argument'],
    ['a condition without a query', { condition: {} as AppendCondition }, 'invalid_argument'],
    ['items that are none', { condition: condition([1]) }, 'invalid_argument'],
    ['an empty tag', { condition: condition([{ tags: [''] }]) }, 'invalid_argument'],
    ['types that are no list', { condition: condition([{ types: 'A' }]) }, 'invalid_argument'],
    ['an after that is none', { condition: condition([{}], -1) }, 'invalid_argument'],
    ['too many items', { condition: condition(Array.from({ length: 65 }, () => ({}))) }, 'too_large'],
    ['too many terms', { condition: condition([{ types: Array.from({ length: 257 }, (_, at) => `T${at}`) }]) }, 'too_large'],
    ['a long tag', { condition: condition([{ tags: ['x'.repeat(257)] }]) }, 'too_large'],
    ['too many streams', { checks: Array.from({ length: 256 }, (_, at) => ({ stream: `c${at}`, expected: 'any' })) }, 'too_large'],
    [
      'too many events in all',
      { writes: ['a', 'b'].map((stream) => ({ stream, events: Array.from({ length: 2049 }, () => event('A')) })) },
      'too_large',
    ],
    [
      'too many bytes in all',
      { writes: Array.from({ length: 15 }, (_, at) => ({ stream: `s${at}`, events: [event('A', 'x'.repeat(600_000))] })) },
      'too_large',
    ],
  ])('%s', async (_, request, code) => {
    const { store } = await openNode()
    await expect(store.appendAtomically({ writes: [write('a')], ...request })).rejects.toMatchObject({ code })
    expect(store.position()).toBe(0)
  })
})
