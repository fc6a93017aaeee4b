/**
 * Random changes of retention, appends, ticks with wrong clocks, flushes, and restarts with a read side that was set back to
 * an earlier flush or to nothing, against a model as plain as can be: a machine that restarted at random, and one that is
 * made from the log at the end, say what the model says. Nothing that was hidden comes back.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EventStoreError, type EventMachine, type EventStore, type Expected, type StreamMetadata } from '@synod/events'
import { memoryReadSideStorage, type MemoryReadSideStorage } from '@synod/events/memory'
import { event, openNode, type TestNode } from './node.ts'
import { RetentionModel } from './retention-model.ts'
import { TickProposer } from './tick-proposer.ts'

const names = ['a', 'b', 'c', 'd']
const voters = ['n1', 'n2', 'n3']
const start = 1_700_000_000_000

type Step =
  | { readonly kind: 'append'; readonly stream: string; readonly count: number }
  | { readonly kind: 'metadata'; readonly stream: string; readonly metadata: StreamMetadata }
  | { readonly kind: 'delete'; readonly stream: string; readonly isHard: boolean; readonly expected: Expected }
  | { readonly kind: 'tick'; readonly voter: number; readonly laterMs: number; readonly slowMs: number }
  | { readonly kind: 'restart'; readonly setBack: number }
  | { readonly kind: 'flush' | 'crowd' }

const stream = fc.constantFrom(...names)
const metadata = fc.record(
  {
    maxCount: fc.integer({ min: 1, max: 6 }),
    maxAgeSeconds: fc.integer({ min: 1, max: 6 }),
    truncateBefore: fc.nat(12),
    custom: fc.constant({ owner: 'billing' }),
  },
  { requiredKeys: [] },
)
/** How far a clock may be set back. */
const slowMs = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(9000))
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('append' as const), stream, count: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('metadata' as const), stream, metadata }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('delete' as const),
      stream,
      isHard: fc.constantFrom(false, false, false, true),
      expected: fc.oneof(
        { weight: 3, arbitrary: fc.constant('any' as const) },
        fc.constantFrom('noStream' as const, 'streamExists' as const),
        fc.nat(5),
      ),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('tick' as const), voter: fc.nat(2), laterMs: fc.nat(4000), slowMs }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restart' as const), setBack: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('flush' as const, 'crowd' as const) }) },
)

test('what is visible, the last revision and the metadata are as the model says, however often the node restarts', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 50, size: 'max' }),
      fc.record({
        streamCacheMax: fc.constantFrom(1, 3, 100),
        tailBytesMax: fc.constantFrom(1, 500),
        flushDelayMs: fc.constant(1_000_000),
      }),
      // One clock is ten years ahead, or behind, or well.
      fc.constantFrom(10, -10, 0),
      async (steps, machine, wrongByYears) => {
        const run = new Run(machine, wrongByYears)
        await run.open()
        for (const one of steps) {
          await run.step(one)
          await run.check()
        }
        await run.checkFromLog()
      },
    ),
    { numRuns: 150 },
  )
}, 120_000)

class Run {
  readonly #model = new RetentionModel(voters)
  readonly #machine: Parameters<typeof openNode>[0] extends infer O ? Exclude<O, undefined> : never
  readonly #wrongMs: number
  readonly #hidden = new Map<string, Set<number>>()
  /** The read side as it was after each flush, the last one last. */
  #storages: MemoryReadSideStorage[] = [memoryReadSideStorage()]
  #elapsedMs = 0
  #crowds = 0
  #node!: TestNode
  #ticks!: TickProposer

  constructor(machine: { readonly streamCacheMax: number }, wrongByYears: number) {
    this.#machine = { machine }
    this.#wrongMs = wrongByYears * 365 * 86_400_000
  }

  async open(): Promise<void> {
    await this.#restart(0)
  }

  async step(one: Step): Promise<void> {
    const { store } = this.#node
    switch (one.kind) {
      case 'append': {
        const events = Array.from({ length: one.count }, () => event('E'))
        const told = this.#model.append(one.stream, one.count)
        expect(await answer(store.append({ stream: one.stream, events, expected: 'any' }))).toMatchObject(told)
        return
      }
      case 'metadata':
        expect(await answer(store.retention.setMetadata(one.stream, one.metadata))).toMatchObject(
          this.#model.setMetadata(one.stream, one.metadata),
        )
        return
      case 'delete':
        expect(await answer(store.retention.delete(one.stream, one))).toMatchObject(
          this.#model.delete(one.stream, one.isHard, one.expected),
        )
        return
      case 'tick': {
        this.#elapsedMs += one.laterMs
        const node = voters[one.voter]!
        const clock = start + this.#elapsedMs - one.slowMs + (one.voter === 2 ? this.#wrongMs : 0)
        this.#model.tick(node, clock)
        await this.#ticks.tick({ node, clock, flushed: this.#node.machine.flushed(), voters })
        return
      }
      case 'restart':
        return this.#restart(one.setBack)
      case 'flush':
        await this.#node.machine.flush()
        this.#storages.push(structuredClone(this.#node.storage))
        return
      case 'crowd': {
        // So many other streams that the cache turns over.
        const stream = `other-${this.#crowds++}`
        this.#model.append(stream, 1)
        await store.append({ stream, events: [event('E')], expected: 'any' })
      }
    }
  }

  async check(): Promise<void> {
    await this.#compare(this.#node)
    for (const name of names) {
      const visible = new Set(this.#model.visible(name))
      const hidden = this.#hidden.get(name) ?? new Set()
      for (const { stream: of, position } of this.#model.events) if (of === name && !visible.has(position)) hidden.add(position)
      expect(
        [...hidden].filter((position) => visible.has(position)),
        'came back',
      ).toEqual([])
      this.#hidden.set(name, hidden)
    }
  }

  /** A node that has nothing but the log says the same, and so does one that has everything. */
  async checkFromLog(): Promise<void> {
    const { machine, log } = this.#node
    await machine.flush()
    const told = [machine.ticks.time, machine.ticks.reclaimable(), [...machine.ticks.progress()], machine.counters()['retentionTicks']]
    for (const storage of [memoryReadSideStorage(), structuredClone(this.#node.storage)]) {
      const other = await openNode({ ...this.#machine, storage, slots: [...log.slots] })
      const { ticks } = other.machine
      expect([ticks.time, ticks.reclaimable(), [...ticks.progress()], other.machine.counters()['retentionTicks']]).toEqual(told)
      await this.#compare(other)
    }
  }

  async #compare({ machine, store }: TestNode): Promise<void> {
    await this.#compareReads(store)
    expect(machine.ticks.time).toBe(this.#model.time)
    const { streams, visibility } = machine.index
    const byName = await visibility.hiddenInNamed(new Set(names))
    for (const name of names) {
      const state = await streams.findAny(name)
      const told = this.#model.stream(name)
      expect(state.revision).toBe(told.revision)
      expect(visibility.lastRevision(state)).toBe(this.#model.lastRevision(name))
      expect(visibility.isTombstoned(state)).toBe(told.state === 'tombstoned')
      expect(byName.get(name) ?? { belowRevision: 0, throughPosition: 0 }).toEqual(visibility.hiddenIn(state))
      expect(this.#visible(machine, name, visibility.hiddenIn(state))).toEqual(this.#model.visible(name))
      const { metadata: kept, version, state: condition } = await store.retention.metadata(name, { consistency: 'local' })
      expect({ metadata: kept, version, state: condition }).toEqual({
        metadata: told.metadata,
        version: told.version,
        state: told.state,
      })
    }
  }

  /** What readers are given. */
  async #compareReads(store: EventStore): Promise<void> {
    const all = await store.readAll({ limit: 4096, consistency: 'local' })
    expect(all.map(({ position }) => position)).toEqual(
      this.#model.events.filter(({ isHidden }) => !isHidden).map(({ position }) => position),
    )
    for (const name of names) {
      const page = await answer(store.readStream(name, { limit: 4096, consistency: 'local' }))
      const { state } = this.#model.stream(name)
      if ('code' in page) expect(page.code).toBe(state === 'tombstoned' ? 'stream_tombstoned' : 'stream_not_found')
      else expect(page.map(({ position }) => position)).toEqual(this.#model.visible(name))
      expect('code' in page).toBe(state !== 'open')
    }
  }

  #visible(machine: EventMachine, name: string, hidden: { readonly belowRevision: number; readonly throughPosition: number }): number[] {
    expect(machine.position()).toBe(this.#model.events.length)
    return this.#model.events
      .filter(({ stream: of, revision, position }) => of === name && revision >= hidden.belowRevision && position > hidden.throughPosition)
      .map(({ position }) => position)
  }

  /** The process dies; the read side is what it was so many flushes ago. */
  async #restart(setBack: number): Promise<void> {
    const slots = (await this.#node?.log.crash()) ?? []
    const from = Math.max(0, this.#storages.length - 1 - setBack)
    this.#storages = this.#storages.slice(0, from + 1)
    this.#node = await openNode({ ...this.#machine, storage: structuredClone(this.#storages[from]!), slots })
    this.#ticks = new TickProposer(this.#node)
  }
}

async function answer<T>(promise: Promise<T>): Promise<T | { readonly code: string }> {
  try {
    return await promise
  } catch (error) {
    if (error instanceof EventStoreError) return { code: error.code }
    throw error
  }
}
