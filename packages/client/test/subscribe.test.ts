import { describe, expect, vi } from 'vitest'
import {
  InvalidArgumentError,
  ProtocolViolationError,
  UnavailableError,
  type RecordedEvent,
  type SubscribeOptions,
  type SubscriptionMessage,
} from '@synod/client'
import { encodeRecord, drawUuid } from '@synod/event-record'
import type { ScriptedConnection, ScriptedNode } from './scripted/scripted-node.ts'
import { all, it, rejection, takeEvents } from './with-client.ts'

let written = 0
function fill(node: ScriptedNode, stream: string, count: number, bytes = 1): void {
  const data = Buffer.from(JSON.stringify('x'.repeat(bytes)))
  const records = Array.from({ length: count }, () => encodeRecord({ type: 'T', data }, drawUuid(), 0))
  node.store.append({ kind: 'append', request: ++written, stream, expected: 'any', records })
}

function positions(events: readonly RecordedEvent[]): number[] {
  return events.map(({ position }) => Number(position))
}

function upTo(last: number, first = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, n) => first + n)
}

async function messages(subscription: AsyncIterable<SubscriptionMessage>, count: number): Promise<SubscriptionMessage[]> {
  const taken: SubscriptionMessage[] = []
  for await (const message of subscription) if (taken.push(message) === count) break
  return taken
}

describe('subscribing', { concurrent: true }, () => {
  it('replays, says that it has caught up, and follows', async ({ world }) => {
    const nodes = await world.nodes(1)
    fill(nodes[0], 'a', 3)
    const client = world.client(nodes)
    const iterator = client.subscribe()[Symbol.asyncIterator]()
    const kinds: unknown[] = []
    for (let n = 0; n < 4; n++) kinds.push((await iterator.next()).value?.kind)
    expect(kinds).toEqual(['event', 'event', 'event', 'caughtUp'])
    const next = iterator.next()
    fill(nodes[0], 'b', 1)
    expect((await next).value).toMatchObject({ kind: 'event', event: { stream: 'b', revision: 0n, position: 4n, type: 'T', data: 'x' } })
    expect((await iterator.next()).value).toEqual({ kind: 'caughtUp', position: 4n })
    await iterator.return?.()
    await vi.waitFor(() => expect(nodes[0].messages('cancel')).toHaveLength(1))
    expect(client.status().subscriptions).toBe(0)
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
  })

  it('begins where it is told to', async ({ world }) => {
    const nodes = await world.nodes(1)
    for (let n = 0; n < 5; n++) for (const stream of ['a', 'b']) fill(nodes[0], stream, 1)
    const client = world.client(nodes)
    const read = async (options: SubscribeOptions, count: number): Promise<number[]> =>
      positions(await takeEvents(client.subscribe(options), count))
    expect(await read({ from: 4n }, 7)).toEqual(upTo(10, 4))
    expect(await read({ after: 4n }, 6)).toEqual(upTo(10, 5))
    expect(await read({ stream: 'b' }, 5)).toEqual([2, 4, 6, 8, 10])
    expect(await read({ stream: 'b', from: 3n }, 2)).toEqual([8, 10])
    expect(await read({ stream: 'b', after: 5n }, 3)).toEqual([6, 8, 10])
    for (const options of [{ from: 1n, after: 1n }, { from: 1 }, { after: -1n }, { stream: '' }]) {
      expect(() => client.subscribe(options as SubscribeOptions)).toThrow(InvalidArgumentError)
    }
  })

  it('passes on what the node says, of what nobody took only the newest of a kind', async ({ world }) => {
    const nodes = await world.nodes(1)
    let subscriber: ScriptedConnection | undefined
    nodes[0].intercept = (message, connection) => {
      if (message.kind !== 'subscribe') return false
      subscriber = connection
      const { request } = message
      connection.send({ kind: 'caughtUp', request, position: 5 })
      connection.send({ kind: 'fellBehind', request, position: 5, lag: 3000 })
      return true
    }
    const client = world.client(nodes)
    const iterator = client.subscribe()[Symbol.asyncIterator]()
    expect((await iterator.next()).value).toEqual({ kind: 'caughtUp', position: 5n })
    expect((await iterator.next()).value).toEqual({ kind: 'fellBehind', position: 5n, lag: 3000n })
    const [{ request } = { request: 0 }] = nodes[0].messages('subscribe')
    for (let position = 6; position < 1000; position++) {
      subscriber?.send({ kind: 'checkpoint', request, position })
      subscriber?.send({ kind: 'caughtUp', request, position })
    }
    expect((await iterator.next()).value).toEqual({ kind: 'checkpoint', position: 999n })
    expect((await iterator.next()).value).toEqual({ kind: 'caughtUp', position: 999n })
    expect(client.status().counters.framesReceived).toBe(3)
    await iterator.return?.()
  })

  it('resumes at another node after what it received, without a gap and without a repetition', async ({ world }) => {
    const nodes = await world.nodes(3)
    fill(nodes[0], 'a', 100)
    const client = world.client(nodes)
    const events: RecordedEvent[] = []
    let kills = 0
    for await (const message of client.subscribe()) {
      if (message.kind !== 'event') continue
      events.push(message.event)
      if (message.event.position === 1000n) break
      if (events.length % 100 !== 0) continue
      if (kills++ < 4) {
        const home = nodes.find((node) => [...node.connections].some(({ subscriptions }) => subscriptions.size > 0))
        await home?.kill()
        await home?.start()
      }
      fill(nodes[0], 'a', 100)
    }
    expect(positions(events)).toEqual(upTo(1000))
    expect(client.status().counters.resumptions).toBeGreaterThanOrEqual(4)
    const starts = nodes.flatMap((node) => node.messages('subscribe').map(({ start }) => start))
    expect(starts).toContainEqual({ kind: 'beginning' })
    expect(starts).toContainEqual({ kind: 'afterPosition', position: 100 })
  })

  it('resumes a stream by position, and from where it was told to when nothing had come', async ({ world }) => {
    const nodes = await world.nodes(2)
    for (let n = 0; n < 3; n++) for (const stream of ['a', 'b']) fill(nodes[0], stream, 1)
    const client = world.client(nodes)
    let tries = 0
    for (const node of nodes) {
      node.intercept = (message, connection) => {
        if (message.kind !== 'subscribe' || tries++ > 0) return false
        connection.refuse(message.request, 'unavailable')
        return true
      }
    }
    const iterator = client.subscribe({ stream: 'b', from: 1n })[Symbol.asyncIterator]()
    expect((await iterator.next()).value).toMatchObject({ event: { revision: 1n, position: 4n } })
    expect(nodes.flatMap((node) => node.messages('subscribe').map(({ start }) => start))).toEqual([
      { kind: 'from', from: 1 },
      { kind: 'from', from: 1 },
    ])
    const [home, other] =
      nodes[0].messages('credit').length + [...nodes[0].connections].filter(({ subscriptions }) => subscriptions.size > 0).length > 0
        ? nodes
        : nodes.toReversed()
    await home?.kill()
    await vi.waitFor(() => expect(other?.messages('subscribe').at(-1)).toMatchObject({ start: { kind: 'afterPosition', position: 6 } }))
    // It was in hand already.
    expect((await iterator.next()).value).toMatchObject({ event: { revision: 2n, position: 6n } })
    await iterator.return?.()
  })

  it('leaves a node that does not serve for one that does', async ({ world }) => {
    const nodes = await world.nodes(2)
    nodes[0].isServing = false
    const client = world.client([nodes[0]])
    nodes[0].members = [{ id: 'n1', url: nodes[0].url }]
    nodes[0].leader = undefined
    const events = takeEvents(client.subscribe(), 2)
    fill(nodes[0], 'a', 1)
    await vi.waitFor(() => expect(nodes[0].messages('subscribe')).toHaveLength(1))
    expect(nodes[1]!.handshakes).toBe(0)
    nodes[0].members = nodes[1]!.members
    nodes[0].announce()
    await vi.waitFor(() => expect(nodes[1]!.messages('subscribe')).toMatchObject([{ start: { kind: 'afterPosition', position: 1 } }]), {
      timeout: 8000,
    })
    expect(nodes[0].messages('cancel')).toHaveLength(1)
    fill(nodes[0], 'a', 1)
    expect(positions(await events)).toEqual([1, 2])
  })

  it('gives credit as events are taken, so that a slow reader holds little and stops nobody', async ({ world }) => {
    const nodes = await world.nodes(1)
    fill(nodes[0], 'a', 1000, 1000)
    const client = world.client(nodes, { subscriptionBytesMax: 50_000 })
    const iterator = client.subscribe()[Symbol.asyncIterator]()
    const events = [(await iterator.next()).value]
    await vi.waitFor(() => expect(client.status().counters.eventsReceived).toBeGreaterThan(40))
    // Others on the same connection go on.
    expect(await takeEvents(client.subscribe(), 1000)).toHaveLength(1000)
    await client.append('b', { type: 'T', data: 1 })
    // The other subscription's thousand and one, and no more than the credit of the first.
    expect(client.status().counters.eventsReceived).toBeLessThan(1002 + 60)
    expect(nodes[0].handshakes).toBe(1)
    const [{ request } = { request: 0 }] = nodes[0].messages('subscribe')
    expect(nodes[0].messages('credit').filter((credit) => credit.request === request)).toEqual([])
    while (events.length < 1001) {
      const { value } = await iterator.next()
      if (value?.kind === 'event') events.push(value)
    }
    const credits = nodes[0].messages('credit').filter((credit) => credit.request === request)
    expect(credits.length).toBeGreaterThan(30)
    expect(Math.min(...credits.map(({ bytes }) => bytes))).toBeGreaterThanOrEqual(25_000)
    await iterator.return?.()
  })

  it('asks another node for no more than there is room for', async ({ world }) => {
    const nodes = await world.nodes(2)
    fill(nodes[0], 'a', 200, 1000)
    const client = world.client(nodes, { subscriptionBytesMax: 50_000 })
    const iterator = client.subscribe()[Symbol.asyncIterator]()
    const events = [(await iterator.next()).value]
    await vi.waitFor(() => expect(client.status().counters.eventsReceived).toBeGreaterThan(40))
    const [home, other] = nodes[0].messages('subscribe').length > 0 ? [nodes[0], nodes[1]!] : [nodes[1]!, nodes[0]]
    await home.kill()
    // Enough in hand: nobody is asked.
    await client.append('b', { type: 'T', data: 1 })
    expect(other.messages('subscribe')).toEqual([])
    while (events.length < 200) {
      const { value } = await iterator.next()
      if (value?.kind === 'event') events.push(value)
    }
    expect(events.map((message) => (message?.kind === 'event' ? Number(message.event.position) : 0))).toEqual(upTo(200))
    const [asked] = other.messages('subscribe')
    expect(asked?.creditBytes).toBeGreaterThan(20_000)
    expect(asked?.creditBytes).toBeLessThan(30_000)
    await iterator.return?.()
  })

  it('ends with the signal’s reason, waiting or not', async ({ world }) => {
    const nodes = await world.nodes(1)
    fill(nodes[0], 'a', 10)
    const client = world.client(nodes)
    const reason = new Error('enough')
    expect(await rejection(all(client.subscribe({ signal: AbortSignal.abort(reason) })))).toBe(reason)
    const waiting = new AbortController()
    const end = rejection(all(client.subscribe({ after: 10n, signal: waiting.signal })))
    await vi.waitFor(() => expect(nodes[0].messages('subscribe')).toHaveLength(1))
    waiting.abort(reason)
    expect(await end).toBe(reason)
    const middle = new AbortController()
    const taken: unknown[] = []
    const reading = (async () => {
      for await (const message of client.subscribe({ signal: middle.signal })) {
        taken.push(message.kind)
        if (taken.length === 3) middle.abort(reason)
      }
    })()
    expect(await rejection(reading)).toBe(reason)
    expect(taken).toHaveLength(3)
    expect(client.status().subscriptions).toBe(0)
  })

  it('ends with an error when the client is closed, or the node refuses for good', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    const end = rejection(all(client.subscribe()))
    await vi.waitFor(() => expect(nodes[0].messages('subscribe')).toHaveLength(1))
    await client.close()
    expect(await end).toMatchObject({ code: 'client_closed' })
    nodes[0].intercept = (message, connection) => {
      if (message.kind === 'subscribe') connection.refuse(message.request, 'invalid_argument')
      return message.kind === 'subscribe'
    }
    expect(await rejection(all(world.client(nodes).subscribe()))).toBeInstanceOf(InvalidArgumentError)
  })

  it('is an error when no node can be reached, or takes it, at first', async ({ world }) => {
    const nodes = await world.nodes(1)
    nodes[0].intercept = (message, connection) => {
      if (message.kind === 'subscribe') connection.refuse(message.request, 'busy')
      return message.kind === 'subscribe'
    }
    const refused = await rejection(all(world.client(nodes, { readTimeout: 1000 }).subscribe()))
    expect(refused).toBeInstanceOf(UnavailableError)
    expect((refused as Error).message).toMatch(/busy/)
    await nodes[0].kill()
    const error = await rejection(all(world.client(nodes, { readTimeout: 300 }).subscribe()))
    expect(error).toBeInstanceOf(UnavailableError)
    expect((error as Error).message).toMatch(/cannot be reached/)
  })

  it('waits as long as it takes to resume', async ({ world }) => {
    const nodes = await world.nodes(1)
    fill(nodes[0], 'a', 1)
    const client = world.client(nodes, { readTimeout: 300 })
    const events = takeEvents(client.subscribe(), 2)
    await vi.waitFor(() => expect(client.status().counters.eventsReceived).toBe(1))
    await nodes[0].kill()
    await vi.waitFor(() => expect(client.status().counters.connectionsFailed).toBeGreaterThan(3), { timeout: 10_000 })
    await nodes[0].start()
    fill(nodes[0], 'a', 1)
    expect(positions(await events)).toEqual([1, 2])
  })

  it('moves on when its node stops in good order', async ({ world }) => {
    const nodes = await world.nodes(2)
    fill(nodes[0], 'a', 2)
    const client = world.client(nodes)
    const events = takeEvents(client.subscribe(), 3)
    await vi.waitFor(() => expect(client.status().counters.eventsReceived).toBe(2))
    const [home, other] = nodes[0].messages('subscribe').length > 0 ? [nodes[0], nodes[1]!] : [nodes[1]!, nodes[0]]
    // As the node does: it says so, refuses what is new, ends subscriptions, closes.
    home.isServing = false
    home.announce()
    for (const connection of home.connections) {
      for (const [request, subscription] of connection.subscriptions) {
        subscription.end()
        connection.refuse(request, 'unavailable')
      }
    }
    home.intercept = (message, connection) => {
      if (message.kind === 'subscribe') connection.refuse(message.request, 'unavailable')
      return message.kind === 'subscribe'
    }
    await vi.waitFor(() => expect(other.messages('subscribe')).toHaveLength(1), { timeout: 5000 })
    for (const { socket } of home.connections) socket.close(1001, 'stopping')
    fill(nodes[0], 'a', 1)
    expect(positions(await events)).toEqual([1, 2, 3])
  })

  it('is busy when a node has too many, until one takes it', async ({ world }) => {
    const nodes = await world.nodes(2)
    fill(nodes[0], 'a', 1)
    let refusals = 0
    for (const node of nodes) {
      node.intercept = (message, connection) => {
        if (message.kind !== 'subscribe' || refusals === 4) return false
        refusals++
        connection.refuse(message.request, 'busy')
        return true
      }
    }
    expect(await takeEvents(world.client(nodes).subscribe(), 1)).toHaveLength(1)
    expect(refusals).toBe(4)
    expect(nodes.every((node) => node.messages('subscribe').length > 0)).toBe(true)
  })

  it('delivers what was in order, then tells of a node that goes back', async ({ world }) => {
    const nodes = await world.nodes(1)
    fill(nodes[0], 'a', 10)
    const wrong: ((node: ScriptedNode, request: number, connection: ScriptedConnection) => void)[] = [
      (node, request, connection) => connection.send({ kind: 'events', request, events: node.store.events.slice(4, 6) }),
      (_, request, connection) => connection.send({ kind: 'caughtUp', request, position: 3 }),
      (_, request, connection) => connection.send({ kind: 'checkpoint', request, position: 4 }),
      (_, request, connection) => connection.send({ kind: 'appended', request, revision: 1, position: 1 }),
    ]
    for (const misbehave of wrong) {
      nodes[0].intercept = (message, connection) => {
        if (message.kind !== 'subscribe') return false
        connection.send({ kind: 'events', request: message.request, events: nodes[0].store.events.slice(0, 5) })
        misbehave(nodes[0], message.request, connection)
        return true
      }
      const taken: SubscriptionMessage[] = []
      const client = world.client(nodes)
      const reading = (async () => {
        for await (const message of client.subscribe()) taken.push(message)
      })()
      expect(await rejection(reading)).toBeInstanceOf(ProtocolViolationError)
      expect(taken).toHaveLength(5)
      expect(client.status().subscriptions).toBe(0)
    }
    nodes[0].intercept = (message, connection) => {
      if (message.kind !== 'subscribe') return false
      connection.send({ kind: 'events', request: message.request, events: nodes[0].store.events.slice(0, 3) })
      return true
    }
    // At or below where it was told to resume.
    expect(await rejection(messages(world.client(nodes).subscribe({ after: 2n }), 1))).toBeInstanceOf(ProtocolViolationError)
  })
})
