import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Transport } from '@synod/transport'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { counted, echoed, Nodes } from './nodes.ts'

let nodes: Nodes
let n1: Transport
let n2: Transport
let sockets: Socket[] = []

beforeEach(async () => {
  nodes = await Nodes.create('n1', 'n2', 'spare')
  n1 = await nodes.open('n1')
  n2 = await nodes.open('n2', { options: { greetingMsMax: 300, strangersMax: 50 } })
  n2.onFrame((from, frame) => n2.send(from, frame))
  await echoed(n1, 'n2')
})

afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  sockets = []
  await nodes.close()
})

/** A connection to n2, which may be reset at any time. */
async function stranger(first?: string | Uint8Array): Promise<Socket> {
  const socket = connect(nodes.portOf('n2'), '127.0.0.1')
  sockets.push(socket)
  socket.on('error', () => {})
  await once(socket, 'connect')
  if (first !== undefined) socket.write(first)
  return socket.resume()
}

async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, 'close')
}

/** The greeting of a node, as greeting.ts documents it. */
function hello(from: string, to: string, { version = 1, pingMs = 1000 } = {}): Buffer {
  const id = (text: string) => [text.length, ...Buffer.from(text, 'latin1')]
  const ping = Buffer.alloc(4)
  ping.writeUInt32BE(pingMs)
  const rest = [version, ...id(from), ...id(to), ...ping]
  return Buffer.from([...Buffer.from('SYNh'), rest.length, ...rest])
}

function withLength(length: number, body: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(4)
  header.writeUInt32BE(length)
  return Buffer.concat([header, body])
}

describe('whoever is no peer', () => {
  test.each([
    ['an HTTP request', 'GET / HTTP/1.1\r\nHost: n2\r\n\r\n'],
    ['a TLS hello', Uint8Array.of(0x16, 3, 1, 2, 0, 1)],
    ['zeros', new Uint8Array(100)],
    ['its own kind of greeting, cut short by a wrong length', Buffer.from('SYNh\u0001\u0001rest')],
    ['an id that is none', hello('N 1', 'n2')],
    ['an id longer than 64', hello('n'.repeat(65), 'n2')],
    ['an empty id', hello('', 'n2')],
    ['an answer instead of a greeting', Buffer.from('SYNa\u0000')],
  ])('%s is closed at once and counted', async (_what, bytes) => {
    await closed(await stranger(bytes))
    await counted(n2, { strangersMalformed: 1 })
    await echoed(n1, 'n2')
  })

  test.each([
    ['of another version', hello('n1', 'n2', { version: 9 }), 3],
    ['for another node', hello('n1', 'n7'), 1],
    ['from a node that is not a peer', hello('n7', 'n2'), 2],
    ['from this node itself', hello('n2', 'n2'), 2],
  ])('a greeting %s is answered with the verdict, closed and counted', async (_what, bytes, verdict) => {
    const socket = connect(nodes.portOf('n2'), '127.0.0.1')
    sockets.push(socket)
    socket.write(bytes)
    const chunks = await socket.toArray()
    const answer = Buffer.concat(chunks)
    expect(answer.subarray(0, 4).toString()).toBe('SYNa')
    expect(answer[6]).toBe(verdict)
    expect(answer.subarray(8, 10).toString()).toBe('n2')
    expect(n2.counters()).toMatchObject({ strangersRefused: 1 })
    await echoed(n1, 'n2')
  })

  test('a greeting that trickles in a byte at a time is closed when its time is over', async () => {
    const socket = await stranger()
    const bytes = hello('n1', 'n2')
    let at = 0
    const trickle = setInterval(() => socket.write(bytes.subarray(at, ++at)), 50)
    await closed(socket)
    clearInterval(trickle)
    expect(at).toBeLessThan(bytes.length)
    await counted(n2, { strangersLate: 1 })
  })

  test('3,000 idle connections are bounded, and peers get in meanwhile', async () => {
    for (let number = 0; number < 3000; number += 100)
      await Promise.all(Array.from({ length: 100 }, () => stranger().catch(() => undefined)))
    await counted(n2, { accepted: 3000, strangersEvicted: 1 })
    const late = await nodes.open('n1', { addresses: new Map([...nodes.addresses, ['n1', nodes.addresses.get('spare')!]]) })
    await counted(late, { linksOpened: 1 })
    await echoed(n1, 'n2')
    await Promise.all(sockets.map(closed))
    const { strangersEvicted, strangersLate } = n2.counters()
    expect(strangersEvicted! + strangersLate!).toBe(3000)
  })

  test('links with the name of one peer are bounded, the oldest goes', async () => {
    const links = []
    for (let number = 0; number < 6; number++) links.push(await stranger(hello('n1', 'n2')))
    await counted(n2, { linksSuperseded: 3 })
    await closed(links[0]!)
    await closed(links[1]!)
    await echoed(n1, 'n2')
  })

  test('whoever greets as a peer and falls silent is closed', async () => {
    const quick = await nodes.open('n1', {
      addresses: new Map([
        ['n1', nodes.addresses.get('spare')!],
        ['n2', nodes.addresses.get('n2')!],
      ]),
      options: { pingMs: 30 },
    })
    const socket = connect(nodes.portOf('spare'), '127.0.0.1')
    sockets.push(socket)
    socket.on('error', () => {})
    socket.write(hello('n2', 'n1', { pingMs: 30 }))
    await closed(socket.resume())
    await counted(quick, { linksSilent: 1 })
  })
})

describe('whoever says it is a peer and sends rubbish', () => {
  test('a length above frameBytesMax closes the link and is counted', async () => {
    const socket = await stranger(hello('n1', 'n2'))
    socket.write(withLength(4 * 1024 * 1024 + 1))
    await closed(socket)
    await counted(n2, { framesMalformed: 1 })
    await echoed(n1, 'n2')
  })

  test('frames announced and never finished cost no memory', async () => {
    const before = process.memoryUsage().arrayBuffers
    const links = await Promise.all(Array.from({ length: 4 }, () => stranger(hello('n1', 'n2'))))
    for (const socket of links) socket.write(withLength(4 * 1024 * 1024, new Uint8Array(10)))
    await counted(n2, { bytesReceived: 4 * 14 })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024)
  })

  test('probes without end, and answers never read, cost no memory', async () => {
    const socket = await stranger(hello('n1', 'n2'))
    socket.pause()
    const probes = Buffer.alloc(4 * 100_000, 0xff)
    const before = n2.counters().bytesReceived!
    for (let number = 0; number < 20; number++) socket.write(probes)
    await counted(n2, { bytesReceived: before + 20 * probes.length })
    await echoed(n1, 'n2')
  })

  test('1,000 connections of random bytes, half of them behind a proper greeting', async () => {
    const heard = n2.counters().framesReceived!
    let frames = 0
    for (let number = 0; number < 1000; number += 50)
      await Promise.all(
        Array.from({ length: 50 }, async (_, at) => {
          const noise = crypto.getRandomValues(new Uint8Array(200))
          noise[0] = noise[0]! | 0x80
          if (at % 2 === 0) return closed(await stranger(noise))
          const socket = await stranger(Buffer.concat([hello('n1', 'n2'), noise]))
          if (noise.subarray(0, 4).every((byte) => byte === 0xff)) frames++
          else await closed(socket)
        }),
      )
    expect(n2.counters().strangersMalformed).toBe(500)
    expect(n2.counters().framesMalformed! + n2.counters().linksSuperseded!).toBeGreaterThanOrEqual(500 - frames)
    expect(n2.counters().framesReceived).toBe(heard)
    await echoed(n1, 'n2')
  })
})
