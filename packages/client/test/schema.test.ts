import { describe, expect, expectTypeOf } from 'vitest'
import { z } from 'zod'
import { connect, SchemaError, type Client, type EventSchemas, type RecordedEvent, type SchemaOptions } from '@synod/client'
import type { ScriptedNode } from './scripted/scripted-node.ts'
import { all, it, rejection } from './with-client.ts'

type CourseEvent =
  | { readonly type: 'CourseOpened'; readonly data: { readonly seats: number } }
  | { readonly type: 'StudentEnrolled'; readonly data: { readonly student: string }; readonly metadata: { readonly by: string } }

function withSchemas<S extends EventSchemas>(nodes: readonly ScriptedNode[], options: SchemaOptions<S>) {
  return connect({ nodes: nodes.map(({ url }) => url), ...options })
}

describe('events declared as a union', () => {
  it('has their types', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes) as Client<CourseEvent>
    await client.append('c', { type: 'CourseOpened', data: { seats: 2 } })
    await client.append('c', [{ type: 'StudentEnrolled', data: { student: 'ada' }, metadata: { by: 'bob' }, tags: ['t'] }])
    // @ts-expect-error another type's data
    await client.append('c', { type: 'CourseOpened', data: { student: 'ada' } })
    // @ts-expect-error metadata is missing
    await client.append('c', { type: 'StudentEnrolled', data: { student: 'ada' } })
    // @ts-expect-error no such type
    await client.append('c', { type: 'CourseClosed', data: {} })
    const seats: number[] = []
    for await (const event of client.readStream('c', { limit: 2 })) {
      expectTypeOf(event).toEqualTypeOf<RecordedEvent<CourseEvent>>()
      if (event.type === 'CourseOpened') {
        expectTypeOf(event.metadata).toBeUnknown()
        seats.push(event.data.seats)
      } else {
        expectTypeOf(event.data).toEqualTypeOf<{ readonly student: string }>()
        expect(event.metadata.by).toBe('bob')
      }
    }
    expect(seats).toEqual([2])
    expectTypeOf(() => connect<CourseEvent>({ nodes: [] })).returns.toEqualTypeOf<Client<CourseEvent>>()
  })

  it('has their types in decisions, atomic appends and groups', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes) as Client<CourseEvent>
    const evolve = (free: number, event: RecordedEvent<CourseEvent>): number =>
      event.type === 'CourseOpened' ? event.data.seats : free - 1
    const decided = await client.decide('c', {
      initialState: () => 0,
      evolve: (free, event) => {
        expectTypeOf(event).toEqualTypeOf<RecordedEvent<CourseEvent>>()
        return evolve(free, event)
      },
      decide: (free) => {
        expectTypeOf(free).toBeNumber()
        return { type: 'CourseOpened', data: { seats: 2 } }
      },
    })
    expectTypeOf(decided.state).toBeNumber()
    expect(decided.appended?.streams).toEqual([{ stream: 'c', revision: 0n }])
    const seats = { initialState: () => 0, evolve }
    const closed = { type: 'CourseClosed', data: {} } as const
    // Each would be refused by a compiler.
    const wrong = [
      // @ts-expect-error no such type
      () => client.decide('c', { ...seats, decide: () => closed }),
      // @ts-expect-error a query says which streams to write
      () => client.decide({ items: [{}] }, { ...seats, decide: () => ({ type: 'CourseOpened', data: { seats: 2 } }) as const }),
      // @ts-expect-error no such type
      () => client.decide({ items: [{}] }, { ...seats, decide: () => ({ stream: 'c', events: closed }) }),
      // @ts-expect-error no such type
      () => client.appendAtomically({ writes: [{ stream: 'c', events: closed }] }),
      // @ts-expect-error it has no name
      () => client.groups.handle('g', (event) => void event.data.name),
    ]
    expect(wrong).toHaveLength(5)
    const { events } = await client.query({})
    expectTypeOf(events).toEqualTypeOf<readonly RecordedEvent<CourseEvent>[]>()
    expectTypeOf<Awaited<ReturnType<typeof client.streamInfo>>['lastEvent']>().toEqualTypeOf<RecordedEvent<CourseEvent> | undefined>()
  })
})

describe('events declared as schemas', () => {
  const events = {
    CourseOpened: z.object({
      seats: z.number().int().positive(),
      opensAt: z.iso
        .datetime()
        .transform((text) => new Date(text))
        .optional(),
    }),
    StudentEnrolled: z.object({ student: z.string(), waiting: z.boolean().default(false) }),
  }

  it('are checked when they are appended, and nothing is sent', async ({ world }) => {
    const nodes = await world.nodes(1)
    await using client = withSchemas(nodes, { events })
    const error = await rejection(
      client.append('c', [
        { type: 'CourseOpened', data: { seats: 1 } },
        { type: 'CourseOpened', data: { seats: 0 } },
      ]),
    )
    expect(error).toBeInstanceOf(SchemaError)
    expect(error).toMatchObject({ code: 'schema_mismatch', type: 'CourseOpened', issues: [{ path: ['seats'] }], at: undefined })
    expect((error as Error).message).toMatch(/data of event 1 is no CourseOpened: seats: /)
    // @ts-expect-error not declared
    expect(await rejection(client.append('c', { type: 'CourseClosed', data: {} }))).toMatchObject({ code: 'schema_mismatch', issues: [] })
    // @ts-expect-error a string is no number of seats
    expect(await rejection(client.append('c', { type: 'CourseOpened', data: { seats: 'two' } }))).toBeInstanceOf(SchemaError)
    expect(nodes[0].handshakes).toBe(0)
  })

  it('are stored as they were given, and read as their schema makes them', async ({ world }) => {
    const nodes = await world.nodes(1)
    await using client = withSchemas(nodes, { events })
    await client.append('c', { type: 'CourseOpened', data: { seats: 2, opensAt: '2026-12-01T00:00:00Z' } })
    await client.append('c', { type: 'StudentEnrolled', data: { student: 'ada' } })
    const [opened, enrolled] = await all(client.readStream('c'))
    if (opened?.type !== 'CourseOpened' || enrolled?.type !== 'StudentEnrolled') throw new Error('other types')
    expectTypeOf(opened.data.opensAt).toEqualTypeOf<Date | undefined>()
    expect(opened.data).toEqual({ seats: 2, opensAt: new Date('2026-12-01T00:00:00Z') })
    expectTypeOf(enrolled.data.waiting).toEqualTypeOf<boolean>()
    expect(enrolled.data).toEqual({ student: 'ada', waiting: false })
    const [raw] = await all(world.client(nodes).readStream('c'))
    expect(raw?.data).toEqual({ seats: 2, opensAt: '2026-12-01T00:00:00Z' })
  })

  it('are checked when they are read, and the error says where the event stands', async ({ world }) => {
    const nodes = await world.nodes(1)
    const open = world.client(nodes)
    await open.append('c', [
      { type: 'CourseOpened', data: { seats: 1 } },
      { type: 'CourseOpened', data: { seats: 'many' } },
      { type: 'Other', data: 1 },
      { type: 'CourseOpened', data: { seats: 3 } },
    ])
    await using client = withSchemas(nodes, { events })
    const seen: bigint[] = []
    const read = async (from: bigint): Promise<void> => {
      for await (const { revision } of client.readStream('c', { from })) seen.push(revision)
    }
    expect(await rejection(read(0n))).toMatchObject({ code: 'schema_mismatch', at: { stream: 'c', revision: 1n, position: 2n } })
    expect(await rejection(read(2n))).toMatchObject({ type: 'Other', at: { revision: 2n } })
    await read(3n)
    expect(seen).toEqual([0n, 3n])
    const messages = client.subscribe({ from: 2n })[Symbol.asyncIterator]()
    expect(await rejection(messages.next())).toMatchObject({ at: { position: 2n } })
    expect(await messages.next()).toEqual({ done: true, value: undefined })

    await using skipping = withSchemas(nodes, { events, undeclared: 'skip' })
    expect((await all(skipping.readStream('c', { from: 2n }))).map(({ revision }) => revision)).toEqual([3n])
    const followed = skipping.subscribe({ from: 3n })[Symbol.asyncIterator]()
    expect((await followed.next()).value).toMatchObject({ event: { position: 4n } })
    await followed.return?.()
  })

  it('may be checked asynchronously', async ({ world }) => {
    const nodes = await world.nodes(1)
    const slow = { Slow: z.object({ n: z.number() }).refine(async ({ n }) => Promise.resolve(n > 0)) }
    await using client = withSchemas(nodes, { events: slow })
    await client.append(
      's',
      [1, 2, 3].map((n) => ({ type: 'Slow' as const, data: { n } })),
    )
    expect(await rejection(client.append('s', { type: 'Slow', data: { n: 0 } }))).toBeInstanceOf(SchemaError)
    expect((await all(client.readStream('s'))).map(({ data }) => data.n)).toEqual([1, 2, 3])
    const messages = client.subscribe()[Symbol.asyncIterator]()
    expect((await messages.next()).value).toMatchObject({ event: { data: { n: 1 } } })
    await messages.return?.()
  })
})
