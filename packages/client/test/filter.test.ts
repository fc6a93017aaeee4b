import { describe, expect } from 'vitest'
import { InvalidArgumentError, ProtocolViolationError, type Client, type EventFilter } from '@synod/client'
import { all, it, rejection, takeEvents } from './with-client.ts'

/** A hundred events; every tenth is tagged, and of a stream of its own. */
async function fill(client: Client): Promise<void> {
  for (let n = 1; n <= 100; n++) {
    const isTenth = n % 10 === 0
    await client.append(isTenth ? `tenth-${n}` : 'other', {
      type: n % 2 === 0 ? 'Even' : 'Odd',
      data: n,
      ...(isTenth && { tags: ['ten', `n${n}`] }),
    })
  }
}

const tenths = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]

describe('filters', { concurrent: true }, () => {
  it('are read over pages that may hold nothing, in both directions, from anywhere, as many as wanted', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    await fill(client)
    const read = async (filter: EventFilter, options: object = {}): Promise<number[]> =>
      (await all(client.readAll({ filter, ...options }))).map(({ position }) => Number(position))
    const tagged = { items: [{ tags: ['ten'] }] }
    expect(await read(tagged)).toEqual(tenths)
    expect(await read(tagged, { direction: 'backward' })).toEqual(tenths.toReversed())
    expect(await read(tagged, { from: 30n, limit: 3 })).toEqual([30, 40, 50])
    expect(await read(tagged, { from: 35n, limit: 2, direction: 'backward' })).toEqual([30, 20])
    expect(await read({ prefixes: ['tenth-1'] })).toEqual([10, 100])
    expect(await read({ categories: ['tenth'], items: [{ types: ['Odd'] }] })).toEqual([])
    expect(await read({ items: [{ types: ['Even'], tags: ['n20'] }, { tags: ['n70'] }] })).toEqual([20, 70])
    expect(await read({})).toHaveLength(100)
    expect(await read(tagged, { from: 1000n })).toEqual([])
  })

  it('are answered at once by a query, which tells how far it looked', async ({ world }) => {
    const client = world.client(await world.nodes(1))
    const filter = { items: [{ tags: ['ten'] }] }
    expect(await client.query(filter)).toEqual({ events: [], position: 0n, isEnd: true })
    await fill(client)
    const whole = await client.query(filter)
    expect(whole.events.map(({ data }) => data)).toEqual(tenths)
    expect(whole).toMatchObject({ position: 100n, isEnd: true })
    expect(await client.query({ items: [{ tags: ['n20'] }] })).toMatchObject({ position: 100n, isEnd: true })
    const some = await client.query(filter, { limit: 3 })
    expect(some).toMatchObject({ events: [{ data: 10 }, { data: 20 }, { data: 30 }], position: 30n, isEnd: false })
    const rest = await client.query(filter, { from: some.position + 1n, limit: 100 })
    expect(rest).toMatchObject({ position: 100n, isEnd: true })
    expect(rest.events).toHaveLength(7)
    expect(await rejection(client.query(filter, { limit: 65_537 }))).toBeInstanceOf(InvalidArgumentError)
  })

  it('are of subscriptions too, which resume after what was considered', async ({ world }) => {
    const nodes = await world.nodes(2)
    const client = world.client(nodes)
    await fill(client)
    const filter = { prefixes: ['tenth-'] }
    const iterator = client.subscribe({ filter })[Symbol.asyncIterator]()
    const data: unknown[] = []
    for (let n = 0; n < 10; n++) {
      const { value } = await iterator.next()
      data.push(value?.kind === 'event' && value.event.data)
    }
    expect(data).toEqual(tenths)
    expect((await iterator.next()).value).toEqual({ kind: 'caughtUp', position: 100n })
    const next = iterator.next()
    for (const node of nodes) for (const { socket } of node.connections) socket.terminate()
    expect((await next).value).toEqual({ kind: 'caughtUp', position: 100n })
    const subscribed = nodes.flatMap((node) => node.messages('subscribeFiltered'))
    expect(subscribed.map(({ filter: asked }) => asked)).toEqual([filter, filter])
    expect(subscribed.map(({ start }) => start)).toContainEqual({ kind: 'afterPosition', position: 100 })
    await iterator.return?.()
    expect(await takeEvents(client.subscribe({ filter, after: 90n }), 1)).toMatchObject([{ position: 100n }])
  })

  it('travel with how far a node has to be', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    await client.append('a', { type: 'T', data: 1 })
    await all(client.readStream('a', { atLeast: 1n, consistency: 'local' }))
    await all(client.readAll({ atLeast: 1n }))
    await client.query({}, { atLeast: 1n })
    expect([...nodes[0].messages('read'), ...nodes[0].messages('query')].every(({ atLeast }) => atLeast === 1)).toBe(true)
  })

  it.for([
    [{ considered: 4, isEnd: false }, /considered to 4, where 5 was/],
    [{ considered: 16, isEnd: false }, /considered to 16, where 16 was/],
  ] as const)('that go back or stand still are told: %j', async ([answer, message], { world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    await fill(client)
    nodes[0].intercept = (asked, connection) => {
      if (asked.kind !== 'query') return false
      const events = asked.from === undefined ? nodes[0].store.events.slice(0, answer.considered === 4 ? 5 : 0) : []
      const first = { considered: 16, isEnd: false }
      connection.send({
        kind: 'queryPage',
        request: asked.request,
        events,
        ...(asked.from === undefined && answer.considered !== 4 ? first : answer),
      })
      return true
    }
    const error = await rejection(all(client.readAll({ filter: {} })))
    expect(error).toBeInstanceOf(ProtocolViolationError)
    expect((error as Error).message).toMatch(message)
  })

  it('are checked before anything is sent', async ({ world }) => {
    const client = world.client(await world.nodes(1))
    const wrong = [{ tags: ['x'] }, { items: [{ types: 'T' }] }, { prefixes: 'a' }, []] as unknown as EventFilter[]
    for (const filter of wrong) {
      expect(() => client.readAll({ filter })).toThrow(InvalidArgumentError)
      expect(() => client.subscribe({ filter })).toThrow(InvalidArgumentError)
    }
    expect(() => client.subscribe({ stream: 'a', filter: {} })).toThrow(/exclude each other/)
  })
})
