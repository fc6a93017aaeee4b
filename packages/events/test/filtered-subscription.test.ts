/**
 * Filtered subscriptions against a list: every matching event once, in order, no checkpoint beyond one that was not delivered;
 * with random flush points, pages, rooms, answers at odd moments, events that become hidden, resumes, and appends all the time.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { EventFilter, SubscribeOptions, SubscriptionMessage } from '@synod/events'
import { memoryReadSide } from '@synod/events/memory'
import { drawnEvent, drawnFilter, oddReadSide, passes, streams, type DrawnEvent, type KnownEvent } from './filter-fixtures.ts'
import { Hiding } from './hiding.ts'
import { event, eventsOf, openNode, take, type TestNode } from './node.ts'

type Step =
  | { readonly kind: 'append'; readonly events: readonly DrawnEvent[] }
  | { readonly kind: 'flush' }
  | { readonly kind: 'hide'; readonly stream: string; readonly belowRevision: number }
  | { readonly kind: 'resume'; readonly reader: number }
  | { readonly kind: 'turns'; readonly turns: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('append' as const), events: fc.array(drawnEvent, { minLength: 1, maxLength: 6 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('hide' as const), stream: fc.constantFrom(...streams), belowRevision: fc.nat(6) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('resume' as const), reader: fc.nat(2) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('turns' as const), turns: fc.nat(6) }) },
)

async function wait(turns: number): Promise<void> {
  for (let left = turns; left > 0; left--) await new Promise((resolve) => setImmediate(resolve))
}

/** One subscription after the other, each where the last one was. */
class Reader {
  readonly filter: EventFilter
  readonly seen: number[] = []
  readonly checkpoints: { readonly position: number; readonly seen: number }[] = []
  readonly #node: TestNode
  readonly #pauses: readonly number[]
  #ending = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #place = 0
  #pause = 0

  constructor(node: TestNode, filter: EventFilter, pauses: readonly number[]) {
    this.#node = node
    this.filter = filter
    this.#pauses = pauses
    this.#begin()
  }

  async resume(): Promise<void> {
    await this.end()
    this.#begin()
  }

  async end(): Promise<void> {
    this.#ending.abort()
    await this.#running
  }

  /** Until a checkpoint says so. */
  async reach(position: number): Promise<void> {
    while ((this.checkpoints.at(-1)?.position ?? -1) < position) await wait(1)
  }

  #begin(): void {
    this.#ending = new AbortController()
    const { signal } = this.#ending
    const room = (): number | Promise<number> => {
      const pause = this.#pauses[this.#pause++ % this.#pauses.length] ?? 0
      return pause === 0 ? 1 : wait(pause).then(() => pause * 60)
    }
    this.#running = this.#read(this.#node.store.subscribe({ filter: this.filter, afterPosition: this.#place, room, signal }))
  }

  async #read(messages: AsyncIterable<SubscriptionMessage>): Promise<void> {
    for await (const message of messages) {
      await wait((this.#pauses[this.#pause++ % this.#pauses.length] ?? 0) % 3)
      if (message.kind === 'events') {
        for (const { position } of message.events) this.seen.push(position)
        this.#place = this.seen.at(-1) ?? 0
      } else if (message.kind !== 'fellBehind') {
        this.checkpoints.push({ position: message.position, seen: this.seen.length })
        this.#place = message.position
      }
    }
  }
}

test('a filtered subscription delivers what the model says, whatever happens on the way', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 40 }),
      fc.tuple(drawnFilter, drawnFilter, fc.constant<EventFilter>({ items: [{ tags: ['rare'] }] })),
      fc.record({
        tailBytesMax: fc.constantFrom(1, 600, 100_000),
        flushEventsMax: fc.constantFrom(1, 4, 1000),
        flushDelayMs: fc.constantFrom(0, 1_000_000),
      }),
      fc.record({
        subscriptionPageEventsMax: fc.constantFrom(1, 3, 512),
        scanEventsMax: fc.constantFrom(1, 40, 16_384),
        checkpointEventsMax: fc.constantFrom(1, 7, 10_000),
        fellBehindEvents: fc.constantFrom(1, 5, 1000),
        subscriptionBytesMax: fc.constantFrom(1, 1500, 3000, 1_000_000),
      }),
      fc.array(fc.nat(4), { minLength: 1, maxLength: 9 }),
      async (steps, filters, machine, limits, pauses) => {
        const readSide = oddReadSide(memoryReadSide(), pauses)
        const node = await openNode({ machine, limits: { ...limits, checkpointIntervalMs: 1 }, readSide })
        const hiding = new Hiding(node.machine)
        const events: KnownEvent[] = []
        const readers = filters.map((filter) => new Reader(node, filter, pauses))
        for (const one of steps) {
          if (one.kind === 'append') {
            const appended = one.events.map(({ stream, type, tags }) => {
              const revision = events.filter((known) => known.stream === stream).length
              events.push({ stream, type, tags, revision, position: events.length + 1 })
              return node.store.append({ stream, events: [event(type, {}, { tags })], expected: 'any' })
            })
            await Promise.all(appended)
          } else if (one.kind === 'flush') await node.machine.flush()
          else if (one.kind === 'hide') hiding.hide(one.stream, one)
          else if (one.kind === 'resume') await readers[one.reader]?.resume()
          else await wait(one.turns)
        }
        // Nothing more comes: a checkpoint goes to the end all the same.
        for (const reader of readers) await reader.reach(events.length)
        for (const reader of readers) {
          await reader.end()
          const matching = events.filter((known) => passes(reader.filter, known))
          const visible = matching.filter((known) => hiding.shows(known)).map(({ position }) => position)
          const { seen } = reader
          // A resume goes back to the last place, never behind it: so it is once, and in order, over all of them.
          expect(seen).toEqual([...new Set(seen)].toSorted((a, b) => a - b))
          const all = matching.map(({ position }) => position)
          expect(seen.filter((position) => !all.includes(position))).toEqual([])
          expect(visible.filter((position) => !seen.includes(position))).toEqual([])
          for (const checkpoint of reader.checkpoints) {
            const before = new Set(seen.slice(0, checkpoint.seen))
            expect(visible.filter((position) => position <= checkpoint.position && !before.has(position))).toEqual([])
          }
          // What was told stays behind what comes.
          for (const checkpoint of reader.checkpoints) expect(seen[checkpoint.seen] ?? Infinity).toBeGreaterThan(checkpoint.position)
        }
        await node.store.close()
      },
    ),
    { numRuns: 250 },
  )
}, 120_000)

const quiet = { items: [{ tags: ['mine'] }] }

async function append(node: TestNode, count: number, tags: readonly string[] = ['other']): Promise<void> {
  for (let at = 0; at < count; at++) await node.store.append({ stream: 's-1', events: [event('x', at, { tags })], expected: 'any' })
}

/** What is said until the checkpoint reaches a position, as kind:position. */
async function words(node: TestNode, options: SubscribeOptions, position: number): Promise<string[]> {
  const messages = await take(node.store.subscribe(options), (message) => message.kind === 'checkpoint' && message.position >= position)
  return messages.map((message) => `${message.kind}:${message.kind === 'events' ? message.events.at(-1)?.position : message.position}`)
}

describe('a filtered subscription moves its checkpoint', () => {
  test('on the timer, though nothing matches and nothing is read', async () => {
    const node = await openNode({ limits: { checkpointIntervalMs: 20 } })
    const reads: string[] = []
    const { postings } = node.machine.index
    const findAll = postings.findAll.bind(postings)
    const moved = words(node, { filter: quiet }, 30)
    await new Promise((resolve) => setImmediate(resolve))
    postings.findAll = async (questions) => {
      reads.push('find')
      return findAll(questions)
    }
    await append(node, 30)
    expect((await moved).at(-1)).toBe('checkpoint:30')
    expect(reads).toEqual([])
  })

  test('after so many events, long before the timer', async () => {
    const node = await openNode({ limits: { checkpointIntervalMs: 800, checkpointEventsMax: 10 } })
    const before = performance.now()
    const moved = words(node, { filter: quiet }, 30)
    await append(node, 30)
    expect((await moved).at(-1)).toBe('checkpoint:30')
    expect(performance.now() - before).toBeLessThan(500)
  })

  test('after so many events in a replay that finds nothing, then has caught up', async () => {
    const node = await openNode({ limits: { scanEventsMax: 1, checkpointEventsMax: 10, subscriptionPageEventsMax: 4 } })
    await append(node, 45)
    const said = await words(node, { filter: { prefixes: ['none'] } }, 45)
    expect(said.at(-2)).toBe('caughtUp:45')
    expect(said.filter((word) => word.startsWith('checkpoint')).length).toBeGreaterThanOrEqual(4)
  })

  test('to the end at caughtUp, in an empty store and in one where nothing passes', async () => {
    const node = await openNode()
    expect(await words(node, { filter: quiet }, 0)).toEqual(['caughtUp:0', 'checkpoint:0'])
    await append(node, 5)
    expect(await words(node, { filter: quiet }, 5)).toEqual(['caughtUp:5', 'checkpoint:5'])
    expect(await words(node, { filter: quiet, afterPosition: 3 }, 5)).toEqual(['caughtUp:5', 'checkpoint:5'])
  })
})

describe('a filtered subscription', () => {
  test('is woken by what passes, and by nothing else', async () => {
    const node = await openNode()
    const filters: EventFilter[] = [
      { items: [{ tags: ['common', 'mine'] }] },
      { items: [{ types: ['a', 'b'], tags: [] }] },
      { categories: ['c'] },
      { prefixes: ['p-', 'p-1'] },
      { items: [{ tags: ['common'] }], prefixes: ['p-1'] },
    ]
    const fired: number[][] = filters.map(() => [])
    const watches = filters.map((filter, at) => node.machine.index.advance.watch({ filter }, () => fired[at]?.push(node.store.position())))
    const rounds: DrawnEvent[] = [
      { stream: 'x', type: 'y', tags: ['common'] },
      { stream: 'c-1', type: 'y', tags: ['other'] },
      { stream: 'x', type: 'b', tags: [] },
      { stream: 'p-2', type: 'y', tags: ['mine', 'common'] },
      { stream: 'p-1', type: 'y', tags: ['common'] },
      { stream: 'p-1', type: 'a', tags: ['common', 'mine'] },
    ]
    for (const { stream, type, tags } of rounds) {
      await node.store.append({ stream, events: [event(type, {}, { tags })], expected: 'any' })
      await wait(2)
    }
    expect(fired).toEqual([[4], [3], [2], [4], [5]])
    expect(watches.map(({ position }) => position)).toEqual([4, 3, 2, 4, 5])
    for (const watch of watches) watch.cancel()
  })

  test('falls behind and catches up as any other', async () => {
    const node = await openNode({ machine: { tailBytesMax: 1, flushDelayMs: 0 }, limits: { fellBehindEvents: 10 } })
    const messages = node.store.subscribe({ filter: quiet })[Symbol.asyncIterator]()
    await messages.next()
    await append(node, 1, ['mine'])
    for (let at = 0; at < 4; at++) await append(node, 10, at % 2 === 0 ? ['mine'] : ['other'])
    await node.machine.flush()
    const seen: SubscriptionMessage[] = []
    while (seen.at(-1)?.kind !== 'caughtUp') seen.push(((await messages.next()) as IteratorYieldResult<SubscriptionMessage>).value)
    expect(seen.filter(({ kind }) => kind === 'fellBehind')).toEqual([{ kind: 'fellBehind', position: 0, lag: 41 }])
    expect(eventsOf(seen).map(({ position }) => position)).toEqual([
      1,
      ...Array.from({ length: 10 }, (_, at) => at + 2),
      ...Array.from({ length: 10 }, (_, at) => at + 22),
    ])
    await messages.return?.()
  })

  test('that lets everything pass is a plain one', async () => {
    const node = await openNode()
    await append(node, 3)
    const plain = await words(node, {}, 3)
    for (const filter of [{}, { items: [] }, { items: [{}, { types: ['none'] }], prefixes: [] }])
      expect(await words(node, { filter }, 3)).toEqual(plain)
  })
})
