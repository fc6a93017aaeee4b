// The API of consumer groups, word for word.
import { describe, expect, test, vi } from 'vitest'
import { StoreError } from '@synod/log'
import type { EventStore, GroupConsumer, GroupDefinition, GroupEvent, GroupMessage } from '@synod/events'
import { memoryReadSideStorage } from '@synod/events/memory'
import { encodeGroupCommand } from '../src/groups/group-command.ts'
import { event, openNode, type NodeOptions, type TestNode } from './node.ts'

async function open(definition: GroupDefinition = {}, options: NodeOptions = {}): Promise<TestNode> {
  const node = await openNode(options)
  await node.store.groups.put('g', { partitions: 4, ...definition })
  return node
}

async function append(store: EventStore, ...streams: readonly string[]): Promise<void> {
  for (const stream of streams) await store.append({ stream, events: [event('x')], expected: 'any' })
}

/** Reads what a consumer is told, one wait at a time. */
class Reader {
  readonly consumer: GroupConsumer
  readonly #messages: AsyncIterator<GroupMessage>
  readonly #events: GroupEvent[] = []
  readonly told: Exclude<GroupMessage, { kind: 'events' }>[] = []
  generation = 0

  constructor(store: EventStore, options: Parameters<EventStore['groups']['consume']>[1] = {}) {
    this.consumer = store.groups.consume('g', options)
    this.#messages = this.consumer.messages()[Symbol.asyncIterator]()
  }

  /** Undefined when it ends. */
  async next(): Promise<GroupMessage | undefined> {
    const { done, value } = await this.#messages.next()
    if (done === true) return undefined
    if (value.kind === 'events') this.#events.push(...value.events)
    else this.told.push(value)
    this.generation = value.generation
    return value
  }

  async event(): Promise<GroupEvent> {
    while (this.#events.length === 0) if ((await this.next()) === undefined) throw new Error('it ended')
    return this.#events.shift()!
  }

  async events(count: number): Promise<GroupEvent[]> {
    const events: GroupEvent[] = []
    while (events.length < count) events.push(await this.event())
    return events
  }

  /** Until it is told so of the position. */
  async until(kind: 'settled' | 'stale', position: number): Promise<void> {
    while (!this.told.some((told) => told.kind === kind && told.positions.includes(position)))
      if ((await this.next()) === undefined) throw new Error('it ended')
  }

  async assigned(count: number): Promise<readonly number[]> {
    for (;;) {
      const last = this.told.findLast(({ kind }) => kind === 'assigned')
      if (last?.kind === 'assigned' && last.partitions.length === count) return last.partitions
      await this.next()
    }
  }

  acknowledge(...events: readonly GroupEvent[]): void {
    this.consumer.acknowledge(
      this.generation,
      events.map(({ position }) => position),
    )
  }

  async end(): Promise<void> {
    await this.#messages.return?.()
  }
}

const named = ({ stream, revision, attempt }: GroupEvent): string => `${stream}@${revision} #${attempt}`

describe('a group', () => {
  test('that begins ahead of the head has no lag', async () => {
    const { store } = await open({ from: 1000 })
    expect(await store.groups.get('g')).toMatchObject({ settled: 999, lag: 0 })
  })

  test('takes a position that is acknowledged twice at once as one', async () => {
    const { store } = await open({ partitions: 1 })
    await append(store, 'a')
    const reader = new Reader(store)
    const given = await reader.event()
    reader.acknowledge(given, given)
    await reader.until('settled', given.position)
    expect(reader.told.filter(({ kind }) => kind === 'stale')).toEqual([])
    await reader.end()
  })

  // simulate --protocol basic --seed 3000, with retention: an event that had failed was hidden before it was delivered again.
  test('passes what failed and is hidden by now', async () => {
    const { store } = await open({ partitions: 1 })
    await append(store, 'gone', 'stays')
    const first = new Reader(store)
    const [failed, other] = await first.events(2)
    first.acknowledge(other!)
    first.consumer.reject(first.generation, failed!.position, 'retry')
    expect(named(await first.event())).toBe('gone@0 #2')
    await first.end()
    await store.retention.delete('gone', {})
    const second = new Reader(store)
    await second.assigned(1)
    await append(store, 'stays')
    expect(named(await second.event())).toBe('stays@1 #1')
    second.consumer.acknowledge(second.generation, [3])
    await second.until('settled', 3)
    await vi.waitFor(async () => expect((await store.groups.get('g')).settled).toBe(3), 10_000)
    await second.end()
  })

  test('is made, told, listed, changed and deleted', async () => {
    const { store } = await openNode()
    await append(store, 'a', 'a')
    const made = await store.groups.put('orders', {})
    expect(made).toMatchObject({
      group: 'orders',
      definition: { filter: {}, from: 1, partitionBy: 'stream', partitions: 64, ackDeadlineMs: 30_000, attemptsMax: 10, parkedMax: 1000 },
      generation: 0,
      consumers: [],
      settled: 0,
      lag: 2,
      parked: 0,
      why: 'no consumer: start one',
    })
    expect(made.partitions).toHaveLength(64)
    expect(made.partitions[63]).toEqual({ partition: 63, settled: 0, inFlight: 0, parked: 0, why: 'no consumer: start one' })
    expect((await store.groups.put('orders', { from: 0, attemptsMax: 3 })).definition).toMatchObject({ from: 1, attemptsMax: 3 })
    await store.groups.put('late', { from: 'end', partitions: 1 })
    expect(await store.groups.get('late')).toMatchObject({ settled: 2, lag: 0, definition: { from: 'end' } })
    expect((await store.groups.list()).map(({ group }) => group)).toEqual(['late', 'orders'])
    expect((await store.groups.list({ consistency: 'local' })).map(({ group }) => group)).toEqual(['late', 'orders'])
    await store.groups.delete('orders')
    await expect(store.groups.get('orders')).rejects.toMatchObject({ code: 'group_not_found' })
    await expect(store.groups.delete('orders')).rejects.toMatchObject({ code: 'group_not_found' })
    await expect(store.groups.replay('orders', {})).rejects.toMatchObject({ code: 'group_not_found' })
    await expect(store.groups.parked('orders', { limit: 1 })).rejects.toMatchObject({ code: 'group_not_found' })
    await expect(store.groups.consume('orders', {}).messages()[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'group_not_found',
    })
  })

  test.each<[GroupDefinition]>([
    [{ filter: { prefixes: ['a'] } }],
    [{ from: 2 }],
    [{ partitions: 3 }],
    [{ partitionBy: { tagPrefix: 'x:' } }],
  ])('whose %o differs is another one', async (definition) => {
    const { store } = await open()
    await expect(store.groups.put('g', { partitions: 4, ...definition })).rejects.toMatchObject({ code: 'group_exists' })
  })

  test.each<[string, GroupDefinition]>([
    ['a/b', {}],
    ['', {}],
    ['$g', {}],
    ['g', { partitions: 1025 }],
    ['g', { partitions: 0 }],
    ['g', { from: -1 }],
    ['g', { ackDeadlineMs: 0 }],
    ['g', { attemptsMax: 1.5 }],
    ['g', { parkedMax: 10_001 }],
    ['g', { partitionBy: { tagPrefix: '' } }],
    ['g', { filter: { prefixes: [''] } }],
  ])('named %o defined by %o is refused', async (group, definition) => {
    const { store } = await openNode()
    await expect(store.groups.put(group, definition)).rejects.toMatchObject({ code: 'invalid_argument' })
  })

  test('stands where it was after a restart, from what was flushed and from the log alone', async () => {
    const storage = memoryReadSideStorage()
    const node = await open({ attemptsMax: 1 }, { storage })
    await append(node.store, 'a', 'b', 'c', 'b')
    const reader = new Reader(node.store, { room: () => 9999 })
    const events = await reader.events(3)
    for (const told of events) {
      if (told.stream === 'b') reader.consumer.reject(reader.generation, told.position, 'retry', 'no')
      else reader.acknowledge(told)
    }
    for (const { position } of events) await reader.until('settled', position)
    await expect.poll(() => node.store.groups.get('g')).toMatchObject({ parked: 2 })
    const before = await node.store.groups.get('g')
    await node.machine.flush()
    const slots = await node.log.crash()
    for (const again of [await openNode({ slots, storage }), await openNode({ slots })]) {
      const status = await again.store.groups.get('g')
      expect(status).toMatchObject({ generation: before.generation, parked: 2, settled: before.settled })
      expect(
        (await again.store.groups.parked('g', { limit: 9 })).map(({ event: { position }, ...parked }) => ({ position, ...parked })),
      ).toEqual([
        { position: 2, partition: expect.any(Number), attempts: 1, reason: 'no' },
        { position: 4, partition: expect.any(Number), attempts: 0, reason: 'follows' },
      ])
      // The node that had the consumer is silent, so another expires it; here it is the same machine, in another life.
      expect(status.consumers).toHaveLength(1)
    }
  })
})

describe('a consumer', () => {
  test('is given one event of a key at a time, and other keys meanwhile', async () => {
    const { store } = await open()
    await append(store, 'a', 'a', 'b', 'a', 'c')
    const reader = new Reader(store, { room: () => 9999 })
    const [first, ...others] = (await reader.events(3)).toSorted((x, y) => x.position - y.position)
    expect([first!, ...others].map(named)).toEqual(['a@0 #1', 'b@0 #1', 'c@0 #1'])
    reader.acknowledge(...others)
    await reader.until('settled', 5)
    expect(await store.groups.get('g')).toMatchObject({ lag: 5, settled: 0 })
    reader.acknowledge(first!)
    const second = await reader.event()
    expect(named(second)).toBe('a@1 #1')
    reader.acknowledge(second)
    const third = await reader.event()
    reader.acknowledge(third)
    await reader.until('settled', third.position)
    await reader.end()
    await expect.poll(() => store.groups.get('g')).toMatchObject({ consumers: [] })
  })

  test('is given a rejected event again, before any later one of its key, until it is parked with those that follow', async () => {
    const { store } = await open({ attemptsMax: 3 })
    await append(store, 'a', 'a', 'a')
    const reader = new Reader(store)
    for (let attempt = 1; attempt <= 3; attempt++) {
      const told = await reader.event()
      expect(named(told)).toBe(`a@0 #${attempt}`)
      reader.consumer.reject(reader.generation, told.position, 'retry', `no ${attempt}`)
    }
    await reader.until('settled', 1)
    await append(store, 'a', 'b')
    const other = await reader.event()
    expect(named(other)).toBe('b@0 #1')
    reader.acknowledge(other)
    await expect.poll(() => store.groups.parked('g', { limit: 9 })).toHaveLength(4)
    const parked = await store.groups.parked('g', { limit: 9 })
    expect(parked.map(({ event: { position }, attempts, reason }) => ({ position, attempts, reason }))).toEqual([
      { position: 1, attempts: 3, reason: 'no 3' },
      { position: 2, attempts: 0, reason: 'follows' },
      { position: 3, attempts: 0, reason: 'follows' },
      { position: 4, attempts: 0, reason: 'follows' },
    ])
    expect((await store.groups.parked('g', { after: 2, limit: 1 })).map(({ event: { position } }) => position)).toEqual([3])

    // One of them alone, then all: in order, with attempts that begin anew.
    expect(await store.groups.replay('g', { positions: [2] })).toEqual({ replayed: 1 })
    const second = await reader.event()
    expect(named(second)).toBe('a@1 #1')
    reader.consumer.reject(reader.generation, second.position, 'skip')
    await reader.until('settled', 2)
    expect(await store.groups.replay('g', {})).toEqual({ replayed: 3 })
    const again: string[] = []
    for (let at = 0; at < 3; at++) {
      const told = await reader.event()
      again.push(named(told))
      reader.acknowledge(told)
    }
    expect(again).toEqual(['a@0 #1', 'a@2 #1', 'a@3 #1'])
    await reader.until('settled', 4)
    expect(await store.groups.get('g')).toMatchObject({ parked: 0 })
    await reader.end()
  })

  test('parks and skips at once, and is told what had no effect', async () => {
    const { store } = await open()
    await append(store, 'a', 'b')
    const reader = new Reader(store, { room: () => 9999 })
    const events = await reader.events(2)
    const [a, b] = [events.find(({ stream }) => stream === 'a')!, events.find(({ stream }) => stream === 'b')!]
    reader.consumer.reject(reader.generation, a.position, 'park', 'x'.repeat(300))
    reader.consumer.reject(reader.generation, b.position, 'skip')
    await reader.until('settled', a.position)
    await reader.until('settled', b.position)
    reader.acknowledge(a)
    await reader.until('stale', a.position)
    reader.consumer.acknowledge(reader.generation - 1, [b.position])
    await reader.until('stale', b.position)
    expect(await store.groups.parked('g', { limit: 9 })).toMatchObject([
      { event: { position: a.position }, attempts: 1, reason: 'x'.repeat(256) },
    ])
    await reader.end()
  })

  test('that does not answer in time is given the event again', async () => {
    const { store } = await open({ ackDeadlineMs: 30, attemptsMax: 2 })
    await append(store, 'a')
    const reader = new Reader(store)
    expect([named(await reader.event()), named(await reader.event())]).toEqual(['a@0 #1', 'a@0 #2'])
    await reader.until('settled', 1)
    expect(await store.groups.parked('g', { limit: 1 })).toMatchObject([{ attempts: 2, reason: 'not answered within 30 ms' }])
    await reader.end()
  })

  test('is given what it leaves unanswered again, however much else it answers', async () => {
    const { store } = await open({ ackDeadlineMs: 40 })
    await append(store, 'a')
    const reader = new Reader(store)
    for (let told = await reader.event(); told.attempt === 1; told = await reader.event()) {
      if (told.stream !== 'a') reader.acknowledge(told)
      await append(store, 'b')
    }
    await reader.end()
  })

  test('that leaves has said how far its partitions are, those without events too', async () => {
    const { store } = await open({ partitions: 64 }, { limits: { groupProgressMs: 1_000_000 } })
    await append(store, 'a', 'b')
    const reader = new Reader(store, { room: () => 9999 })
    const events = await reader.events(2)
    reader.acknowledge(...events)
    await reader.until('settled', 1)
    await reader.until('settled', 2)
    await reader.end()
    await expect.poll(() => store.groups.get('g')).toMatchObject({ consumers: [], lag: 0 })
  })

  test('shares the partitions with others; what one leaves unanswered comes to the next', async () => {
    const { store } = await open()
    await append(store, 'a', 'b', 'c', 'd', 'e', 'f')
    const one = new Reader(store, { consumer: 'one', room: () => 9999 })
    const held = await one.events(6)
    const two = new Reader(store, { consumer: 'two', room: () => 9999 })
    const of = await two.assigned(2)
    await one.assigned(2)
    // Of the generation before: without effect.
    one.consumer.acknowledge(1, [held[0]!.position])
    await one.until('stale', held[0]!.position)
    expect((await store.groups.get('g')).consumers).toMatchObject([
      { consumer: 'one', partitions: 2 },
      { consumer: 'two', partitions: 2 },
    ])
    await one.end()
    await two.assigned(4)
    const events = await two.events(6)
    expect(new Set(events.slice(-6).map(({ position }) => position)).size).toBeGreaterThanOrEqual(of.length)
    const all = new Map(events.map((told) => [told.position, told]))
    while (all.size < 6) {
      const told = await two.event()
      all.set(told.position, told)
    }
    two.acknowledge(...all.values())
    for (const position of all.keys()) await two.until('settled', position)
    await two.end()
  })

  test('has no more unanswered than its window, and takes notices without room', async () => {
    const { store } = await open({ partitions: 1 }, { limits: { groupWindowMax: 3 } })
    await append(store, 'a', 'b', 'c', 'd', 'e')
    const { promise: room, resolve } = Promise.withResolvers<number>()
    let asked = 0
    const reader = new Reader(store, { room: () => (++asked === 1 ? 9999 : room) })
    const events = await reader.events(3)
    expect(events.map(named)).toEqual(['a@0 #1', 'b@0 #1', 'c@0 #1'])
    expect(await store.groups.get('g')).toMatchObject({
      partitions: [
        { inFlight: 3, oldest: { position: 1, attempts: 0 }, why: expect.stringMatching(/^waiting for the answer to position 1, which/) },
      ],
    })
    reader.acknowledge(events[0]!)
    await reader.until('settled', 1)
    expect(asked).toBe(2)
    resolve(1)
    expect(named(await reader.event())).toBe('d@0 #1')
    await reader.end()
  })

  test('is given what passes the filter, partitioned by a tag; the rest is passed over', async () => {
    const { store } = await open(
      { filter: { items: [{ types: ['wanted'] }] }, partitionBy: { tagPrefix: 'c:' } },
      { limits: { groupProgressMs: 20 } },
    )
    const tagged = (type: string, stream: string, ...tags: string[]): Promise<unknown> =>
      store.append({ stream, events: [event(type, {}, { tags })], expected: 'any' })
    await tagged('wanted', 's1', 'x', 'c:1')
    await tagged('other', 's1')
    await tagged('wanted', 's2', 'c:1', 'c:2')
    await tagged('wanted', 's3')
    const reader = new Reader(store, { room: () => 9999 })
    const [one, three] = (await reader.events(2)).toSorted((a, b) => a.position - b.position)
    expect([one!.stream, three!.stream]).toEqual(['s1', 's3'])
    reader.acknowledge(one!, three!)
    const two = await reader.event()
    expect({ stream: two.stream, partition: two.partition }).toEqual({ stream: 's2', partition: one!.partition })
    reader.acknowledge(two)
    await tagged('other', 's1')
    await reader.until('settled', 3)
    await expect.poll(() => store.groups.get('g')).toMatchObject({ settled: 5, lag: 0 })
    await reader.end()
  })

  test('stands when nothing more can be parked, says why, and goes on when it can', async () => {
    const { store } = await open({ partitions: 1, attemptsMax: 1, parkedMax: 1 })
    await append(store, 'a', 'b', 'c')
    const reader = new Reader(store)
    for (let at = 0; at < 2; at++) {
      const told = await reader.event()
      reader.consumer.reject(reader.generation, told.position, 'retry')
    }
    const why = 'parked is full (1 of 1) and position 2 has to be parked: replay what is parked, or raise parkedMax'
    await expect.poll(() => store.groups.get('g')).toMatchObject({ why, parked: 1, settled: 1, partitions: [{ why }] })
    await store.groups.put('g', { partitions: 1, attemptsMax: 1, parkedMax: 2 })
    await reader.until('settled', 2)
    const last = await reader.event()
    expect(named(last)).toBe('c@0 #1')
    reader.acknowledge(last)
    await reader.until('settled', 3)
    await reader.end()
  })

  test('ends when it is aborted, when the group is deleted, and when the store closes', async () => {
    const { store } = await open()
    const aborting = new AbortController()
    const aborted = new Reader(store, { signal: aborting.signal })
    await aborted.next()
    aborting.abort()
    expect(await aborted.next()).toBeUndefined()
    const deleted = new Reader(store)
    await deleted.next()
    await store.groups.delete('g')
    await expect(deleted.next()).rejects.toMatchObject({ code: 'group_not_found' })
    await store.groups.put('g', {})
    const closed = new Reader(store)
    await closed.next()
    await store.close()
    await expect(closed.next()).rejects.toMatchObject({ code: 'unavailable' })
    expect(() => store.groups.consume('g', {})).toThrow(expect.objectContaining({ code: 'unavailable' }))
    const once = (await open()).store.groups.consume('g', {})
    once.messages()
    expect(() => once.messages()).toThrow(expect.objectContaining({ code: 'invalid_argument' }))
  })

  test('whose events cannot be read is told so; the next one goes on when they can', async () => {
    const { store, log, machine } = await open({}, { machine: { tailBytesMax: 1, flushDelayMs: 0 } })
    await append(store, 'a')
    await machine.flush()
    const slices = log.slices.bind(log)
    log.slices = () => Promise.reject(new StoreError('unavailable', 'no disk'))
    await expect(new Reader(store).event()).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('no disk') })
    log.slices = slices
    const reader = new Reader(store)
    const told = await reader.event()
    reader.acknowledge(told)
    await reader.until('settled', 1)
    await reader.end()
  })

  test('whose node reaches no quorum is told so, and is missed by the others', async () => {
    const { store, log } = await open({}, { limits: { groupHeartbeatMs: 20, groupMemberSilenceMs: 60 } })
    const reader = new Reader(store)
    await reader.assigned(4)
    log.refusal = { fate: 'never', why: 'notServing' }
    await expect(reader.next()).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('not reached the others') })
    log.refusal = undefined
    await expect.poll(() => store.groups.get('g')).toMatchObject({ consumers: [] })
    await store.close()
  })

  test('that was thought dead joins again by itself, unless it was heard of since', async () => {
    const { store, log, machine } = await open()
    await append(store, 'a')
    const reader = new Reader(store)
    const told = await reader.event()
    const [instance, { seen }] = [...machine.index.groups.instances()][0]!
    const expire = async (at: number): Promise<unknown> => {
      const body = encodeGroupCommand({ form: 'expire', instance, seen: at })
      const outcome = await log.propose({ version: 2, session: 99, sequence: 1, floor: 1, principal: '', body, blobs: [] })
      return outcome.fate === 'answered' && outcome.output.kind === 'group' ? outcome.output.group.result : outcome.fate
    }
    expect(await expire(seen - 1)).toBe('stale')
    expect(await expire(seen)).toBe('done')
    const generation = reader.generation
    const again = await reader.event()
    expect({ position: again.position, isLater: reader.generation > generation }).toEqual({ position: told.position, isLater: true })
    reader.acknowledge(again)
    await reader.until('settled', 1)
    await reader.end()
  })
})
