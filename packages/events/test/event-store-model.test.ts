/**
 * Random appends, retries, reads, flushes, crashes and restarts against a model as plain as can be, with limits so small
 * that every bound is met, and with a subscriber that resumes after each restart and must see exactly the model's order.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeRecord } from '@synod/event-record'
import { EventStoreError, type EventStore, type RecordedEvent, type SubscriptionMessage } from '@synod/events'
import { memoryReadSideStorage } from '@synod/events/memory'
import { NaiveModel, type ModelAnswer, type ModelRequest } from './naive-model.ts'
import { event, openNode, uuid, type TestNode } from './node.ts'

const streams = ['a', 'b', 'c', 'd']
const [idWindow, keysMax] = [12, 5]

type Step =
  | { readonly kind: 'append'; readonly requests: readonly ModelRequest[] }
  | {
      readonly kind: 'readStream' | 'readAll'
      readonly stream: string
      readonly from: number | undefined
      readonly limit: number
      readonly direction: 'forward' | 'backward'
    }
  | { readonly kind: 'flush' | 'restart' | 'crash' }

const request: fc.Arbitrary<ModelRequest> = fc.record(
  {
    stream: fc.constantFrom(...streams),
    ids: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 4 }),
    expected: fc.oneof(
      { weight: 3, arbitrary: fc.constant('any' as const) },
      fc.constantFrom('noStream' as const, 'streamExists' as const),
      fc.nat(6),
    ),
    key: fc.constantFrom('k', 'l', 'm', 'n', 'o', 'p', 'q'),
  },
  { requiredKeys: ['stream', 'ids', 'expected'] },
)
const read = fc.record({
  kind: fc.constantFrom('readStream' as const, 'readAll' as const),
  stream: fc.constantFrom(...streams),
  from: fc.option(fc.nat(30), { nil: undefined }),
  limit: fc.integer({ min: 1, max: 10 }),
  direction: fc.constantFrom('forward' as const, 'backward' as const),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('append' as const), requests: fc.array(request, { minLength: 1, maxLength: 4 }) }),
  },
  { weight: 4, arbitrary: read },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('flush' as const, 'restart' as const, 'crash' as const) }) },
)
const machine = fc.record({
  streamCacheMax: fc.constantFrom(1, 2, 100),
  tailBytesMax: fc.constantFrom(1, 500, 100_000),
  flushEventsMax: fc.constantFrom(1, 5, 1000),
  flushDelayMs: fc.constantFrom(0, 1_000_000),
})

test('the store does what the model says', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 60 }),
      machine,
      fc.constantFrom(1, 3, 512),
      async (steps, machineLimits, subscriptionPageEventsMax) => {
        const model = new NaiveModel(idWindow, keysMax)
        const storage = memoryReadSideStorage()
        const options = { storage, machine: { ...machineLimits, idWindow, keysMax }, limits: { subscriptionPageEventsMax } }
        let node = await openNode(options)
        const follower = new Follower()
        follower.follow(node.store)
        for (const one of steps) {
          if (one.kind === 'restart' || one.kind === 'crash') {
            node = await reopen(node, one.kind, options)
            follower.follow(node.store)
          } else await run(one, node, model)
        }
        await follower.reach(model.events.length)
        await node.store.close()
        expect(follower.seen.map(plain)).toEqual(model.events)
      },
    ),
    { numRuns: 300 },
  )
}, 120_000)

async function reopen(node: TestNode, kind: 'restart' | 'crash', options: Parameters<typeof openNode>[0]): Promise<TestNode> {
  await node.store.close()
  const slots = await node.log.crash()
  if (kind === 'restart') await node.machine.close()
  return openNode({ ...options, slots })
}

async function run(
  one: Exclude<Step, { kind: 'restart' | 'crash' }>,
  { store, machine: opened }: TestNode,
  model: NaiveModel,
): Promise<void> {
  switch (one.kind) {
    case 'flush':
      return opened.flush()
    case 'append': {
      const answers = await Promise.all(one.requests.map((each) => append(store, each)))
      expect(answers).toEqual(one.requests.map((each) => model.append(each)))
      return
    }
    case 'readStream': {
      const events = model.stream(one.stream)
      const page = store.readStream(one.stream, options(one))
      if (events.length === 0) await expect(page).rejects.toMatchObject({ code: 'stream_not_found' })
      else expect((await page).map(plain)).toEqual(expected(events, 0, one))
      return
    }
    case 'readAll':
      expect((await store.readAll(options(one))).map(plain)).toEqual(expected(model.events, 1, one))
  }
}

type Read = Extract<Step, { kind: 'readAll' | 'readStream' }>

function options({ from, limit, direction }: Read) {
  return { ...(from === undefined ? {} : { from }), limit, direction, consistency: 'linearizable' as const }
}

function expected<T>(events: readonly T[], first: number, { from, limit, direction }: Read): T[] {
  if (direction === 'forward') return events.slice(Math.max(0, (from ?? first) - first)).slice(0, limit)
  return events
    .slice(0, from === undefined ? events.length : Math.max(0, from - first + 1))
    .toReversed()
    .slice(0, limit)
}

async function append(store: EventStore, { stream, ids, expected: revision, key }: ModelRequest): Promise<ModelAnswer> {
  try {
    const events = ids.map((id) => event(`t${id}`, { id }, { id: uuid(id), tags: [String(id)] }))
    return await store.append({ stream, events, expected: revision, ...(key === undefined ? {} : { idempotencyKey: key }) })
  } catch (error) {
    if (error instanceof EventStoreError) return { code: error.code }
    throw error
  }
}

function plain({ stream, revision, position, record }: RecordedEvent) {
  const { id, data, tags } = decodeRecord(record)
  const number = Number.parseInt(id.slice(-12), 16)
  expect(JSON.parse(new TextDecoder().decode(data))).toEqual({ id: number })
  expect(tags).toEqual([String(number)])
  return { id: number, stream, revision, position }
}

/** A subscriber with a checkpoint: after a restart it resumes after the last event that it saw. */
class Follower {
  readonly seen: RecordedEvent[] = []
  #wanted = Infinity
  #reached = Promise.withResolvers<void>()
  #running: Promise<void> = Promise.resolve()

  follow(store: EventStore): void {
    this.#running = this.#running.then(() => this.#run(store))
    this.#running.catch((error: unknown) => this.#reached.reject(error))
  }

  async reach(events: number): Promise<void> {
    this.#wanted = events
    if (this.seen.length < events) await this.#reached.promise
  }

  async #run(store: EventStore): Promise<void> {
    for await (const message of subscribeIfOpen(store, this.seen.length)) {
      if (message.kind === 'caughtUp') expect(message.position).toBeGreaterThanOrEqual(this.seen.length)
      if (message.kind !== 'events') continue
      for (const event of message.events) {
        expect(event.position).toBe(this.seen.length + 1)
        this.seen.push(event)
      }
      if (this.seen.length >= this.#wanted) this.#reached.resolve()
    }
  }
}

async function* subscribeIfOpen(store: EventStore, afterPosition: number): AsyncGenerator<SubscriptionMessage> {
  try {
    yield* store.subscribe({ afterPosition })
  } catch (error) {
    // Closed before it began: the next life's subscription goes on.
    if (!(error instanceof EventStoreError) || error.code !== 'unavailable') throw error
  }
}
