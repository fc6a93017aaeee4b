import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { connectionPath, frameBytesMax, subprotocol } from '@synod/client-protocol'
import { hostileBytes } from '@synod/codec/fuzz'
import type { Appended, SubscriptionMessage } from '@synod/events'
import { ScriptedStore, serve, storedWith, type Served } from '../http/served.ts'
import { encode, FrameClient } from './frame-client.ts'
import { append, read, record, subscribe, untilAborted } from './records.ts'

let served: Served
let client: FrameClient
beforeAll(async () => void (served = await serve()))
afterAll(() => served.close())
beforeEach(async () => {
  served.state = 'serving'
  served.leader = 'n1'
  served.store.recordAppends.length = 0
  const fresh = new ScriptedStore()
  served.store.onAppend = fresh.onAppend
  served.store.onRead = fresh.onRead
  served.store.onSubscribe = (options) => fresh.onSubscribe(options)
  client = await FrameClient.connect(served.port)
  return () => client.close()
})

const topology = { kind: 'topology', cluster: '0'.repeat(32), node: 'n1', leader: 'n1', isServing: true }

describe('topology', () => {
  test('comes first', () => {
    const members = [
      { id: 'n1', url: 'http://127.0.0.1:1' },
      { id: 'n2', url: 'http://127.0.0.1:1' },
    ]
    expect(client.frames).toEqual([[{ ...topology, members }]])
  })

  test('comes at each change that is announced, at once', async () => {
    served.leader = 'n2'
    served.changed()
    expect(await client.next('topology')).toMatchObject({ leader: 'n2', isServing: true })
    served.leader = null
    served.changed()
    expect(await client.next('topology')).not.toHaveProperty('leader')
  })

  test('comes soon at a change that is not, and not without one', async () => {
    served.state = 'unavailable'
    expect(await client.next('topology')).toMatchObject({ isServing: false })
    served.changed()
    await sleep(250)
    expect(client.messages).toHaveLength(2)
  })
})

describe('a frame that is malformed', () => {
  test.each<[string, Uint8Array, RegExp]>([
    ['empty', new Uint8Array(0), /a frame without a message/],
    ['cut', encode(append(1)).subarray(0, -1), /bytes wanted/],
    ['with bytes too many', Uint8Array.of(...encode(append(1)), 0), /./],
    ['of an unknown kind', Uint8Array.of(63, 0, 0, 0, 1, 0, 0, 0, 0), /a client's message of kind 63/],
    ['of a node', Uint8Array.of(72, 0, 0, 0, 0, 0, 0, 0, 0), /kind 72/],
    ['an append of request 0', encode(append(0)), /request 0/],
    ['an append without events', encode(append(1, { records: [] })), /without events/],
    ['good at first', Uint8Array.of(...encode(append(1)), 1, 2, 3), /./],
  ])('%s: closed with 1007 and the reason, and nothing of it is used', async (_, frame, reason) => {
    const before = served.connections().malformedEnded ?? 0
    client.webSocket.send(frame)
    expect(await client.closed).toEqual({ code: 1007, reason: expect.stringMatching(reason) as string })
    expect(served.store.recordAppends).toEqual([])
    expect(served.connections().malformedEnded).toBe(before + 1)
  })

  test('text: 1003', async () => {
    client.webSocket.send('hello')
    expect(await client.closed).toMatchObject({ code: 1003 })
  })

  test('larger than a frame may be: 1009, before it has come', async () => {
    client.webSocket.send(new Uint8Array(frameBytesMax + 1))
    expect(await client.closed).toMatchObject({ code: 1009 })
  })

  test('below frames, with a bit that is reserved: 1002', async () => {
    const socket = connect(served.port, '127.0.0.1')
    socket.write(
      `GET ${connectionPath} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n` +
        `sec-websocket-key: ${'A'.repeat(22)}==\r\nsec-websocket-protocol: ${subprotocol}\r\n\r\n`,
    )
    await once(socket, 'data')
    const before = served.connections().malformedEnded ?? 0
    socket.write(Uint8Array.of(0xf2, 0x80, 0, 0, 0, 0))
    await once(socket, 'close')
    expect(served.connections().malformedEnded).toBe(before + 1)
  })

  test('a number that is open already: 1002, and what else the frame asks for is not done', async () => {
    served.store.onAppend = () => new Promise(() => {})
    client.send(append(7))
    await vi.waitFor(() => expect(served.store.recordAppends).toHaveLength(1))
    client.send(append(8), read(7))
    expect(await client.closed).toEqual({ code: 1002, reason: 'request 7 is open already' })
    expect(served.store.recordAppends).toHaveLength(1)
  })

  test('a number twice in it: 1002', async () => {
    client.send(append(7), append(7))
    expect(await client.closed).toEqual({ code: 1002, reason: 'request 7 is open already' })
    expect(served.store.recordAppends).toEqual([])
  })

  test('ends this connection only, and what it had open', async () => {
    const ended = Promise.withResolvers<void>()
    served.store.onSubscribe = async function* ({ signal }): AsyncGenerator<SubscriptionMessage> {
      yield { kind: 'caughtUp', position: 1 }
      await untilAborted(signal)
      ended.resolve()
    }
    await using other = await FrameClient.connect(served.port)
    client.send(subscribe(1))
    await client.next('caughtUp')
    client.webSocket.send(new Uint8Array(3))
    await ended.promise
    other.send(append(1))
    await other.next('appended')
  })
})

test('400 hostile frames: each is a frame, or ends its own connection with 1007; others go on', async () => {
  const samples = [append(1), read(2, { stream: 's', from: 3 }), subscribe(4), { kind: 'cancel', request: 4 } as const].map((message) =>
    encode(message),
  )
  const frames = [...hostileBytes([...samples, encode(append(1), read(2), subscribe(3))], 400, 51)]
  const codes = new Map<number, number>()
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      for (let frame = frames.pop(); frame !== undefined; frame = frames.pop()) {
        const one = await FrameClient.connect(served.port)
        one.webSocket.send(frame)
        one.send({ kind: 'ping' })
        const code = await Promise.race([
          one.closed.then((closed) => closed.code),
          one.next('pong').then(
            () => 0,
            () => -1,
          ),
        ])
        const end = code < 0 ? (await one.closed).code : code
        codes.set(end, (codes.get(end) ?? 0) + 1)
        await one.close()
      }
    }),
  )
  expect([...codes.keys()].toSorted((a, b) => a - b)).toEqual([0, 1007])
  expect(codes.get(1007)).toBeGreaterThan(200)
  client.send(append(1))
  await client.next('appended')
  await vi.waitFor(() => expect(served.connections()).toMatchObject({ connections: 1, requests: 0, subscriptions: 0, sendBytes: 0 }))
})

test('a ping is answered whatever else is going on, once for a frame', async () => {
  served.store.onAppend = () => new Promise(() => {})
  served.store.onRead = () => new Promise(() => {})
  client.send(append(1), read(2), { kind: 'ping' }, { kind: 'ping' })
  await client.next('pong')
  client.send({ kind: 'ping' })
  await client.next('pong')
  expect(client.messages.filter(({ kind }) => kind === 'pong')).toHaveLength(2)
})

describe('a client', () => {
  test('that says nothing is pinged, and stays as long as it answers', async () => {
    await using own = await serve({ connectionSilenceMillisecondsMax: 300 })
    await using quiet = await FrameClient.connect(own.port)
    let pings = 0
    quiet.webSocket.on('ping', () => pings++)
    await vi.waitFor(() => expect(pings).toBeGreaterThanOrEqual(4), 5_000)
    expect(own.connections()).toMatchObject({ connections: 1, silentEnded: 0 })
  })

  test('of which nothing is heard is dropped', async () => {
    await using own = await serve({ connectionSilenceMillisecondsMax: 300 })
    await using dead = await FrameClient.connect(own.port, { autoPong: false })
    await dead.closed
    await vi.waitFor(() => expect(own.connections()).toMatchObject({ connections: 0, silentEnded: 1 }))
  })
})

describe('a frame on its way', () => {
  const large = encode(append(1, { records: [record('x'.repeat(900_000))] }))
  /** All but the last byte, as the one frame it is: the header says how long it will be. */
  async function begin(port: number): Promise<{ readonly client: FrameClient; finish(): void }> {
    const sending = await FrameClient.connect(port)
    const socket = (sending.webSocket as unknown as { readonly _socket: Socket })._socket
    const head = Buffer.alloc(14)
    head[0] = 0x82
    head[1] = 0xff
    head.writeBigUInt64BE(BigInt(large.length), 2)
    socket.write(head)
    socket.write(large.subarray(0, -1))
    return { client: sending, finish: () => void socket.write(large.subarray(-1)) }
  }

  test('counts as in flight: beyond the bound the connection is closed with 1013', async () => {
    await using own = await serve({ bodyBytesInFlightMax: 1_500_000 })
    const both = [await begin(own.port), await begin(own.port)]
    const closed = await Promise.race(both.map(async ({ client: one }, at) => ({ at, ...(await one.closed) })))
    expect(closed.code).toBe(1013)
    const kept = both[1 - closed.at]
    kept?.finish()
    await kept?.client.next('appended')
    // All of it was given back.
    const third = await begin(own.port)
    third.finish()
    await third.client.next('appended')
    expect(own.connections().overloadedEnded).toBe(1)
    for (const { client: open } of [...both, third]) await open.close()
  })

  test('must be whole in time: else 1008', async () => {
    await using own = await serve({ requestMillisecondsMax: 300 })
    const slow = await begin(own.port)
    expect(await slow.client.closed).toEqual({ code: 1008, reason: 'a frame did not arrive in time: send smaller ones' })
    await using idle = await FrameClient.connect(own.port)
    idle.send(append(1))
    await idle.next('appended')
    await sleep(500)
    expect(own.connections()).toMatchObject({ connections: 1, slowFrameEnded: 1 })
  })

  test('may come in many fragments', async () => {
    for (let at = 0; at < large.length; at += 1000)
      client.webSocket.send(large.subarray(at, at + 1000), { fin: at + 1000 >= large.length, binary: true })
    await client.next('appended')
    client.webSocket.send(encode(append(2)))
    await client.next('appended')
  })
})

test('a node that stops says so first, ends subscriptions, answers what is open, refuses what is new, then closes with 1001', async () => {
  const own = await serve()
  const hanging = Promise.withResolvers<Appended>()
  own.store.onAppend = () => hanging.promise
  own.store.onSubscribe = async function* ({ signal }): AsyncGenerator<SubscriptionMessage> {
    yield { kind: 'caughtUp', position: 42 }
    await untilAborted(signal)
  }
  await using open = await FrameClient.connect(own.port)
  open.send(append(1), subscribe(2))
  await open.next('caughtUp')
  const closing = own.close()
  await open.next('refused')
  open.send(append(3))
  await open.next('refused')
  hanging.resolve({ revision: 4, position: 5 })
  expect(await open.closed).toEqual({ code: 1001, reason: 'this node is stopping' })
  await closing
  expect(open.messages.slice(2)).toMatchObject([
    { kind: 'topology', isServing: false },
    {
      kind: 'refused',
      request: 2,
      code: 'unavailable',
      message: 'this node is stopping: subscribe at another one, after the last event that came',
    },
    { kind: 'refused', request: 3, code: 'unavailable', message: 'this node is stopping: ask another node' },
    { kind: 'appended', request: 1, revision: 4, position: 5 },
  ])
})

test('a node that stops waits for nobody: a client that does not even close is cut off', async () => {
  const own = await serve({ answerMillisecondsMax: 300 })
  const large = storedWith(Buffer.from(JSON.stringify('x'.repeat(1_000_000))))
  own.store.onRead = async () => Array.from({ length: 8 }, () => large)
  await using deaf = await FrameClient.connect(own.port, { reads: false })
  deaf.send(...Array.from({ length: 20 }, (_, at) => read(at + 1)))
  await vi.waitFor(() => expect(own.connections().sendBytes).toBeGreaterThan(2_000_000))
  const startedAt = performance.now()
  await own.close()
  expect(performance.now() - startedAt).toBeLessThan(3_000)
  expect(deaf.webSocket.isPaused).toBe(true)
})

test('connections that come and go leave nothing behind', async () => {
  for (let round = 0; round < 50; round++) {
    const one = await FrameClient.connect(served.port)
    one.send(append(1), subscribe(2), read(3))
    await one.next('page')
    await one.close()
  }
  await vi.waitFor(() => expect(served.connections()).toMatchObject({ connections: 1, requests: 0, subscriptions: 0, sendBytes: 0 }))
})
