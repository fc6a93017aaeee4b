/** Filters and `atLeast` over HTTP. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { EventStoreError, type QueryOptions, type QueryPage } from '@synod/events'
import { ask, ScriptedStore, serve, stored, type Served } from './served.ts'

let served: Served
beforeAll(async () => void (served = await serve({ answerMillisecondsMax: 300 })))
afterAll(() => served.close())
beforeEach(() => {
  served.state = 'serving'
  const { store } = served
  for (const asked of [store.queries, store.reads, store.subscriptions]) asked.length = 0
  store.onQuery = new ScriptedStore().onQuery
})

/** What a value is in a list: percent-encoded first. */
const list = (...values: string[]): string => values.map(encodeURIComponent).join(',')

describe('a filter', () => {
  test.each([
    ['types=A', { items: [{ types: ['A'] }] }],
    ['types=A,B', { items: [{ types: ['A', 'B'] }] }],
    ['tags=x,y', { items: [{ tags: ['x', 'y'] }] }],
    ['types=A&tags=x', { items: [{ types: ['A'], tags: ['x'] }] }],
    ['prefix=order-,invoice-', { prefixes: ['order-', 'invoice-'] }],
    ['category=order', { categories: ['order'] }],
    [`types=${list('a,b', 'c+d', '100%', 'ü & =')}`, { items: [{ types: ['a,b', 'c+d', '100%', 'ü & ='] }] }],
    [`category=a&prefix=${list('a,')}&tags=${list(',')}`, { items: [{ tags: [','] }], prefixes: ['a,'], categories: ['a'] }],
  ])('%s', async (query, filter) => {
    expect((await ask(`${served.url}/events?${query}`)).status).toBe(200)
    expect(served.store.queries[0]?.filter).toEqual(filter)
    const response = await fetch(`${served.url}/events/subscription?${query}`)
    await response.body?.cancel()
    expect(served.store.subscriptions[0]?.filter).toEqual(filter)
  })

  test.each(['types=', 'types=A,', 'tags=,x', 'prefix=', 'category=,', 'types=%E0', 'types=A&types=B', 'type=A'])(
    '%s is refused',
    async (query) => {
      for (const path of ['/events', '/events/subscription']) {
        const { status, body } = await ask(`${served.url}${path}?${query}`)
        expect({ status, code: body.code }).toEqual({ status: 400, code: 'invalid_argument' })
      }
      expect(served.store.queries.length + served.store.subscriptions.length).toBe(0)
    },
  )

  test.each(['/streams/s?types=A', '/streams/s/subscription?types=A'])('%s: it is of all streams only', async (path) => {
    expect((await ask(served.url + path)).body).toMatchObject({ code: 'invalid_argument', parameter: 'types' })
  })

  test('goes with the rest of a subscription', async () => {
    const response = await fetch(`${served.url}/events/subscription?types=A&from=3`, { headers: { 'last-event-id': '9' } })
    await response.body?.cancel()
    const { signal: _signal, ...options } = served.store.subscriptions[0] ?? {}
    expect(options).toEqual({ filter: { items: [{ types: ['A'] }] }, afterPosition: 9 })
  })
})

/** A store of so many positions, of which it considers ten a step; `matches` pass. */
function stepping(head: number, matches: readonly number[]): (options: QueryOptions) => Promise<QueryPage> {
  return async ({ from, direction, limit }) => {
    const isBackward = direction === 'backward'
    const start = isBackward ? Math.min(head, from ?? head) : Math.max(1, from ?? 1)
    const last = isBackward ? Math.max(1, start - 9) : Math.min(head, start + 9)
    const found = matches.filter((position) => position >= Math.min(start, last) && position <= Math.max(start, last)).slice(0, limit)
    return {
      events: found.map((position) => ({ ...stored, position })),
      considered: last,
      isEnd: isBackward ? last === 1 : last === head,
    }
  }
}

const positions = (body: Record<string, unknown>): number[] => (body.events as { position: number }[]).map(({ position }) => position)

describe('a filtered page', () => {
  test('says how far the node looked', async () => {
    const { body } = await ask(`${served.url}/events?types=A&limit=7&direction=backward&from=50`)
    expect(body).toMatchObject({ considered: 42, isEnd: true })
    expect(served.store.queries[0]).toMatchObject({ limit: 7, direction: 'backward', from: 50, consistency: 'linearizable' })
  })

  test.each([
    ['forward', '', [95], 10],
    ['backward', '&direction=backward', [3], 10],
    ['forward, none', '', [], 10],
    ['forward, none from the middle', '&from=51', [], 5],
  ])('%s: steps without an event are gone on from, and only the end is empty', async (_, more, matches, steps) => {
    served.store.onQuery = stepping(100, matches)
    const { status, body } = await ask(`${served.url}/events?types=A${more}`)
    expect({ status, found: positions(body) }).toEqual({ status: 200, found: matches })
    expect(served.store.queries).toHaveLength(steps)
    // Only the first asks the quorum how far to see.
    expect(served.store.queries.map(({ consistency }) => consistency)).toEqual(
      served.store.queries.map((__, at) => (at === 0 ? 'linearizable' : 'local')),
    )
  })

  test('reading on from the last event and one, until a page is empty, finds all', async () => {
    const matches = [4, 5, 6, 31, 77, 100, 101, 204]
    served.store.onQuery = stepping(205, matches)
    const found: number[] = []
    for (let from = 0; ;) {
      const { body } = await ask(`${served.url}/events?types=A&limit=2&from=${from}`)
      const page = positions(body)
      if (page.length === 0) break
      found.push(...page)
      from = (page.at(-1) ?? 0) + 1
    }
    expect(found).toEqual(matches)
  })

  test.each([
    ['forward', '', (step: number) => 10 * step + 1],
    ['backward', '&direction=backward', (step: number) => 10_000 - 10 * step],
  ])('%s: when the time is over before an event is found, it is a 503 that says where to go on', async (_, more, next) => {
    const quick = stepping(10_000, [])
    served.store.onQuery = async (options) => {
      await sleep(40)
      return quick(options)
    }
    const { status, body, headers } = await ask(`${served.url}/events?types=A${more}`)
    expect({ status, code: body.code, retryAfter: headers.get('retry-after') }).toEqual({
      status: 503,
      code: 'unavailable',
      retryAfter: '1',
    })
    const from = next(served.store.queries.length)
    expect(body.message).toContain(`go on with from=${from}`)
    expect(body.considered).toBe(more === '' ? from - 1 : from + 1)
  })

  test('whose step is aborted by the deadline says the same', async () => {
    const quick = stepping(10_000, [])
    served.store.onQuery = async (options) => {
      if (served.store.queries.length < 3) return quick(options)
      await new Promise((resolve) => options.signal?.addEventListener('abort', resolve, { once: true }))
      throw new EventStoreError('aborted', 'the read was aborted')
    }
    const { status, body } = await ask(`${served.url}/events?types=A`)
    expect({ status, considered: body.considered }).toEqual({ status: 503, considered: 20 })
  })

  test('is refused with the store’s words', async () => {
    served.store.onQuery = () => Promise.reject(new EventStoreError('too_large', 'types of a filter: 900, at most 256 are allowed'))
    expect(await ask(`${served.url}/events?types=A`)).toMatchObject({ status: 413, body: { code: 'too_large' } })
  })
})

describe('atLeast', () => {
  test.each(['/streams/s', '/events'])('%s', async (path) => {
    await ask(`${served.url}${path}?atLeast=17&consistency=local`)
    expect(served.store.reads[0]).toMatchObject({ atLeast: 17, consistency: 'local' })
    expect((await ask(`${served.url}${path}?atLeast=-1`)).body).toMatchObject({ code: 'invalid_argument', parameter: 'atLeast' })
  })

  test('of a filtered read', async () => {
    await ask(`${served.url}/events?types=A&atLeast=17`)
    expect(served.store.queries[0]).toMatchObject({ atLeast: 17 })
  })
})
