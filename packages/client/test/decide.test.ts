import { describe, expect } from 'vitest'
import {
  connect,
  ConditionFailedError,
  TooManyConflictsError,
  UnavailableError,
  WrongExpectedRevisionError,
  type Client,
  type NewEvent,
  type RecordedEvent,
  type StreamWrite,
} from '@synod/client'
import { z } from 'zod'
import { it, rejection } from './with-client.ts'

type SeatEvent = { type: 'Opened'; data: { seats: number } } | { type: 'Taken'; data: { by: string } }

class Full extends Error {}

const seats = {
  initialState: () => 0,
  evolve: (free: number, event: RecordedEvent<SeatEvent>) => (event.type === 'Opened' ? event.data.seats : free - 1),
}

function take(by: string) {
  return (free: number): NewEvent<SeatEvent> => {
    if (free === 0) throw new Full()
    return { type: 'Taken', data: { by } }
  }
}

describe('decisions on a stream', { concurrent: true }, () => {
  it('stand on what was read, and are made again when somebody was faster', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes) as Client<SeatEvent>
    const opened = await client.decide('s', { ...seats, decide: () => [{ type: 'Opened', data: { seats: 2 } }] })
    expect(opened).toEqual({ state: 0, appended: { position: 1n, streams: [{ stream: 's', revision: 0n }] }, attempts: 1 })
    let reads = 0
    const decided = await client.decide('s', {
      ...seats,
      decide: async (free) => {
        if (++reads === 1) await client.append('s', { type: 'Taken', data: { by: 'a faster one' } })
        return take('me')(free)
      },
    })
    expect(decided).toEqual({ state: 1, appended: { position: 3n, streams: [{ stream: 's', revision: 2n }] }, attempts: 2 })
    expect(nodes[0].messages('append').map(({ expected }) => expected)).toEqual(['noStream', 'any', 0, 1])
  })

  it('lead to nothing, or to the caller’s own error', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes) as Client<SeatEvent>
    expect(await client.decide('s', { ...seats, decide: () => undefined })).toEqual({ state: 0, appended: undefined, attempts: 1 })
    expect(await client.decide('s', { ...seats, decide: () => [] })).toMatchObject({ appended: undefined })
    expect(await rejection(client.decide('s', { ...seats, decide: take('me') }))).toBeInstanceOf(Full)
    expect(nodes[0].messages('append')).toEqual([])
  })

  it('give up after so many attempts, and say what to do', async ({ world }) => {
    const client = world.client(await world.nodes(1)) as Client<SeatEvent>
    await client.append('s', { type: 'Opened', data: { seats: 9 } })
    const overtaken = async (): Promise<NewEvent<SeatEvent>> => {
      await client.append('s', { type: 'Taken', data: { by: 'a faster one' } })
      return { type: 'Taken', data: { by: 'me' } }
    }
    const error = await rejection(client.decide('s', { ...seats, decide: overtaken }, { attemptsMax: 3 }))
    expect(error).toBeInstanceOf(TooManyConflictsError)
    expect(error).toMatchObject({
      code: 'too_many_conflicts',
      attempts: 3,
      message: expect.stringMatching(/3 attempts.*attemptsMax/) as string,
    })
    expect((error as Error).cause).toBeInstanceOf(WrongExpectedRevisionError)
    await expect(client.decide('s', { ...seats, decide: overtaken }, { attemptsMax: 0 })).rejects.toThrow(/attemptsMax must be/)
  })

  it('end when the signal aborts, while they rest too', async ({ world }) => {
    const client = world.client(await world.nodes(1)) as Client<SeatEvent>
    const ending = new AbortController()
    let tries = 0
    const decide = async (): Promise<NewEvent<SeatEvent>> => {
      await client.append('s', { type: 'Taken', data: { by: 'a faster one' } })
      if (++tries === 4) setTimeout(() => ending.abort(new Error('enough')), 1)
      return { type: 'Taken', data: { by: 'me' } }
    }
    await expect(client.decide('s', { ...seats, decide }, { attemptsMax: 1000, signal: ending.signal })).rejects.toThrow('enough')
  })

  it('do not repeat what may have happened: its outcome is the caller’s to know', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes, { appendTimeout: 300 }) as Client<SeatEvent>
    nodes[0].intercept = (message) => message.kind === 'append'
    const error = await rejection(client.decide('s', { ...seats, decide: () => ({ type: 'Opened', data: { seats: 1 } }) }))
    expect(error).toBeInstanceOf(UnavailableError)
    expect(error).toMatchObject({ outcomeUnknown: true })
  })

  it('go on behind events that are hidden, or of types that are left out', async ({ world }) => {
    const nodes = await world.nodes(1)
    await world.client(nodes).append('s', [
      { type: 'Opened', data: { seats: 2 } },
      { type: 'Foreign', data: 1 },
    ])
    const client = connect({ nodes: [nodes[0].url], undeclared: 'skip', events: { Opened: z.object({ seats: z.number() }) } })
    const again = {
      initialState: () => 0,
      evolve: (count: number) => count + 1,
      decide: () => ({ type: 'Opened' as const, data: { seats: 3 } }),
    }
    expect(await client.decide('s', again)).toMatchObject({ state: 1, attempts: 1 })
    // Everything is hidden: reads find nothing, and the stream goes on.
    nodes[0].intercept = (message, connection) => {
      if (message.kind === 'read') connection.send({ kind: 'page', request: message.request, events: [] })
      else if (message.kind === 'call') {
        const result = JSON.stringify({ stream: 's', firstRevision: 3, lastRevision: 2, length: 0 })
        connection.send({ kind: 'result', request: message.request, result })
      } else return false
      return true
    }
    expect(await client.decide('s', again)).toMatchObject({ state: 0, attempts: 1 })
    expect(nodes[0].messages('append').at(-1)).toMatchObject({ expected: 2 })
    await client.close()
  })
})

describe('decisions on a query', { concurrent: true }, () => {
  const name = { initialState: () => false, evolve: () => true }

  it('have the query as their condition, after what was considered', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    for (let n = 0; n < 40; n++) await client.append('other', { type: 'T', data: n })
    const query = { items: [{ types: ['UserRegistered'], tags: ['name:ada'] }] }
    const register = (stream: string) => ({
      ...name,
      decide: (isTaken: boolean) => {
        if (isTaken) throw new Full()
        return { stream, events: { type: 'UserRegistered', data: {}, tags: ['name:ada'] }, expected: 'noStream' as const }
      },
    })
    expect(await client.decide(query, register('user-1'))).toMatchObject({ state: false, appended: { position: 41n }, attempts: 1 })
    expect(nodes[0].messages('appendAtomically')).toMatchObject([{ condition: { failIfEventsMatch: query, after: 40 } }])
    expect(await rejection(client.decide(query, register('user-2')))).toBeInstanceOf(Full)
    expect(await client.decide(query, { ...name, decide: () => [] })).toEqual({ state: true, appended: undefined, attempts: 1 })
  })

  it('have one winner of 64 that want one name, at once, at three nodes', async ({ world }) => {
    const nodes = await world.nodes(3)
    const clients = nodes.map((node) => world.client([node]))
    const query = { items: [{ tags: ['name:ada'] }] }
    const registered = await Promise.allSettled(
      Array.from({ length: 64 }, (_, n) =>
        clients[n % 3]!.decide(query, {
          ...name,
          decide: (isTaken) => {
            if (isTaken) throw new Full()
            return [{ stream: `user-${n}`, events: [{ type: 'UserRegistered', data: n, tags: ['name:ada'] }] }]
          },
        }),
      ),
    )
    expect(registered.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(registered.every((one) => one.status === 'fulfilled' || one.reason instanceof Full)).toBe(true)
    expect(nodes[0].store.events).toHaveLength(1)
  })

  it('give up too', async ({ world }) => {
    const client = world.client(await world.nodes(1))
    let decided = 0
    const decide = async (): Promise<StreamWrite> => {
      decided++
      await client.append('faster', { type: 'T', data: 1, tags: ['x'] })
      return { stream: 'mine', events: { type: 'T', data: 2, tags: ['x'] } }
    }
    const error = await rejection(client.decide({ items: [{ tags: ['x'] }] }, { ...name, decide }, { attemptsMax: 2 }))
    expect(error).toMatchObject({ code: 'too_many_conflicts', attempts: 2 })
    expect((error as Error).cause).toBeInstanceOf(ConditionFailedError)
    expect(decided).toBe(2)
  })
})
