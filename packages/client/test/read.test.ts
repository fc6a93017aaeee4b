import { describe, expect, vi } from 'vitest'
import {
  BusyError,
  InvalidArgumentError,
  ProtocolViolationError,
  StreamNotFoundError,
  UnavailableError,
  type ReadOptions,
} from '@synod/client'
import { encodeRecord, drawUuid } from '@synod/event-record'
import { all, it, rejection, takeEvents } from './with-client.ts'
import type { ScriptedNode } from './scripted/scripted-node.ts'

function fill(node: ScriptedNode, stream: string, count: number): void {
  const records = Array.from({ length: count }, (_, n) => encodeRecord({ type: 'T', data: Buffer.from(String(n)) }, drawUuid(), 0))
  node.store.append({ kind: 'append', request: 1, stream, expected: 'any', records })
}

describe('reading', { concurrent: true }, () => {
  it('takes a stream page by page, in both directions, from anywhere, as many as wanted', async ({ world }) => {
    const nodes = await world.nodes(1)
    fill(nodes[0], 'other', 10)
    fill(nodes[0], 'a', 3000)
    const client = world.client(nodes)
    const read = async (options: ReadOptions): Promise<number[]> =>
      (await all(client.readStream('a', options))).map(({ revision }) => Number(revision))
    const upTo = (count: number, first = 0): number[] => Array.from({ length: count }, (_, n) => first + n)
    expect(await read({})).toEqual(upTo(3000))
    expect(await read({ direction: 'backward' })).toEqual(upTo(3000).toReversed())
    expect(await read({ from: 2990n })).toEqual(upTo(10, 2990))
    expect(await read({ from: 2n, direction: 'backward' })).toEqual([2, 1, 0])
    expect(await read({ limit: 700 })).toEqual(upTo(700))
    expect(await read({ limit: 1, direction: 'backward' })).toEqual([2999])
    expect(await read({ from: 3000n })).toEqual([])
    expect(
      (await all(client.readAll({ from: 9n, limit: 3 }))).map(({ stream, revision, position }) => [stream, revision, position]),
    ).toEqual([
      ['other', 8n, 9n],
      ['other', 9n, 10n],
      ['a', 0n, 11n],
    ])
    const everything = await all(client.readAll())
    expect(everything.map(({ position }) => Number(position))).toEqual(upTo(3010, 1))
    expect((await all(client.readAll({ direction: 'backward' }))).map(({ id }) => id)).toEqual(everything.map(({ id }) => id).toReversed())
  })

  it('asks for nothing before it is iterated, for little at first, and for no more than is taken', async ({ world }) => {
    const nodes = await world.nodes(1)
    fill(nodes[0], 'a', 5000)
    const client = world.client(nodes)
    const events = client.readStream('a')
    expect(nodes[0].handshakes).toBe(0)
    for await (const { revision } of events) if (revision === 100n) break
    expect(nodes[0].messages('read').map(({ from, limit }) => [from, limit])).toEqual([[undefined, 256]])
    for await (const { revision } of events) if (revision === 200n) break
    // The second page was under way when the reader left.
    await vi.waitFor(() => expect(nodes[0].messages('read')).toHaveLength(3))
    expect(client.status().counters.pagesRead).toBeLessThanOrEqual(3)
    await all(events)
    expect(
      nodes[0]
        .messages('read')
        .slice(3)
        .map(({ from, limit }) => [from, limit]),
    ).toEqual([
      [undefined, 256],
      [256, 1024],
      [1280, 1024],
      [2304, 1024],
      [3328, 1024],
      [4352, 1024],
      [5000, 1024],
    ])
  })

  it('knows a stream without events from an empty end, and an empty store', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    expect(await all(client.readAll())).toEqual([])
    const error = await rejection(all(client.readStream('nobody')))
    expect(error).toBeInstanceOf(StreamNotFoundError)
    expect(error).toMatchObject({ code: 'stream_not_found', stream: 'nobody' })
  })

  it('is asked again elsewhere when its node goes, stops or is busy, without a gap', async ({ world }) => {
    const nodes = await world.nodes(3)
    fill(nodes[0], 'a', 4000)
    const client = world.client(nodes)
    let refusals = 0
    for (const node of nodes) {
      node.intercept = (message, connection) => {
        if (message.kind !== 'read' || message.from !== 1280 || refusals === 4) return false
        const code = ['unavailable', 'busy', 'killed', 'busy'][refusals++] ?? ''
        if (code === 'killed') void node.kill()
        else connection.refuse(message.request, code)
        return true
      }
    }
    const events = await all(client.readStream('a'))
    expect(events.map(({ revision }) => Number(revision))).toEqual(Array.from({ length: 4000 }, (_, n) => n))
    expect(client.status().counters).toMatchObject({ retries: 4 })
  })

  it('asks for a smaller page when the connection went under a large one', async ({ world }) => {
    const nodes = await world.nodes(1)
    fill(nodes[0], 'a', 1000)
    const client = world.client(nodes)
    nodes[0].intercept = (message, connection) => {
      if (message.kind !== 'read' || message.limit <= 64) return false
      connection.socket.terminate()
      return true
    }
    expect(await all(client.readStream('a', { limit: 300 }))).toHaveLength(300)
    expect(nodes[0].messages('read').map(({ limit }) => limit)).toEqual(expect.arrayContaining([256, 128, 64]))
  })

  it('reads locally at a node that does not serve', async ({ world }) => {
    const nodes = await world.nodes(1)
    fill(nodes[0], 'a', 1)
    nodes[0].isServing = false
    const client = world.client(nodes, { readTimeout: 500 })
    expect(await all(client.readAll({ consistency: 'local' }))).toHaveLength(1)
    const error = await rejection(all(client.readAll()))
    expect(error).toBeInstanceOf(UnavailableError)
    expect(error).toMatchObject({ outcomeUnknown: false, eventIds: [] })
    nodes[0].isServing = true
    nodes[0].announce()
    nodes[0].intercept = (message, connection) => {
      if (message.kind === 'read') connection.refuse(message.request, 'busy')
      return message.kind === 'read'
    }
    expect(await rejection(all(client.readAll()))).toBeInstanceOf(BusyError)
  })

  it('rejects with the signal’s reason, while it waits and in the middle of a page', async ({ world }) => {
    const nodes = await world.nodes(1)
    fill(nodes[0], 'a', 10)
    const client = world.client(nodes)
    const reason = new Error('enough')
    expect(await rejection(all(client.readAll({ signal: AbortSignal.abort(reason) })))).toBe(reason)
    const middle = new AbortController()
    const taken: bigint[] = []
    const reading = (async () => {
      for await (const { revision } of client.readStream('a', { signal: middle.signal })) {
        taken.push(revision)
        if (revision === 3n) middle.abort(reason)
      }
    })()
    expect(await rejection(reading)).toBe(reason)
    expect(taken).toEqual([0n, 1n, 2n, 3n])
    nodes[0].intercept = (message) => message.kind === 'read'
    const waiting = new AbortController()
    const asked = rejection(all(client.readAll({ signal: waiting.signal })))
    const before = nodes[0].messages('read').length
    await vi.waitFor(() => expect(nodes[0].messages('read').length).toBeGreaterThan(before))
    waiting.abort(reason)
    expect(await asked).toBe(reason)
    await vi.waitFor(() => expect(nodes[0].messages('cancel').length).toBeGreaterThan(0))
  })

  it('ends with an error when the client is closed under it', async ({ world }) => {
    const nodes = await world.nodes(1)
    nodes[0].intercept = (message) => message.kind === 'read'
    const client = world.client(nodes)
    const asked = rejection(all(client.readAll()))
    await vi.waitFor(() => expect(nodes[0].messages('read')).toHaveLength(1))
    await client.close()
    expect(await asked).toMatchObject({ code: 'client_closed' })
  })

  it('takes several calls of next at once', async ({ world }) => {
    const nodes = await world.nodes(1)
    fill(nodes[0], 'a', 300)
    const client = world.client(nodes)
    const iterator = client.readStream('a')[Symbol.asyncIterator]()
    const results = await Promise.all(Array.from({ length: 302 }, () => iterator.next()))
    expect(results.map(({ done, value }) => (done === true ? 'done' : Number(value.revision)))).toEqual([
      ...Array.from({ length: 300 }, (_, n) => n),
      'done',
      'done',
    ])
  })

  it('is an error when a node goes back, or its bytes are no event', async ({ world }) => {
    const nodes = await world.nodes(1)
    fill(nodes[0], 'a', 2000)
    const client = world.client(nodes)
    nodes[0].intercept = (message, connection) => {
      if (message.kind === 'read' && message.from !== undefined)
        connection.send(nodes[0].store.read({ ...message, from: message.from - 1 }))
      return message.kind === 'read' && message.from !== undefined
    }
    const error = await rejection(all(client.readStream('a')))
    expect(error).toBeInstanceOf(ProtocolViolationError)
    expect(error).toMatchObject({ code: 'protocol_violation' })
    for (const record of [new Uint8Array(7), encodeRecord({ type: 'T', data: Buffer.from('{') }, drawUuid(), 0)]) {
      nodes[0].intercept = (message, connection) => {
        if (message.kind !== 'read') return false
        connection.send({ kind: 'page', request: message.request, events: [{ stream: 'a', revision: 0, position: 1, record }] })
        return true
      }
      const iterator = client.readStream('a')[Symbol.asyncIterator]()
      expect(await rejection(iterator.next())).toMatchObject({
        code: 'protocol_violation',
        message: expect.stringMatching(/revision 0 of stream "a"/) as string,
      })
      expect(await iterator.next()).toEqual({ done: true, value: undefined })
    }
  })

  it('hands the text of data and metadata, as it is stored, to whoever wants to parse it', async ({ world }) => {
    const nodes = await world.nodes(1)
    const data = '{ "b": 12345678901234567890.10, "1": "\\ud800" }'
    const records = [encodeRecord({ type: 'T', data: Buffer.from(data), metadata: Buffer.from('1e400') }, drawUuid(), 0)]
    nodes[0].store.append({ kind: 'append', request: 1, stream: 'a', expected: 'any', records })
    const texts = world.client(nodes, { parseJson: (text) => text })
    expect(await all(texts.readStream('a'))).toMatchObject([{ data, metadata: '1e400' }])
    expect(await takeEvents(texts.subscribe(), 1)).toMatchObject([{ data, metadata: '1e400' }])
    expect(await all(world.client(nodes).readStream('a'))).toMatchObject([{ data: JSON.parse(data) as unknown, metadata: Infinity }])
  })

  it.for([
    { from: -1n },
    { from: 1 },
    { from: 2n ** 53n },
    { limit: 0 },
    { limit: 1.5 },
    { direction: 'sideways' },
    { consistency: 'eventual' },
  ])('refuses %o', async (options, { world }) => {
    const client = world.client(await world.nodes(1))
    expect(() => client.readAll(options as ReadOptions)).toThrow(InvalidArgumentError)
    expect(() => client.readStream('', {})).toThrow(InvalidArgumentError)
  })
})
