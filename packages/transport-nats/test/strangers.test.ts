import { connect, type NatsConnection } from '@nats-io/transport-node'
import { startNats, type NatsServer } from '@synod/servers'
import type { Transport } from '@synod/transport'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { encodeAnswer, encodeBye, encodeFrames, encodeHello } from '../src/message.ts'
import { addressesAt, counted, echoed, Nodes, subjectOf } from './nodes.ts'

let server: NatsServer
let stranger: NatsConnection
let nodes: Nodes
let n1: Transport
let n2: Transport
let warned: string[]
let subject: string

beforeAll(async () => {
  server = await startNats()
  stranger = await connect({ servers: server.url })
}, 180_000)
afterAll(async () => {
  await stranger?.close()
  await server?.stop()
})
beforeEach(async () => {
  warned = []
  nodes = new Nodes(addressesAt(server.port, 'n1', 'n2'))
  subject = subjectOf(nodes.addresses, 'n2')
  n1 = await nodes.open('n1')
  n2 = await nodes.openEcho('n2', { warn: (message) => warned.push(message) })
  await echoed(n1, 'n2')
})
afterEach(() => nodes.close())

const head = { from: 'n1', to: 'n2', life: 1, link: 1 }

describe('whoever else publishes on the subject of a node', () => {
  test('20,000 messages that are none: counted, said once, and the link goes on', async () => {
    const noise = new Uint8Array(100)
    for (let number = 0; number < 20_000; number++) {
      crypto.getRandomValues(noise)
      stranger.publish(subject, noise.subarray(0, number % 100))
    }
    await counted(n2, { messagesMalformed: 20_000 })
    await echoed(n1, 'n2')
    expect(warned).toEqual([expect.stringMatching(/n2 hears on .* what no node sends .*: somebody else publishes there/)])
    expect(n2.counters()).toMatchObject({ linksClosed: 0, connectionsClosed: 0 })
  })

  test('another version is counted and said', async () => {
    const other = encodeBye(head).slice()
    other[4] = 9
    stranger.publish(subject, other)
    await counted(n2, { messagesOfOtherVersion: 1 })
    expect(warned).toEqual([expect.stringMatching(/another version/)])
  })

  test('frames for another node, or from a node that is no peer, reach no listener', async () => {
    const heard: string[] = []
    n2.onFrame((from) => heard.push(from))
    stranger.publish(subject, encodeFrames({ ...head, to: 'n7' }, [Uint8Array.of(1)]))
    stranger.publish(subject, encodeFrames({ ...head, from: 'n7' }, [Uint8Array.of(1)]))
    stranger.publish(subject, encodeFrames({ ...head, from: 'n2' }, [Uint8Array.of(1)]))
    await counted(n2, { messagesMisaddressed: 1, messagesFromStrangers: 2 })
    expect(heard).toEqual([])
    expect(warned).toHaveLength(2)
  })

  test('a flood of hellos from nobody known is answered sixteen times between two ticks, and no more', async () => {
    let answers = 0
    const inbox = `${subject}-answers`
    const listening = stranger.subscribe(inbox, { callback: () => void answers++ })
    const ticks = performance.now()
    for (let number = 0; number < 5000; number++) stranger.publish(subject, encodeHello({ ...head, from: 'n7' }, inbox))
    await counted(n2, { messagesFromStrangers: 5000 })
    await stranger.flush()
    expect(answers).toBeGreaterThan(0)
    expect(answers).toBeLessThanOrEqual(16 * (2 + Math.ceil((performance.now() - ticks) / 1000)))
    listening.unsubscribe()
    await echoed(n1, 'n2')
  })

  test('what claims to be a goodbye, or an answer, of a peer that is there does no lasting harm', async () => {
    for (let life = 0; life < 100; life++) {
      stranger.publish(subject, encodeAnswer({ ...head, from: 'n7' }, 'notAPeer', 'n1'))
      stranger.publish(subject, encodeAnswer({ ...head, life }, 'welcome', 'n2'))
      stranger.publish(subject, encodeBye({ ...head, life }))
    }
    await counted(n2, { linksMisdirected: 100, linksClosed: 1 })
    // The echo comes back on the link of n2 to n1.
    await echoed(n1, 'n2')
  })
})

describe('a frame of an earlier connection', () => {
  test('that comes after one of a later connection is stale, of each instance of a peer by itself', async () => {
    const heard: number[] = []
    n2.onFrame((_, frame) => heard.push(frame[0]!))
    const publish = (life: number, link: number, number: number): void =>
      stranger.publish(subject, encodeFrames({ ...head, life, link }, [Uint8Array.of(number)]))
    publish(10, 1, 1)
    publish(10, 2, 2)
    publish(10, 1, 3)
    publish(11, 1, 4)
    publish(10, 2, 5)
    publish(10, 3, 6)
    await counted(n2, { droppedStale: 1 })
    await stranger.flush()
    await counted(n2, { messagesReceived: 6 })
    expect(heard).toEqual([1, 2, 4, 5, 6])
    expect(n2.counters()).toMatchObject({ droppedStale: 1 })
  })
})
