/**
 * Filtered reads, and all reads where something is hidden, against a list that is searched from end to end: with random
 * flush points, caches of next to nothing, answers that come at odd moments, and appends in between.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { EventFilter, QueryPage, RecordedEvent } from '@synod/events'
import { memoryReadSide } from '@synod/events/memory'
import { drawnEvent, drawnFilter, oddReadSide, passes, streams, type DrawnEvent, type KnownEvent } from './filter-fixtures.ts'
import { Hiding } from './hiding.ts'
import { event, eventsOf, openNode, take, type NodeOptions, type TestNode } from './node.ts'

const direction = fc.constantFrom('forward' as const, 'backward' as const)
const local = 'local' as const

class World {
  readonly node: TestNode
  readonly hiding: Hiding
  /** In order; those that are on their way come at their end. */
  readonly events: KnownEvent[] = []

  constructor(node: TestNode) {
    this.node = node
    this.hiding = new Hiding(node.machine)
  }

  async append(drawn: readonly DrawnEvent[]): Promise<void> {
    // In one turn: the log decides in this order.
    await Promise.all(
      drawn.map(({ stream, type, tags }) => {
        const revision = this.events.filter((known) => known.stream === stream).length
        this.events.push({ stream, type, tags, revision, position: this.events.length + 1 })
        return this.node.store.append({ stream, events: [event(type, {}, { tags })], expected: 'any' })
      }),
    )
  }

  visible(filter: EventFilter = {}): KnownEvent[] {
    return this.events.filter((known) => passes(filter, known) && this.hiding.shows(known))
  }
}

async function world(options: NodeOptions, turns: readonly number[] = [0]): Promise<World> {
  return new World(await openNode({ ...options, readSide: oddReadSide(memoryReadSide(), turns) }))
}

const places = (events: readonly RecordedEvent[]): number[] => events.map(({ position }) => position)
const positions = (events: readonly KnownEvent[]): number[] => events.map(({ position }) => position)

type Step =
  | { readonly kind: 'append'; readonly events: readonly DrawnEvent[] }
  | { readonly kind: 'flush' }
  | { readonly kind: 'hide'; readonly stream: string; readonly belowRevision: number; readonly throughPosition: number }
  | {
      readonly kind: 'query'
      readonly filter: EventFilter
      readonly direction: 'forward' | 'backward'
      readonly from: number | undefined
      readonly limit: number
      /** Appended while the first page is read. */
      readonly meanwhile: readonly DrawnEvent[]
    }
  | {
      readonly kind: 'read'
      readonly stream: string
      readonly direction: 'forward' | 'backward'
      readonly from: number
      readonly limit: number
    }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('append' as const), events: fc.array(drawnEvent, { minLength: 1, maxLength: 8 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('hide' as const),
      stream: fc.constantFrom(...streams),
      belowRevision: fc.nat(12),
      throughPosition: fc.nat(60),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('query' as const),
      filter: drawnFilter,
      direction,
      from: fc.option(fc.nat(70), { nil: undefined }),
      limit: fc.integer({ min: 1, max: 9 }),
      meanwhile: fc.array(drawnEvent, { maxLength: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      stream: fc.constantFrom(...streams),
      direction,
      from: fc.nat(60),
      limit: fc.integer({ min: 1, max: 9 }),
    }),
  },
)

test('what is read is what the model says', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 40 }),
      fc.record({
        tailBytesMax: fc.constantFrom(1, 600, 100_000),
        flushEventsMax: fc.constantFrom(1, 5, 1000),
        flushDelayMs: fc.constantFrom(0, 1_000_000),
      }),
      fc.record({ scanEventsMax: fc.constantFrom(1, 40, 16_384), pageBytesMax: fc.constantFrom(1, 400, 1_000_000) }),
      fc.array(fc.nat(3), { minLength: 1, maxLength: 7 }),
      async (steps, machine, limits, turns) => {
        const it = await world({ machine, limits }, turns)
        for (const one of steps) {
          if (one.kind === 'append') await it.append(one.events)
          else if (one.kind === 'flush') await it.node.machine.flush()
          else if (one.kind === 'hide') it.hiding.hide(one.stream, one)
          else if (one.kind === 'query') await query(it, one)
          else await read(it, one)
        }
        await it.node.store.close()
      },
    ),
    { numRuns: 400 },
  )
}, 120_000)

/** Page by page to the end; each page is exact for what it says it considered. */
async function query(it: World, { filter, direction: way, from, limit, meanwhile }: Extract<Step, { kind: 'query' }>): Promise<void> {
  const head = it.events.length
  const isForward = way === 'forward'
  let next = from ?? (isForward ? 1 : head)
  for (let pages = 0; ; pages++) {
    const reading = it.node.store.query({
      filter,
      direction: way,
      limit,
      consistency: local,
      ...((from !== undefined || pages > 0) && { from: next }),
    })
    if (pages === 0) await it.append(meanwhile)
    const page: QueryPage = await reading
    const { considered, isEnd } = page
    const within = (low: number, high: number): number[] => {
      const wanted = it.visible(filter).filter(({ position }) => position >= low && position <= high)
      return positions(isForward ? wanted : wanted.toReversed())
    }
    expect(page.events.length).toBeLessThanOrEqual(limit)
    if (isForward) expect(places(page.events)).toEqual(within(next, considered))
    // Where the end was when a backward read began is anywhere in what was appended meanwhile.
    else
      expect(
        meanwhile.map((_, at) => within(considered, Math.min(next, it.events.length - at - 1))).concat([within(considered, next)]),
      ).toContainEqual(places(page.events))
    if (isEnd) {
      if (isForward) expect(considered).toBeGreaterThanOrEqual(head)
      else expect(considered).toBeLessThanOrEqual(1)
      return
    }
    // It has come some way.
    if (isForward) expect(considered).toBeGreaterThanOrEqual(next)
    else expect(considered).toBeLessThanOrEqual(next)
    next = isForward ? considered + 1 : considered - 1
  }
}

async function read(it: World, one: Extract<Step, { kind: 'read' }>): Promise<void> {
  const { store } = it.node
  const { direction: way, limit, stream, from } = one
  const options = { direction: way, limit, consistency: local, from } as const
  const order = (events: KnownEvent[]): KnownEvent[] => (way === 'forward' ? events : events.toReversed())
  const wanted = order(it.visible().filter(({ position }) => (way === 'forward' ? position >= from : position <= from)))
  const all = places(await store.readAll(options))
  expect(all.length > 0).toBe(wanted.length > 0)
  expect(all).toEqual(positions(wanted).slice(0, all.length))
  expect(all.length).toBeLessThanOrEqual(limit)

  const own = it.events.filter((known) => known.stream === stream)
  if (own.length === 0) {
    await expect(store.readStream(stream, options)).rejects.toMatchObject({ code: 'stream_not_found' })
    return
  }
  const shown = own.filter((known) => it.hiding.shows(known))
  const page = places(await store.readStream(stream, options))
  const wantedOwn = order(shown.filter(({ revision }) => (way === 'forward' ? revision >= from : revision <= from)))
  expect(page.length > 0).toBe(wantedOwn.length > 0)
  expect(page).toEqual(positions(wantedOwn).slice(0, page.length))
  const info = await store.streamInfo(stream, { consistency: local })
  expect(info).toMatchObject({ stream, firstRevision: own.length - shown.length, lastRevision: own.length - 1, length: shown.length })
  expect(info.lastEvent?.position).toBe(shown.at(-1)?.position)
}

test('lists of every density leap through each other', async () => {
  const it = await world({ machine: { tailBytesMax: 20_000, flushDelayMs: 1_000_000, flushEventsMax: 1000 } })
  const tagsOf = (n: number): string[] => [2, 3, 7, 50, 61, 400].filter((every) => (n * 7) % every === 1).map((every) => `every-${every}`)
  const known: KnownEvent[] = []
  for (let at = 0; at < 9000; at += 500) {
    const drawn = Array.from({ length: 500 }, (_, n) => ({ type: `type-${(at + n) % 5}`, tags: tagsOf(at + n) }))
    const stream = `cat${at % 3}-1`
    for (const [n, one] of drawn.entries()) known.push({ ...one, stream, revision: 0, position: at + n + 1 })
    await it.node.store.append({ stream, events: drawn.map(({ type, tags }) => event(type, {}, { tags })), expected: 'any' })
    if (at === 7000) await it.node.machine.flush()
  }
  const dense = fc.record(
    {
      types: fc.subarray(['type-0', 'type-1', 'type-4'], { maxLength: 2 }),
      tags: fc.shuffledSubarray(['every-2', 'every-3', 'every-7', 'every-50', 'every-61', 'every-400'], { maxLength: 3 }),
    },
    { requiredKeys: [] },
  )
  const filters = fc.record(
    { items: fc.array(dense, { maxLength: 3 }), categories: fc.subarray(['cat0', 'cat1', 'cat2'], { maxLength: 2 }) },
    { requiredKeys: [] },
  )
  await fc.assert(
    fc.asyncProperty(
      filters,
      direction,
      fc.integer({ min: 1, max: 9000 }),
      fc.constantFrom(3, 200, 4096),
      async (filter, way, from, limit) => {
        const isForward = way === 'forward'
        const found: number[] = []
        for (let next = from; ;) {
          const page = await it.node.store.query({ filter, direction: way, from: next, limit, consistency: local })
          found.push(...places(page.events))
          if (page.isEnd || found.length > 500) break
          next = page.considered + (isForward ? 1 : -1)
        }
        const passing = positions(known.filter((one) => passes(filter, one) && (isForward ? one.position >= from : one.position <= from)))
        const wanted = isForward ? passing : passing.toReversed()
        expect(found).toEqual(found.length > 500 ? wanted.slice(0, found.length) : wanted)
      },
    ),
    { numRuns: 150 },
  )
}, 60_000)

describe('a filter', () => {
  const many = (count: number): string[] => Array.from({ length: count }, (_, at) => `t${at}`)
  test.each<[string, unknown, string]>([
    ['nothing', null, 'invalid_argument'],
    ['an empty tag', { items: [{ tags: [''] }] }, 'invalid_argument'],
    ['a type that is no text', { items: [{ types: [7] }] }, 'invalid_argument'],
    ['an item that is none', { items: ['x'] }, 'invalid_argument'],
    ['prefixes that are no list', { prefixes: 'a' }, 'invalid_argument'],
    ['an empty prefix', { prefixes: [''] }, 'invalid_argument'],
    ['half a surrogate pair', { categories: ['\ud800'] }, 'invalid_argument'],
    ['a long tag', { items: [{ tags: ['x'.repeat(257)] }] }, 'too_large'],
    ['many items', { items: many(33).map((type) => ({ types: [type] })) }, 'too_large'],
    ['many types', { items: [{ types: many(200) }], prefixes: many(57) }, 'too_large'],
  ])('of %s is refused', async (_, filter, code) => {
    const { store } = await openNode()
    await expect(store.query({ filter: filter as EventFilter, limit: 1, consistency: local })).rejects.toMatchObject({ code })
    expect(() => store.subscribe({ filter: filter as EventFilter })).toThrow(expect.objectContaining({ code }))
  })

  test('with a stream is refused: it is for all streams', async () => {
    const { store } = await openNode()
    expect(() => store.subscribe({ stream: 's', filter: { prefixes: ['a'] } })).toThrow(
      expect.objectContaining({ code: 'invalid_argument' }),
    )
  })

  test('a tag is no type, and a category is no prefix', async () => {
    const it = await world({})
    await it.append([
      { stream: 'ab-1', type: 'x', tags: [] },
      { stream: 'a-1', type: 'y', tags: ['x'] },
      { stream: 'a', type: 'z', tags: [] },
    ])
    const found = async (filter: EventFilter): Promise<number[]> =>
      places((await it.node.store.query({ filter, limit: 10, consistency: local })).events)
    expect(await found({ items: [{ types: ['x'] }] })).toEqual([1])
    expect(await found({ items: [{ tags: ['x'] }] })).toEqual([2])
    expect(await found({ categories: ['a'] })).toEqual([2, 3])
    expect(await found({ prefixes: ['a'] })).toEqual([1, 2, 3])
    expect(await found({ items: [{ types: ['x'] }, {}] })).toEqual([1, 2, 3])
  })
})

describe('work is bounded', () => {
  test('a common type costs what ten events cost; the end of a rare one costs little; a match that is not there comes in steps', async () => {
    const it = await world({ machine: { tailBytesMax: 1, flushDelayMs: 0 } })
    const count = 20_000
    const events = Array.from({ length: count }, (_, at) =>
      event('common', {}, { tags: [at % 2 === 0 ? 'even' : 'odd', ...(at === 7 ? ['rare'] : [])] }),
    )
    for (let at = 0; at < count; at += 4000)
      await it.node.store.append({ stream: 's-1', events: events.slice(at, at + 4000), expected: 'any' })
    await it.node.machine.flush()
    let loaded = 0
    const { readSide } = it.node.machine.index
    const postingsOf = readSide.postingsOf.bind(readSide)
    readSide.postingsOf = async (questions) => {
      const found = await postingsOf(questions)
      loaded += found.flat().length
      return found
    }
    const common = await it.node.store.query({ filter: { items: [{ types: ['common'] }] }, limit: 10, consistency: local })
    expect(places(common.events)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(loaded).toBeLessThanOrEqual(64)
    loaded = 0
    const rare = await it.node.store.query({ filter: { items: [{ types: ['common'], tags: ['rare'] }] }, limit: 10, consistency: local })
    expect([places(rare.events), rare.isEnd, rare.considered]).toEqual([[8], true, count])
    expect(loaded).toBeLessThanOrEqual(200)
    const none = { filter: { items: [{ tags: ['even', 'odd'] }] }, limit: 10, consistency: local } as const
    let pages = 0
    for (let from = 1; ; pages++) {
      const page = await it.node.store.query({ ...none, from })
      expect(page.events).toEqual([])
      if (page.isEnd) break
      from = page.considered + 1
    }
    expect(pages).toBeGreaterThan(1)
    expect(pages).toBeLessThan(10)
  })
})

describe('what is hidden', () => {
  test('a deleted stream is not found, a tombstoned one says so, one that is only cut is empty', async () => {
    const it = await world({})
    await it.append(streams.map((stream) => ({ stream, type: 'one', tags: [] })))
    it.hiding.hide('a-1', { belowRevision: 1 })
    it.hiding.hide('a-2', { belowRevision: 1 })
    it.hiding.deleted.add('a-2')
    it.hiding.tombstoned.add('b')
    const options = { limit: 5, consistency: local } as const
    expect(await it.node.store.readStream('a-1', options)).toEqual([])
    expect(await it.node.store.streamInfo('a-1', options)).toEqual({ stream: 'a-1', firstRevision: 1, lastRevision: 0, length: 0 })
    for (const [stream, code] of [
      ['a-2', 'stream_not_found'],
      ['none', 'stream_not_found'],
      ['b', 'stream_tombstoned'],
    ] as const) {
      await expect(it.node.store.readStream(stream, options)).rejects.toMatchObject({ code })
      await expect(it.node.store.streamInfo(stream, options)).rejects.toMatchObject({ code })
    }
  })

  test.each(['forward', 'backward'] as const)('readAll goes on behind a long stretch of it (%s)', async (way) => {
    const it = await world({ machine: { tailBytesMax: 1, flushDelayMs: 0 } })
    const stretch = Array.from({ length: 5000 }, () => ({ stream: 'b', type: 'one', tags: [] }))
    await it.append([{ stream: 'a-1', type: 'one', tags: [] }])
    for (let at = 0; at < stretch.length; at += 500)
      await it.node.store.append({ stream: 'b', events: stretch.slice(at, at + 500).map(() => event('one')), expected: 'any' })
    await it.node.store.append({ stream: 'a-1', events: [event('one')], expected: 'any' })
    await it.node.machine.flush()
    it.hiding.hide('b', { belowRevision: 5000 })
    const options = { direction: way, limit: 2, consistency: local } as const
    expect(places(await it.node.store.readAll(options))).toEqual(way === 'forward' ? [1, 5002] : [5002, 1])
    expect(places(await it.node.store.readAll({ ...options, from: 2500, limit: 1 }))).toEqual(way === 'forward' ? [5002] : [1])
  })
})

describe('what retention hides', () => {
  test('is not there for any read, nor for a subscription', async () => {
    const { store, machine } = await openNode({ machine: { tailBytesMax: 1, flushDelayMs: 0 } })
    const append = async (stream: string): Promise<unknown> =>
      store.append({ stream, events: [event('one', 0, { tags: ['x'] })], expected: 'any' })
    for (const stream of ['a-1', 'b', 'a-1', 'c', 'a-1', 'd']) await append(stream)
    await store.retention.setMetadata('a-1', { maxCount: 2 })
    await store.retention.delete('b', {})
    await store.retention.delete('c', { isHard: true })
    await machine.flush()
    const options = { limit: 10, consistency: local } as const
    expect(places(await store.readAll(options))).toEqual([3, 5, 6])
    expect(places(await store.readAll({ ...options, direction: 'backward', limit: 2 }))).toEqual([6, 5])
    expect(places(await store.readStream('a-1', options))).toEqual([3, 5])
    expect(await store.streamInfo('a-1', options)).toMatchObject({ firstRevision: 1, lastRevision: 2, length: 2 })
    const filter = { items: [{ tags: ['x'] }], categories: ['a', 'b', 'c'] }
    expect(places((await store.query({ ...options, filter })).events)).toEqual([3, 5])
    await expect(store.readStream('b', options)).rejects.toMatchObject({ code: 'stream_not_found' })
    await expect(store.readStream('c', options)).rejects.toMatchObject({ code: 'stream_tombstoned' })
    for (const subscribed of [{}, { filter }, { stream: 'a-1' }]) {
      const messages = await take(store.subscribe(subscribed), ({ kind }) => kind === 'caughtUp')
      expect(places(eventsOf(messages))).toEqual('stream' in subscribed || 'filter' in subscribed ? [3, 5] : [3, 5, 6])
    }
    await append('b')
    expect(places(await store.readStream('b', options))).toEqual([7])
    expect(await store.streamInfo('b', options)).toMatchObject({ firstRevision: 1, lastRevision: 1, length: 1 })
  })
})

describe('what is reclaimed while it is read', () => {
  test('is left out when it is hidden by then, and is a damage when it is not', async () => {
    const it = await world({ machine: { tailBytesMax: 1, flushDelayMs: 0 } })
    await it.append(['a-1', 'b', 'a-1', 'b', 'a-1', 'b'].map((stream) => ({ stream, type: 'one', tags: [] })))
    await it.node.machine.flush()
    const { log, store } = it.node
    const slices = log.slices.bind(log)
    const rows = await it.node.machine.index.readSide.streamEvents(2, 0, 2)
    Object.assign(log, {
      slices: async (requests: Parameters<typeof slices>[0]) => {
        const found = await slices(requests)
        const isGone = (at: number): boolean =>
          rows.some(({ slot, offset }) => {
            const asked = requests[at]
            return asked !== undefined && asked.slot === slot && asked.offset <= offset && offset < asked.offset + asked.length
          })
        return found.map((bytes, at) => (isGone(at) ? undefined : bytes))
      },
    })
    const options = { limit: 10, consistency: local } as const
    await expect(store.readAll(options)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('nothing hides it'),
    })
    const hide = log.slices.bind(log)
    log.slices = async (requests) => {
      it.hiding.hide('b', { belowRevision: 3 })
      return hide(requests)
    }
    expect(places(await store.readAll({ ...options, from: 2, limit: 1 }))).toEqual([3])
    it.hiding.hidesNothing = true
    expect(places(await store.readAll(options))).toEqual([1, 3, 5])
  })
})

describe('a read that waits for a position', () => {
  test('is answered as soon as it is applied here, whatever the consistency', async () => {
    const it = await world({})
    for (const consistency of ['local', 'linearizable'] as const) {
      const atLeast = it.events.length + 2
      const reading = it.node.store.readAll({ limit: 9, consistency, atLeast })
      const info = it.node.store.streamInfo('a-1', { consistency, atLeast })
      await it.append([{ stream: 'a-1', type: 'one', tags: [] }])
      await it.append([{ stream: 'a-1', type: 'one', tags: [] }])
      expect((await reading).length).toBeGreaterThanOrEqual(atLeast)
      expect((await info).lastRevision).toBeGreaterThanOrEqual(atLeast - 1)
    }
  })

  test('ends when it is aborted, when the store closes, and is refused beyond the bound', async () => {
    const { store } = await openNode({ limits: { waitingReadsMax: 2 } })
    const aborting = new AbortController()
    const options = { limit: 1, consistency: local, atLeast: 5 }
    const aborted = store.readAll({ ...options, signal: aborting.signal })
    const closed = store.query({ ...options, filter: {} })
    await Promise.resolve()
    await expect(store.readAll(options)).rejects.toMatchObject({ code: 'busy' })
    aborting.abort()
    await expect(aborted).rejects.toMatchObject({ code: 'aborted' })
    await store.close()
    await expect(closed).rejects.toMatchObject({ code: 'unavailable' })
    await expect(store.readAll({ ...options, atLeast: -1 })).rejects.toMatchObject({ code: 'unavailable' })
  })
})
