import { describe, expect, test } from 'vitest'
import { decodeRecord } from '@synod/event-record'
import { EventStoreError, type AppendRequest, type ProposedEvent, type ReadSide } from '@synod/events'
import { memoryReadSide } from '@synod/events/memory'
import { event, openNode, uuid } from './node.ts'

const local = { consistency: 'local', limit: 100 } as const

describe('append', () => {
  test('numbers revisions in the stream and positions over all, and answers those of the last event', async () => {
    const { store } = await openNode()
    expect(await store.append({ stream: 'a', events: [event('x'), event('y')], expected: 'noStream' })).toEqual({
      revision: 1,
      position: 2,
    })
    expect(await store.append({ stream: 'b', events: [event('x')], expected: 'any' })).toEqual({ revision: 0, position: 3 })
    expect(await store.append({ stream: 'a', events: [event('z')], expected: 1 })).toEqual({ revision: 2, position: 4 })
  })

  test.each([
    ['noStream', 'old', 0],
    ['streamExists', 'new', 'noStream'],
    [1, 'old', 0],
    [0, 'new', 'noStream'],
  ] as const)('expected %s of the %s stream is refused with what is there', async (expected, stream, actual) => {
    const { store } = await openNode()
    await store.append({ stream: 'old', events: [event('x')], expected: 'any' })
    await expect(store.append({ stream, events: [event('y')], expected })).rejects.toMatchObject({
      code: 'wrong_expected_revision',
      stream,
      expected,
      actual,
    })
    expect(store.position()).toBe(1)
  })

  test('the same event ids are the same append, whatever is expected', async () => {
    const { store } = await openNode()
    const events = [event('x', 1, { id: uuid(1) }), event('y', 2, { id: uuid(2).toUpperCase() })]
    const first = await store.append({ stream: 'a', events, expected: 'noStream' })
    await store.append({ stream: 'a', events: [event('z')], expected: 'any' })
    for (const expected of ['noStream', 'any', 99] as const) expect(await store.append({ stream: 'a', events, expected })).toEqual(first)
    expect(await store.append({ stream: 'a', events: events.slice(0, 1), expected: 'any' })).toEqual({ revision: 0, position: 1 })
    expect(store.position()).toBe(3)
  })

  test('an overlap in part, another order, another stream are conflicts and write nothing', async () => {
    const { store } = await openNode()
    const [a, b, c] = [1, 2, 3].map((number) => event('x', number, { id: uuid(number) })) as [ProposedEvent, ProposedEvent, ProposedEvent]
    await store.append({ stream: 's', events: [a, b], expected: 'any' })
    const conflicts: AppendRequest[] = [
      { stream: 's', events: [b, c], expected: 'any' },
      { stream: 's', events: [c, a], expected: 'any' },
      { stream: 's', events: [b, a], expected: 'any' },
      { stream: 't', events: [a], expected: 'any' },
    ]
    for (const request of conflicts) await expect(store.append(request)).rejects.toMatchObject({ code: 'event_id_conflict' })
    expect(store.position()).toBe(2)
    await expect(store.readStream('t', local)).rejects.toMatchObject({ code: 'stream_not_found' })
  })

  test('one id twice in a request is no conflict but a mistake: both places are named, known or not', async () => {
    const { store } = await openNode()
    const known = event('x', 1, { id: '00000000-0000-4000-8000-00000000000a' })
    await store.append({ stream: 's', events: [known], expected: 'any' })
    for (const twice of [known, event('x', 2, { id: '00000000-0000-4000-8000-00000000000b' })]) {
      const events = [event('y'), twice, event('z'), { ...twice, id: twice.id?.toUpperCase() ?? '' }]
      await expect(store.append({ stream: 's', events, expected: 'any' })).rejects.toMatchObject({
        code: 'invalid_argument',
        message: expect.stringContaining('events 1 and 3 have the same id') as string,
      })
    }
    expect(store.position()).toBe(1)
  })

  test('an idempotency key keeps the answer, a refusal too, and belongs to one request of one principal', async () => {
    const { store } = await openNode()
    const request: AppendRequest = { stream: 'a', events: [event('x')], expected: 'noStream', idempotencyKey: 'k' }
    const first = await store.append(request)
    expect(await store.append(request)).toEqual(first)
    await expect(store.append({ ...request, events: [event('x', 2)] })).rejects.toMatchObject({ code: 'idempotency_key_reused' })
    expect(await store.append({ ...request, principal: 'p', expected: 'any' })).toEqual({ revision: 1, position: 2 })
    const refused: AppendRequest = { stream: 'b', events: [event('x')], expected: 'streamExists', idempotencyKey: 'r' }
    await expect(store.append(refused)).rejects.toMatchObject({ code: 'wrong_expected_revision' })
    await store.append({ stream: 'b', events: [event('x')], expected: 'any' })
    await expect(store.append(refused)).rejects.toMatchObject({ code: 'wrong_expected_revision', actual: 'noStream' })
  })

  test('ids and keys beyond their bounds are forgotten, exactly there', async () => {
    const { store } = await openNode({ machine: { idWindow: 3, keysMax: 2 } })
    const append = (id: number): Promise<unknown> =>
      store.append({ stream: 'a', events: [event('x', 0, { id: uuid(id) })], expected: 'any' })
    for (const id of [1, 2, 3]) await append(id)
    expect(await append(1)).toEqual({ revision: 0, position: 1 })
    await append(4)
    expect(await append(2)).toEqual({ revision: 1, position: 2 })
    expect(await append(1)).toEqual({ revision: 4, position: 5 })
    const keyed = (key: string): Promise<unknown> =>
      store.append({ stream: 'k', events: [event('x')], expected: 'any', idempotencyKey: key })
    await keyed('a')
    await keyed('b')
    expect(await keyed('a')).toEqual({ revision: 0, position: 6 })
    await keyed('c')
    expect(await keyed('a')).toEqual({ revision: 3, position: 9 })
  })

  test('a log that does not answer is told apart from one that says never', async () => {
    const { store, log } = await openNode()
    await store.append({ stream: 'a', events: [event('x')], expected: 'any' })
    const append = (): Promise<unknown> => store.append({ stream: 'a', events: [event('x')], expected: 'any' })
    log.refusal = { fate: 'never', why: 'busy' }
    await expect(append()).rejects.toMatchObject({ code: 'busy' })
    log.refusal = { fate: 'never', why: 'notServing' }
    await expect(append()).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('nothing was written') })
    log.refusal = { fate: 'unknown', why: 'timeout' }
    await expect(append()).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('unknown') })
    log.refusal = { fate: 'never', why: 'tooLarge' }
    await expect(append()).rejects.toMatchObject({ code: 'too_large' })
  })
})

describe('what a caller gives', () => {
  const good: AppendRequest = { stream: 'a', events: [event('x')], expected: 'any' }
  const wrong: [string, unknown, string][] = [
    ['a stream without a name', { stream: '' }, 'invalid_argument'],
    ['a reserved stream', { stream: '$all' }, 'invalid_argument'],
    ['half a character', { stream: '\ud800' }, 'invalid_argument'],
    ['a stream name too long', { stream: 'é'.repeat(257) }, 'too_large'],
    ['no stream', { stream: undefined }, 'invalid_argument'],
    ['no events', { events: [] }, 'invalid_argument'],
    ['events that are no list', { events: 'x' }, 'invalid_argument'],
    ['a null event', { events: [null] }, 'invalid_argument'],
    ['an event without a type', { events: [{ data: new Uint8Array() }] }, 'invalid_argument'],
    ['an empty type', { events: [event('')] }, 'invalid_argument'],
    ['a reserved type', { events: [event('$x')] }, 'invalid_argument'],
    ['data that are no bytes', { events: [{ type: 'x', data: '{}' }] }, 'invalid_argument'],
    ['tags that are no list', { events: [{ ...event('x'), tags: 'a' }] }, 'invalid_argument'],
    ['a tag that is no text', { events: [{ ...event('x'), tags: [1] }] }, 'invalid_argument'],
    ['too many tags', { events: [event('x', 0, { tags: Array.from({ length: 65 }, String) })] }, 'too_large'],
    ['a tag too long', { events: [event('x', 0, { tags: ['t'.repeat(257)] })] }, 'too_large'],
    ['an id that is no UUID', { events: [event('x', 0, { id: 'one' })] }, 'invalid_argument'],
    ['an event too large', { events: [event('x', 'y'.repeat(1024 * 1024))] }, 'too_large'],
    ['too many events', { events: Array.from({ length: 4097 }, () => event('x')) }, 'too_large'],
    ['a request too large', { events: Array.from({ length: 9 }, () => event('x', 'y'.repeat(1_000_000))) }, 'too_large'],
    ['an unknown expectation', { expected: 'none' }, 'invalid_argument'],
    ['a negative revision', { expected: -1 }, 'invalid_argument'],
    ['half a revision', { expected: 0.5 }, 'invalid_argument'],
    ['an empty key', { idempotencyKey: '' }, 'invalid_argument'],
    ['a key too long', { idempotencyKey: 'k'.repeat(257) }, 'too_large'],
  ]

  test.each(wrong)('%s is refused', async (_, part, code) => {
    const { store } = await openNode()
    await expect(store.append({ ...good, ...(part as Partial<AppendRequest>) })).rejects.toMatchObject({ name: 'EventStoreError', code })
    expect(store.position()).toBe(0)
  })

  test.each([
    ['a limit of 0', { limit: 0 }],
    ['a limit of 4097', { limit: 4097 }],
    ['a negative from', { from: -1 }],
    ['half a from', { from: 1.5 }],
    ['a direction', { direction: 'up' }],
    ['a consistency', { consistency: 'eventual' }],
  ])('a read with %s that is not allowed', async (_, part) => {
    const { store } = await openNode()
    await store.append(good)
    await expect(store.readAll({ ...local, ...(part as object) })).rejects.toMatchObject({ code: 'invalid_argument' })
    await expect(store.readStream('a', { ...local, ...(part as object) })).rejects.toMatchObject({ code: 'invalid_argument' })
  })

  test('everything that was given comes back', async () => {
    const { store } = await openNode()
    const given = {
      id: uuid(7),
      type: 'Tÿpe',
      data: new TextEncoder().encode('{"a":[1,"é"]}'),
      metadata: new TextEncoder().encode('null'),
      tags: ['user:1', 'ß'],
    }
    await store.append({ stream: '\uFEFFs/\u0000 𝄞', events: [given], expected: 'any' })
    const [read] = await store.readStream('\uFEFFs/\u0000 𝄞', local)
    expect(read).toMatchObject({ stream: '\uFEFFs/\u0000 𝄞', revision: 0, position: 1 })
    expect(decodeRecord(read?.record ?? new Uint8Array(0))).toEqual({ ...given, recordedAt: 1_700_000_000_000 })
    await expect(store.readStream('s/\u0000 𝄞', local)).rejects.toMatchObject({ code: 'stream_not_found' })
  })
})

describe.each([
  ['from the tail', 1_000_000],
  ['from the read side', 1],
])('read %s', (_, tailBytesMax) => {
  async function filled() {
    const node = await openNode({ machine: { tailBytesMax, flushDelayMs: 0 } })
    for (let at = 0; at < 20; at++) await node.store.append({ stream: at % 3 === 0 ? 'a' : 'b', events: [event('x', at)], expected: 'any' })
    await node.machine.flush()
    return node
  }

  test('a stream, both ways, from anywhere', async () => {
    const { store } = await filled()
    const revisions = async (options: object): Promise<number[]> =>
      (await store.readStream('a', { ...local, ...options })).map(({ revision }) => revision)
    expect(await revisions({})).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(await revisions({ from: 2, limit: 3 })).toEqual([2, 3, 4])
    expect(await revisions({ from: 7 })).toEqual([])
    expect(await revisions({ from: Number.MAX_SAFE_INTEGER })).toEqual([])
    expect(await revisions({ direction: 'backward' })).toEqual([6, 5, 4, 3, 2, 1, 0])
    expect(await revisions({ direction: 'backward', from: 4, limit: 2 })).toEqual([4, 3])
    expect(await revisions({ direction: 'backward', from: 100, limit: 1 })).toEqual([6])
    await expect(store.readStream('c', local)).rejects.toBeInstanceOf(EventStoreError)
  })

  test('all, both ways, from anywhere', async () => {
    const { store } = await filled()
    const positions = async (options: object): Promise<number[]> =>
      (await store.readAll({ ...local, ...options })).map(({ position }) => position)
    const every = Array.from({ length: 20 }, (__, at) => at + 1)
    expect(await positions({})).toEqual(every)
    expect(await positions({ from: 0 })).toEqual(every)
    expect(await positions({ from: 1 })).toEqual(every)
    expect(await positions({ from: 7, limit: 3 })).toEqual([7, 8, 9])
    expect(await positions({ from: 21 })).toEqual([])
    expect(await positions({ direction: 'backward' })).toEqual(every.toReversed())
    expect(await positions({ direction: 'backward', from: 5, limit: 2 })).toEqual([5, 4])
    expect(await positions({ direction: 'backward', from: 0 })).toEqual([])
    expect((await store.readAll({ ...local, from: 4, limit: 1 }))[0]).toMatchObject({ stream: 'a', revision: 1 })
  })

  test('a page ends at its bytes, but is never empty before the end', async () => {
    const node = await openNode({ machine: { tailBytesMax, flushDelayMs: 0 }, limits: { pageBytesMax: 1000 } })
    for (let at = 0; at < 9; at++)
      await node.store.append({ stream: 'a', events: [event('x', 'y'.repeat(at === 4 ? 5000 : 300))], expected: 'any' })
    await node.machine.flush()
    const sizes: number[] = []
    for (let from = 1; ;) {
      const page = await node.store.readAll({ ...local, from })
      if (page.length === 0) break
      sizes.push(page.length)
      from += page.length
    }
    expect(sizes).toEqual([2, 2, 1, 2, 2])
    expect((await node.store.readStream('a', { ...local, direction: 'backward' })).map(({ revision }) => revision)).toEqual([8, 7])
  })
})

test('a stream that comes while a reader looks for it is found', async () => {
  const inner = memoryReadSide()
  const gate = Promise.withResolvers<void>()
  const looking = Promise.withResolvers<void>()
  let looks = 0
  const readSide = new Proxy(inner, {
    get(target, name: keyof ReadSide) {
      const value = target[name]
      if (name !== 'streamsNamed') return typeof value === 'function' ? value.bind(target) : value
      return async (names: readonly string[]) => {
        const rows = await target.streamsNamed(names)
        if (looks++ > 0) return rows
        looking.resolve()
        await gate.promise
        return rows
      }
    },
  })
  const { store } = await openNode({ readSide })
  const page = store.readStream('a', local)
  await looking.promise
  await store.append({ stream: 'a', events: [event('x')], expected: 'noStream' })
  gate.resolve()
  expect(await page).toHaveLength(1)
})

test('a linearizable read says when there is no quorum; a local one answers', async () => {
  const { store, log } = await openNode()
  await store.append({ stream: 'a', events: [event('x')], expected: 'any' })
  log.isolated = true
  await expect(store.readAll({ limit: 1, consistency: 'linearizable' })).rejects.toMatchObject({ code: 'unavailable' })
  expect(await store.readAll({ limit: 1, consistency: 'local' })).toHaveLength(1)
})
