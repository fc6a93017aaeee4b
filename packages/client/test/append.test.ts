import { describe, expect, vi } from 'vitest'
import {
  BusyError,
  ClientClosedError,
  connect,
  EventIdConflictError,
  InvalidArgumentError,
  ProtocolViolationError,
  TooLargeError,
  WrongExpectedRevisionError,
  type Expected,
  type NewEvent,
} from '@synod/client'
import { decodeRecord } from '@synod/event-record'
import { all, it, rejection } from './with-client.ts'

describe('append', () => {
  it('answers with the revision and position of the last event', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    expect(await client.append('a', { type: 'T', data: { n: 1 } })).toEqual({ revision: 0n, position: 1n })
    const two = [
      { type: 'T', data: null },
      { type: 'U', data: 'text', metadata: { by: 'ada' }, tags: ['x', 'y'] },
    ]
    expect(await client.append('a', two, { expected: 0n })).toEqual({ revision: 2n, position: 3n })
    const [, , last] = await all(client.readStream('a'))
    expect(last).toEqual({
      stream: 'a',
      revision: 2n,
      position: 3n,
      id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      type: 'U',
      data: 'text',
      metadata: { by: 'ada' },
      tags: ['x', 'y'],
      recordedAt: new Date('2026-11-23T09:00:00.000Z'),
    })
  })

  it('sends what is expected', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    const kinds: (Expected | undefined)[] = [undefined, 'any', 'noStream', 'streamExists', 0n, 9_007_199_254_740_991n]
    await Promise.allSettled(
      kinds.map((expected) => client.append('a', { type: 'T', data: 1 }, expected === undefined ? {} : { expected })),
    )
    expect(nodes[0].messages('append').map(({ expected }) => expected)).toEqual([
      'any',
      'any',
      'noStream',
      'streamExists',
      0,
      9_007_199_254_740_991,
    ])
  })

  it('puts the appends of one turn, and those that their answers set off, into one frame each', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    await client.append('first', { type: 'T', data: 0 })
    const before = nodes[0].frames
    const wrapped = async (lane: number, n: number): Promise<void> => void (await client.append(`s${lane}`, { type: 'T', data: n }))
    await Promise.all(
      Array.from({ length: 256 }, async (_, lane) => {
        for (let n = 0; n < 4; n++) await wrapped(lane, n)
      }),
    )
    expect(nodes[0].frames - before).toBe(4)
    expect(nodes[0].store.events).toHaveLength(1025)
  })

  it('keeps an id that is given, and draws one that is not', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    const id = '0190A2B4-0000-7000-8000-00000000ABCD'
    const first = await client.append('a', { type: 'T', data: 1, id })
    expect(await client.append('a', { type: 'T', data: 1, id }, { expected: 'noStream' })).toEqual(first)
    await client.append('a', { type: 'T', data: 1 })
    const ids = nodes[0].store.events.map(({ record }) => decodeRecord(record).id)
    expect(ids).toEqual([id.toLowerCase(), expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)])
  })

  it('tells what the node refused, each as an error of its own', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    await client.append('a', { type: 'T', data: 1 })
    const refused = await rejection(client.append('a', { type: 'T', data: 1 }, { expected: 5n }))
    expect(refused).toBeInstanceOf(WrongExpectedRevisionError)
    expect(refused).toMatchObject({ code: 'wrong_expected_revision', stream: 'a', expected: 5n, actual: 0n })
    expect(await rejection(client.append('b', { type: 'T', data: 1 }, { expected: 'streamExists' }))).toMatchObject({ actual: 'noStream' })

    for (const [code, type] of [
      ['event_id_conflict', EventIdConflictError],
      ['invalid_argument', InvalidArgumentError],
      ['too_large', TooLargeError],
    ] as const) {
      nodes[0].intercept = (message, connection) => {
        if (message.kind === 'append') connection.refuse(message.request, code)
        return message.kind === 'append'
      }
      const error = await rejection(client.append('a', { type: 'T', data: 1 }))
      expect(error).toBeInstanceOf(type)
      expect(error).toMatchObject({ code, message: `refused as ${code}` })
    }
    nodes[0].intercept = (message, connection) => {
      if (message.kind === 'append') connection.refuse(message.request, 'wrong_expected_revision', 'no JSON')
      return true
    }
    expect(await rejection(client.append('a', { type: 'T', data: 1 }))).toBeInstanceOf(ProtocolViolationError)
    expect(client.status().counters).toMatchObject({ appended: 1, appendsFailed: 6 })
  })

  it('refuses what is no event before anything is sent', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    const cyclic: Record<string, unknown> = {}
    cyclic.self = cyclic
    const wrong: [unknown, RegExp][] = [
      [{ type: 'T', data: undefined }, /event 0: data cannot be carried by JSON \(undefined/],
      [{ type: 'T', data: 1n }, /event 0: data cannot be carried by JSON/],
      [{ type: 'T', data: cyclic }, /event 0: data cannot be carried by JSON .*circular/],
      [{ type: 'T', data: () => 1 }, /event 0: data/],
      [{ type: 'T', data: { deep: [1, Number.NaN] } }, /event 0: data .*NaN/],
      [{ type: 'T', data: [undefined] }, /event 0: data .*undefined at place 0/],
      [{ type: 'T', data: 1, metadata: { at: Infinity } }, /event 0: metadata .*Infinity/],
      [
        [
          { type: 'T', data: 1 },
          { type: '', data: 1 },
        ],
        /event 1: type/,
      ],
      [{ data: 1 }, /event 0: type/],
      [{ type: '\ud800', data: 1 }, /event 0: its type and tags/],
      [{ type: 'T', data: 1, tags: ['\udc00'] }, /event 0: its type and tags/],
      [{ type: 'T', data: 1, tags: 'x' }, /event 0: tags/],
      [{ type: 'T', data: 1, id: '17' }, /event 0: id must be a UUID/],
      [[], /at least one event/],
      [null, /event 0 must be an object/],
      // A list with a hole, as JavaScript has them; `map` would pass over it.
      [Object.assign([], { 1: { type: 'T', data: 1 } }), /event 0 must be an object/],
    ]
    for (const [event, message] of wrong) {
      const error = await rejection(client.append('a', event as NewEvent))
      expect(error).toBeInstanceOf(InvalidArgumentError)
      expect((error as Error).message).toMatch(message)
    }
    for (const stream of ['', '\ud800', 7]) {
      expect(await rejection(client.append(stream as string, { type: 'T', data: 1 }))).toBeInstanceOf(InvalidArgumentError)
    }
    for (const expected of ['none', 1, -1n, 2n ** 53n]) {
      expect(await rejection(client.append('a', { type: 'T', data: 1 }, { expected: expected as Expected }))).toMatchObject({
        code: 'invalid_argument',
      })
    }
    expect(await rejection(client.append('a', { type: 'T', data: 'x'.repeat(16 * 1024 * 1024) }))).toBeInstanceOf(TooLargeError)
    expect(nodes[0].handshakes).toBe(0)
  })

  it('leaves out what JSON leaves out', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    await client.append('a', { type: 'T', data: { kept: null, gone: undefined }, metadata: null })
    expect((await all(client.readStream('a')))[0]).toMatchObject({ data: { kept: null }, metadata: undefined })
  })

  it('has no more in flight than its bounds, and answers all the same', async ({ world }) => {
    const nodes = await world.nodes(1)
    let [open, most] = [0, 0]
    nodes[0].intercept = (message, connection) => {
      if (message.kind !== 'append') return false
      most = Math.max(most, ++open)
      setTimeout(() => {
        open--
        connection.send(nodes[0].store.append(message))
      }, 1)
      return true
    }
    const client = world.client(nodes, { appendsInFlightMax: 8 })
    const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => client.append('a', { type: 'T', data: n })))
    expect(most).toBe(8)
    expect(answers.map(({ revision }) => Number(revision))).toEqual(Array.from({ length: 100 }, (_, n) => n))

    most = 0
    const narrow = world.client(nodes, { appendBytesInFlightMax: 2500 })
    await Promise.all(Array.from({ length: 20 }, () => narrow.append('b', { type: 'T', data: 'x'.repeat(1000) })))
    expect(most).toBe(2)
    // Larger than the bound: alone.
    await narrow.append('b', { type: 'T', data: 'x'.repeat(10_000) })
  })

  it('is busy when too many wait', async ({ world }) => {
    const nodes = await world.nodes(1)
    nodes[0].intercept = (message) => message.kind === 'append'
    const client = world.client(nodes, { appendsInFlightMax: 2, appendsWaitingMax: 3 })
    const first = client.append('a', { type: 'T', data: 0 })
    await vi.waitFor(() => expect(nodes[0].messages('append')).toHaveLength(1))
    const more = Array.from({ length: 4 }, () => client.append('a', { type: 'T', data: 0 }))
    expect(client.status()).toMatchObject({ appendsInFlight: 2, appendsWaiting: 3 })
    const error = await rejection(client.append('a', { type: 'T', data: 0 }))
    expect(error).toBeInstanceOf(BusyError)
    expect(error).toMatchObject({ code: 'busy' })
    // What waited is sent when there is room.
    nodes[0].intercept = undefined
    for (const message of nodes[0].messages('append')) {
      for (const connection of nodes[0].connections) connection.send(nodes[0].store.append(message))
    }
    await Promise.all([first, ...more])

    const small = world.client(nodes, { appendsInFlightMax: 1, appendBytesWaitingMax: 5000 })
    const data = 'x'.repeat(2000)
    const settled = await Promise.allSettled(Array.from({ length: 6 }, () => small.append('b', { type: 'T', data })))
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected', 'rejected', 'rejected'])
  })

  it('rejects with the signal’s reason, whether it waits or is under way', async ({ world }) => {
    const nodes = await world.nodes(1)
    nodes[0].intercept = (message) => message.kind === 'append'
    const client = world.client(nodes, { appendsInFlightMax: 1 })
    const reasons = [new Error('before'), new Error('in flight'), new Error('waiting')]
    expect(await rejection(client.append('a', { type: 'T', data: 1 }, { signal: AbortSignal.abort(reasons[0]) }))).toBe(reasons[0])
    const [inFlight, waiting] = [new AbortController(), new AbortController()]
    const ends = [inFlight, waiting].map(({ signal }) => rejection(client.append('a', { type: 'T', data: 1 }, { signal })))
    await vi.waitFor(() => expect(nodes[0].messages('append')).toHaveLength(1))
    waiting.abort(reasons[2])
    expect(await ends[1]).toBe(reasons[2])
    inFlight.abort(reasons[1])
    expect(await ends[0]).toBe(reasons[1])
    const [sent] = nodes[0].messages('append')
    await vi.waitFor(() => expect(nodes[0].messages('cancel')).toEqual([{ kind: 'cancel', request: sent?.request }]))
    expect(client.status()).toMatchObject({ appendsInFlight: 0, appendsWaiting: 0 })
    nodes[0].intercept = undefined
    await client.append('a', { type: 'T', data: 2 })
    expect(nodes[0].store.events).toHaveLength(1)
  })

  it('closes when what is under way is answered, and takes nothing after that', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    const under = client.append('a', { type: 'T', data: 1 })
    const closing = client.close()
    expect(await rejection(client.append('a', { type: 'T', data: 2 }))).toBeInstanceOf(ClientClosedError)
    expect(await under).toEqual({ revision: 0n, position: 1n })
    await closing
    await client.close()
    expect(await rejection(all(client.readAll()))).toMatchObject({ code: 'client_closed' })
    expect(await rejection(all(client.subscribe()))).toMatchObject({ code: 'client_closed' })
    await vi.waitFor(() => expect(nodes[0].connections.size).toBe(0))
    expect(client.status()).toMatchObject({ isClosed: true, connections: [], counters: { appended: 1 } })
    {
      await using scoped = connect({ nodes: [nodes[0].url] })
      await scoped.append('a', { type: 'T', data: 3 })
    }
    await vi.waitFor(() => expect(nodes[0].connections.size).toBe(0))
  })
})

describe('connect', () => {
  it.each([
    [{ nodes: [] }, /nodes/],
    [{ nodes: ['127.0.0.1:2113'] }, /http or https URL/],
    [{ nodes: [7] }, /http or https URL/],
    [{ nodes: ['http://127.0.0.1:1'], appendTimeout: 0 }, /appendTimeout/],
    [{ nodes: ['http://127.0.0.1:1'], appendsInFlightMax: 1.5 }, /appendsInFlightMax/],
    [{ nodes: ['http://127.0.0.1:1'], events: { T: 7 } }, /Standard Schemas/],
    [{ nodes: ['http://127.0.0.1:1'], parseJson: 'text' }, /parseJson must be a function/],
  ])('refuses %j', (options, message) => {
    expect(() => connect(options as unknown as { nodes: string[] })).toThrow(message)
    expect(() => connect(options as unknown as { nodes: string[] })).toThrow(InvalidArgumentError)
  })
})
