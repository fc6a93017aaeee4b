import { describe, expect, vi } from 'vitest'
import {
  GroupExistsError,
  GroupNotFoundError,
  InvalidArgumentError,
  ProtocolViolationError,
  UnavailableError,
  type GroupDelivery,
} from '@synod/client'
import type { ClientMessage } from '@synod/client-protocol'
import { drawUuid, encodeRecord } from '@synod/event-record'
import type { ScriptedConnection, ScriptedNode } from './scripted/scripted-node.ts'
import { all, it, rejection } from './with-client.ts'

const status = {
  group: 'g',
  definition: { filter: {}, from: 1, partitionBy: 'stream', partitions: 64, ackDeadlineMs: 30_000, attemptsMax: 10, parkedMax: 1000 },
  generation: 3,
  consumers: [{ consumer: 'c', node: 'n1', partitions: 64 }],
  settled: 7,
  lag: 5,
  parked: 1,
  partitions: [{ partition: 0, settled: 7, inFlight: 1, parked: 1, oldest: { position: 8, attempts: 2 }, why: 'it waits' }],
}

/** A node that answers calls. */
function answering(node: ScriptedNode, answer: (method: string, argument: unknown) => string): void {
  node.intercept = (message, connection) => {
    if (message.kind !== 'call') return false
    connection.send({ kind: 'result', request: message.request, result: answer(message.method, JSON.parse(message.argument)) })
    return true
  }
}

describe('calls', { concurrent: true }, () => {
  it('travel as JSON, with bigints here', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    const asked: [string, unknown][] = []
    const event = {
      stream: 's',
      revision: 4,
      position: 9,
      id: 'i',
      type: 'T',
      data: { n: 1 },
      metadata: null,
      tags: ['x'],
      recordedAt: '2026-11-23T09:00:00.000Z',
    }
    const state = { stream: 's', metadata: { truncateBefore: 3, custom: { a: 1 } }, version: 2, state: 'open' }
    answering(nodes[0], (method, argument) => {
      asked.push([method, argument])
      if (method === 'streamInfo') return JSON.stringify({ stream: 's', firstRevision: 3, lastRevision: 4, length: 2, lastEvent: event })
      if (method === 'listGroups') return JSON.stringify([{ ...status, partitions: undefined }])
      if (method === 'parkedEvents')
        return JSON.stringify((argument as { after: number }).after === 3 ? [{ event, partition: 5, attempts: 10, reason: 'why' }] : [])
      if (method === 'replayParked') return '{"replayed":2}'
      return JSON.stringify(method.endsWith('Group') ? status : state)
    })
    const recorded = { ...event, revision: 4n, position: 9n, metadata: undefined, recordedAt: new Date(event.recordedAt) }
    expect(await client.streamInfo('s', { atLeast: 9n })).toEqual({
      stream: 's',
      firstRevision: 3n,
      lastRevision: 4n,
      length: 2,
      lastEvent: recorded,
    })
    const told = { ...state, metadata: { truncateBefore: 3n, custom: { a: 1 } } }
    expect(await client.streamMetadata('s', { consistency: 'local' })).toEqual(told)
    expect(await client.setStreamMetadata('s', { maxCount: 5, truncateBefore: 3n })).toEqual(told)
    await client.deleteStream('s', { isHard: true, expected: 4n })
    const { partitions, ...summary } = status
    const group = { ...summary, definition: { ...status.definition, from: 1n }, settled: 7n, lag: 5n }
    const whole = { ...group, partitions: [{ ...partitions[0], settled: 7n, oldest: { position: 8n, attempts: 2 } }] }
    expect(await client.groups.put('g', { filter: { categories: ['order'] }, from: 'end', partitionBy: { tagPrefix: 'c:' } })).toEqual(
      whole,
    )
    expect(await client.groups.get('g')).toEqual(whole)
    expect(await client.groups.list()).toEqual([group])
    expect(await all(client.groups.parked('g', { after: 3n }))).toEqual([{ event: recorded, partition: 5, attempts: 10, reason: 'why' }])
    expect(await client.groups.replay('g', { positions: [9n] })).toEqual({ replayed: 2 })
    await client.groups.delete('g')
    expect(asked).toEqual([
      ['streamInfo', { stream: 's', consistency: 'linearizable', atLeast: 9 }],
      ['streamMetadata', { stream: 's', consistency: 'local' }],
      ['setStreamMetadata', { stream: 's', metadata: { maxCount: 5, truncateBefore: 3 } }],
      ['deleteStream', { stream: 's', hard: true, expected: 4 }],
      ['putGroup', { group: 'g', definition: { filter: { categories: ['order'] }, from: 'end', partitionBy: { tagPrefix: 'c:' } } }],
      ['getGroup', { group: 'g' }],
      ['listGroups', {}],
      ['parkedEvents', { group: 'g', after: 3, limit: 256 }],
      ['parkedEvents', { group: 'g', after: 9, limit: 256 }],
      ['replayParked', { group: 'g', positions: [9] }],
      ['deleteGroup', { group: 'g' }],
    ])
  })

  it('lose no digit of an event’s data', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes, { parseJson: (text) => text })
    answering(
      nodes[0],
      () =>
        '{"stream":"s","firstRevision":0,"lastRevision":0,"length":1,"lastEvent":{"stream":"s","revision":0,"position":1,"id":"i","type":"T","data":{"n":12345678901234567890.10,"m":1},"metadata":null,"tags":[],"recordedAt":"2026-11-23T09:00:00.000Z"}}',
    )
    expect((await client.streamInfo('s')).lastEvent?.data).toBe('{"n":12345678901234567890.10,"m":1}')
  })

  it('are checked before anything is sent', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    const refused = [
      client.groups.get(''),
      client.groups.put('g', { from: 7 as never }),
      client.groups.put('g', { partitions: 7n as never }),
      client.setStreamMetadata('s', { custom: { age: Number.NaN } }),
      client.setStreamMetadata('s', { maxcount: 7 } as never),
      client.streamInfo('s', { consistency: 'strong' as never }),
      client.deleteStream('', {}),
    ]
    for (const { reason } of (await Promise.allSettled(refused)) as PromiseRejectedResult[])
      expect(reason).toBeInstanceOf(InvalidArgumentError)
    expect(() => client.groups.consume('g', { consumer: '' })).toThrow(/the name of a consumer/)
    expect(nodes[0].received).toEqual([])
  })

  it('have an error for each refusal', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    let code = ''
    nodes[0].intercept = (message, connection) => {
      if (message.kind === 'call') connection.refuse(message.request, code)
      return message.kind === 'call'
    }
    code = 'group_not_found'
    expect(await rejection(client.groups.get('g'))).toBeInstanceOf(GroupNotFoundError)
    code = 'group_exists'
    expect(await rejection(client.groups.put('g'))).toBeInstanceOf(GroupExistsError)
    nodes[0].intercept = (message, connection) => {
      if (message.kind === 'call') connection.send({ kind: 'result', request: message.request, result: '{' })
      return message.kind === 'call'
    }
    expect(await rejection(client.groups.list())).toBeInstanceOf(ProtocolViolationError)
  })

  it('are asked again elsewhere if that changes nothing, and otherwise only if nothing was sent', async ({ world }) => {
    const nodes = await world.nodes(2)
    const client = world.client(nodes)
    await client.append('warm', { type: 'T', data: 1 })
    await vi.waitFor(() => expect(client.status().connections.some(({ isLeader }) => isLeader)).toBe(true))
    let calls = 0
    nodes[0].intercept = (message) => message.kind === 'call' && ++calls > 0
    answering(nodes[1]!, () => JSON.stringify(status))
    const got = client.groups.get('g')
    const deleted = rejection(client.groups.delete('g'))
    await vi.waitFor(() => expect(calls).toBe(2))
    await nodes[0].kill()
    expect(await got).toMatchObject({ group: 'g' })
    expect(await deleted).toBeInstanceOf(UnavailableError)
    expect(await deleted).toMatchObject({ outcomeUnknown: true })
    expect(nodes[1]!.messages('call').map(({ method }) => method)).toEqual(['getGroup'])
    let tries = 0
    nodes[1]!.intercept = (message, connection) => {
      if (message.kind !== 'call') return false
      if (++tries === 1) connection.refuse(message.request, 'busy')
      else connection.send({ kind: 'result', request: message.request, result: 'null' })
      return true
    }
    await client.groups.delete('g')
    expect(tries).toBe(2)
  })
})

/** A node's side of a membership, moved by the test. */
class Dispatcher {
  readonly joined: { readonly message: Extract<ClientMessage, { kind: 'consume' }>; readonly connection: ScriptedConnection }[] = []
  readonly acknowledged: number[] = []
  readonly rejected: { position: number; rejection: string; reason: string }[] = []
  settles = true

  constructor(node: ScriptedNode) {
    node.intercept = (message, connection) => {
      if (message.kind === 'consume') this.joined.push({ message, connection })
      else if (message.kind === 'acknowledge') {
        this.acknowledged.push(...message.positions)
        const { request, generation, positions } = message
        if (this.settles) connection.send({ kind: 'settled', request, generation, positions })
      } else if (message.kind === 'reject') {
        const { position, rejection: how, reason } = message
        this.rejected.push({ position, rejection: how, reason })
      } else return false
      return true
    }
  }

  async assign(generation: number): Promise<void> {
    await vi.waitFor(() => expect(this.joined.length).toBeGreaterThan(0))
    const { message, connection } = this.joined.at(-1)!
    connection.send({ kind: 'assigned', request: message.request, generation, partitions: [0, 1] })
  }

  deliver(generation: number, positions: readonly number[], partitionOf: (position: number) => number = () => 0, attempt = 1): void {
    const { message, connection } = this.joined.at(-1)!
    const events = positions.map((position) => ({
      stream: `s${partitionOf(position)}`,
      revision: position - 1,
      position,
      record: encodeRecord({ type: 'T', data: Buffer.from(String(position)) }, drawUuid(), 0),
      partition: partitionOf(position),
      attempt,
    }))
    connection.send({ kind: 'groupEvents', request: message.request, generation, events })
  }
}

describe('consuming', { concurrent: true }, () => {
  it('hands out events, tells what became of acknowledgements, and gives credit back', async ({ world }) => {
    const nodes = await world.nodes(1)
    const dispatcher = new Dispatcher(nodes[0])
    const client = world.client(nodes, { subscriptionBytesMax: 200 })
    const iterator = client.groups.consume('g', { consumer: 'me' })[Symbol.asyncIterator]()
    const first = iterator.next()
    await dispatcher.assign(3)
    dispatcher.deliver(3, [1, 2, 3])
    const delivery = (await first).value!
    expect(delivery).toMatchObject({ event: { position: 1n, data: 1 }, partition: 0, attempt: 1, generation: 3, isCurrent: true })
    expect(dispatcher.joined[0]?.message).toMatchObject({ group: 'g', consumer: 'me', creditBytes: 200 })
    const second = (await iterator.next()).value!
    expect(await Promise.all([delivery.ack(), second.ack()])).toEqual([true, true])
    // Of one turn, so in one message.
    expect(nodes[0].messages('acknowledge')).toHaveLength(1)
    ;(await iterator.next()).value?.nack('park', 'broken')
    await vi.waitFor(() => expect(dispatcher.rejected).toEqual([{ position: 3, rejection: 'park', reason: 'broken' }]))
    expect(nodes[0].messages('credit').length).toBeGreaterThan(0)
    expect(() => second.nack('drop' as never)).toThrow(/retry, park or skip/)
    await iterator.return?.()
    await vi.waitFor(() => expect(nodes[0].messages('cancel')).toHaveLength(1))
    expect(await second.ack()).toBe(false)
  })

  it('lets go of what is of an older generation', async ({ world }) => {
    const nodes = await world.nodes(1)
    const dispatcher = new Dispatcher(nodes[0])
    const client = world.client(nodes)
    const iterator = client.groups.consume('g')[Symbol.asyncIterator]()
    const first = iterator.next()
    await dispatcher.assign(1)
    dispatcher.deliver(1, [1, 2, 3])
    const old = (await first).value!
    await dispatcher.assign(2)
    dispatcher.deliver(2, [1, 7], () => 0, 2)
    await vi.waitFor(() => expect(old.isCurrent).toBe(false))
    expect(await old.ack()).toBe(false)
    const again = (await iterator.next()).value!
    expect(again).toMatchObject({ event: { position: 1n }, attempt: 2, generation: 2 })
    expect((await iterator.next()).value).toMatchObject({ event: { position: 7n } })
    expect(await again.ack()).toBe(true)
    expect(dispatcher.acknowledged).toEqual([1])
  })

  it('joins at another node when its own goes, and promises nothing of what was not settled', async ({ world }) => {
    const nodes = await world.nodes(2)
    const dispatchers = nodes.map((node) => new Dispatcher(node))
    for (const dispatcher of dispatchers) dispatcher.settles = false
    const client = world.client(nodes)
    const iterator = client.groups.consume('g')[Symbol.asyncIterator]()
    const first = iterator.next()
    await vi.waitFor(() => expect(dispatchers.flatMap(({ joined }) => joined)).toHaveLength(1))
    const at = dispatchers.findIndex(({ joined }) => joined.length === 1)
    const [here, there] = [dispatchers[at]!, dispatchers[1 - at]!]
    await here.assign(1)
    here.deliver(1, [1, 2])
    const delivery = (await first).value!
    const acknowledged = delivery.ack()
    await vi.waitFor(() => expect(here.acknowledged).toEqual([1]))
    await nodes[at]!.kill()
    expect(await acknowledged).toBe(false)
    expect(delivery.isCurrent).toBe(false)
    const next = iterator.next()
    await there.assign(2)
    there.deliver(2, [1, 2], () => 0, 2)
    expect((await next).value).toMatchObject({ event: { position: 1n }, generation: 2, attempt: 2 })
    expect(client.status().counters.resumptions).toBe(1)
  })

  it('says what it acknowledged before it leaves', async ({ world }) => {
    const nodes = await world.nodes(1)
    const dispatcher = new Dispatcher(nodes[0])
    const client = world.client(nodes)
    let acknowledged: Promise<boolean> | undefined
    void dispatcher.assign(1).then(() => dispatcher.deliver(1, [1, 2]))
    for await (const delivery of client.groups.consume('g')) {
      acknowledged = delivery.ack()
      break
    }
    expect(await acknowledged).toBe(true)
    await vi.waitFor(() => expect(nodes[0].messages('cancel')).toHaveLength(1))
    const kinds = nodes[0].received.map(({ message }) => message.kind)
    expect(kinds.indexOf('cancel')).toBeGreaterThan(kinds.indexOf('acknowledge'))
  })

  it('ends when the group is not there, and tells a node that is out of order', async ({ world }) => {
    const nodes = await world.nodes(1)
    const client = world.client(nodes)
    const next = (): Promise<unknown> => rejection(client.groups.consume('g')[Symbol.asyncIterator]().next())
    nodes[0].intercept = (message, connection) => {
      if (message.kind === 'consume') connection.refuse(message.request, 'group_not_found')
      return message.kind === 'consume'
    }
    expect(await next()).toMatchObject({ code: 'group_not_found', group: 'g' })
    nodes[0].intercept = (message, connection) => {
      if (message.kind === 'consume') connection.send({ kind: 'groupEvents', request: message.request, generation: 1, events: [] })
      return message.kind === 'consume'
    }
    expect(await next()).toMatchObject({
      code: 'protocol_violation',
      message: expect.stringMatching(/generation 1 and had assigned undefined/) as string,
    })
  })
})

describe('handling', { concurrent: true }, () => {
  it('has one event of a partition at a time, and several partitions side by side', async ({ world }) => {
    const nodes = await world.nodes(1)
    const dispatcher = new Dispatcher(nodes[0])
    const client = world.client(nodes)
    const running = new Map<number, () => void>()
    const ending = new AbortController()
    const handled = client.groups.handle('g', ({ position }) => new Promise<void>((resolve) => running.set(Number(position), resolve)), {
      concurrencyMax: 2,
      signal: ending.signal,
    })
    await dispatcher.assign(1)
    // Three partitions: 1 4 7, 2 5 8, 3 6 9.
    dispatcher.deliver(1, [1, 2, 3, 4, 5, 6, 7, 8, 9], (position) => position % 3)
    const order: number[] = []
    while (order.length < 6) {
      await vi.waitFor(() => expect(running.size).toBeGreaterThan(0))
      expect(running.size).toBeLessThanOrEqual(2)
      const [position, end] = [...running][0]!
      running.delete(position)
      order.push(position)
      end()
      await vi.waitFor(() => expect(dispatcher.acknowledged).toEqual(order))
    }
    for (const partition of [0, 1, 2]) {
      const own = order.filter((position) => position % 3 === partition)
      expect(own).toEqual(own.toSorted((a, b) => a - b))
    }
    ending.abort(new Error('enough'))
    await vi.waitFor(() => expect(running.size).toBe(2))
    // What runs is waited for, and what it acknowledges is said; nothing more begins.
    const last = [...running.keys()]
    for (const end of running.values()) end()
    await expect(handled).rejects.toThrow('enough')
    expect(dispatcher.acknowledged).toEqual([...order, ...last])
  })

  it('handles an event once that came again while it waited for its turn', async ({ world }) => {
    const nodes = await world.nodes(1)
    const dispatcher = new Dispatcher(nodes[0])
    const client = world.client(nodes)
    const begun: number[] = []
    const ends: (() => void)[] = []
    const ending = new AbortController()
    const handle = ({ position }: { readonly position: bigint }): Promise<void> => {
      begun.push(Number(position))
      return new Promise((resolve) => ends.push(resolve))
    }
    const handled = client.groups.handle('g', handle, { signal: ending.signal })
    await dispatcher.assign(1)
    dispatcher.deliver(1, [1, 2])
    dispatcher.deliver(1, [1, 2, 3], () => 0, 2)
    for (let count = 1; count <= 3; count++) {
      await vi.waitFor(() => expect(ends).toHaveLength(1))
      ends.pop()?.()
      await vi.waitFor(() => expect(dispatcher.acknowledged).toHaveLength(count))
    }
    expect(begun).toEqual([1, 2, 3])
    ending.abort(new Error('enough'))
    await expect(handled).rejects.toThrow('enough')
  })

  it('rejects what the handler throws at, or says', async ({ world }) => {
    const nodes = await world.nodes(1)
    const dispatcher = new Dispatcher(nodes[0])
    const client = world.client(nodes)
    const failures: [unknown, GroupDelivery][] = []
    const handled = client.groups.handle(
      'g',
      (event) => {
        if (event.position === 1n) throw new Error('not now')
        if (event.position === 2n) return 'skip'
        if (event.position === 4n) throw new Error('broken')
        return undefined
      },
      {
        onFailure(error, delivery) {
          failures.push([error, delivery])
          if (delivery.event.position === 4n) throw new Error('of onFailure')
          return 'park'
        },
      },
    )
    await dispatcher.assign(1)
    dispatcher.deliver(1, [1, 2, 3, 4])
    await expect(handled).rejects.toThrow('of onFailure')
    expect(dispatcher.rejected).toEqual([
      { position: 1, rejection: 'park', reason: 'not now' },
      { position: 2, rejection: 'skip', reason: '' },
    ])
    expect(dispatcher.acknowledged).toEqual([3])
    expect(failures).toHaveLength(2)
    await expect(client.groups.handle('g', () => undefined, { concurrencyMax: 0 })).rejects.toThrow(/1 to 1024/)
  })
})
