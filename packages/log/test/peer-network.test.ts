import { PeerNetwork, type Configuration } from '@synod/log'
import { memoryNetwork, VirtualScheduler, type MemoryNetwork } from '@synod/transport/memory'
import type { Transport } from '@synod/transport'
import { beforeEach, describe, expect, it } from 'vitest'

const members = ['n1', 'n2', 'n3']
const incarnationOf = (node: string): string => node.replace('n', '0').repeat(16)

function configuration(cluster = '11'.repeat(16), epoch = 1): Configuration {
  return {
    cluster,
    epoch,
    protocol: 'p',
    protocolOptions: '{}',
    voters: members.map((node) => ({ node, incarnation: incarnationOf(node) })),
  }
}

interface Heard {
  readonly from: string
  readonly channel: number
  readonly body: string
}

class Harness {
  readonly scheduler = new VirtualScheduler()
  readonly memory: MemoryNetwork = memoryNetwork({ scheduler: this.scheduler, frameBytesMax: 400 })
  readonly heard: Heard[] = []
  readonly doppelgangers: Error[] = []

  open(
    self: string,
    {
      incarnation = incarnationOf(self),
      boot = 1,
      nonce = 1,
      config = configuration(),
      transport = this.memory.transport(self, members) as Transport,
      assemblyBytesMax = 100_000,
    } = {},
  ): PeerNetwork {
    const network = new PeerNetwork({
      transport,
      self,
      incarnation,
      boot,
      nonce,
      configuration: config,
      assemblyBytesMax,
      onDoppelganger: (error) => this.doppelgangers.push(error),
    })
    for (const channel of [1, 2])
      network.on(channel, (from, body) => this.heard.push({ from, channel, body: new TextDecoder().decode(body) }))
    return network
  }
}

const text = (body: string): Uint8Array => new TextEncoder().encode(body)

describe('frames between nodes', () => {
  let harness: Harness
  beforeEach(() => {
    harness = new Harness()
  })

  it('reach the channel of the node that they name', async () => {
    const one = harness.open('n1')
    harness.open('n2')
    one.send('n2', 1, text('hello'))
    one.send('n2', 2, text(''))
    await harness.scheduler.run(100)
    expect(harness.heard).toEqual([
      { from: 'n1', channel: 1, body: 'hello' },
      { from: 'n1', channel: 2, body: '' },
    ])
  })

  it('are split where they do not fit, and put together whatever the order of the parts', async () => {
    harness.memory.faults.set({}, { delayMsMax: 50, duplicateRate: 0.5 })
    const one = harness.open('n1')
    harness.open('n2')
    const bodies = ['a', 'b', 'c'].map((letter) => letter.repeat(5000))
    for (const body of bodies) one.send('n2', 1, text(body))
    await harness.scheduler.run(1000)
    expect(new Set(harness.heard.map(({ body }) => body))).toEqual(new Set(bodies))
  })

  it('drops the oldest incomplete message when too much is incomplete', async () => {
    harness.memory.faults.set({}, { lossRate: 0.3 })
    const one = harness.open('n1')
    const two = harness.open('n2', { assemblyBytesMax: 4000 })
    for (let at = 0; at < 40; at++) one.send('n2', 1, text('x'.repeat(3000)))
    await harness.scheduler.run(1000)
    expect(two.counters()['dropped_assembly_full']).toBeGreaterThan(0)
    harness.memory.faults.heal()
    one.send('n2', 1, text('y'.repeat(3000)))
    await harness.scheduler.run(1000)
    expect(harness.heard.at(-1)?.body).toBe('y'.repeat(3000))
  })

  it.each([
    ['of another cluster', 'cluster', { config: configuration('22'.repeat(16)) }],
    ['of another epoch', 'epoch', { config: configuration('11'.repeat(16), 2) }],
    ['of a wiped node', 'stranger', { incarnation: 'ff'.repeat(16) }],
  ])('are dropped and counted when %s', async (_, reason, options) => {
    const stranger = harness.open('n1', options)
    const two = harness.open('n2')
    stranger.send('n2', 1, text('hello'))
    await harness.scheduler.run(100)
    expect(harness.heard).toEqual([])
    expect(two.counters()).toEqual({ [`dropped_${reason}`]: 1 })
  })

  it('are dropped when they come from an earlier opening of the store', async () => {
    const transport = harness.memory.transport('n1', members)
    const old = harness.open('n1', { transport, boot: 1, nonce: 5 })
    const current = harness.open('n1', { transport, boot: 2, nonce: 6 })
    const two = harness.open('n2')
    current.send('n2', 1, text('new'))
    old.send('n2', 1, text('old'))
    await harness.scheduler.run(100)
    expect(harness.heard.map(({ body }) => body)).toEqual(['new'])
    expect(two.counters()).toEqual({ dropped_stale_boot: 1 })
  })

  it('tells a node that two processes speak for it', async () => {
    const transport = harness.memory.transport('n1', members)
    const copies = [harness.open('n1', { transport, nonce: 5 }), harness.open('n1', { transport, nonce: 6 })]
    harness.open('n2')
    for (const copy of copies) copy.send('n2', 1, text('me'))
    await harness.scheduler.run(100)
    expect(harness.heard).toHaveLength(1)
    expect(harness.doppelgangers[0]?.message).toContain('two processes')
  })

  it('that are malformed are dropped and counted, and nothing else happens', async () => {
    const one = harness.open('n1')
    const transport = harness.memory.transport('n3', members)
    let sent: Uint8Array = new Uint8Array()
    const spy = harness.memory.transport('n2', members)
    spy.onFrame((_, frame) => (sent = frame))
    one.send('n2', 1, text('hello'))
    await harness.scheduler.run(100)
    await spy.close()
    const two = harness.open('n2')
    for (let cut = 0; cut < sent.length - 6; cut++) transport.send('n2', sent.slice(0, cut))
    for (let at = 0; at < sent.length; at++) {
      const flipped = sent.slice()
      flipped[at] = (flipped[at] ?? 0) ^ 0xff
      transport.send('n2', flipped)
    }
    await harness.scheduler.run(1000)
    expect(two.counters()['dropped_malformed']).toBeGreaterThan(10)
    expect(harness.heard.every(({ from }) => from === 'n1')).toBe(true)
    harness.heard.length = 0
  })

  it('to a node that is no voter are a mistake of the caller', () => {
    expect(() => harness.open('n1').send('n9', 1, text(''))).toThrow(/n9 is no peer/)
  })
})
