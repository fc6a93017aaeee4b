import { PeerNetwork, type Configuration, type LogStore } from '@synod/log'
import { MemoryDisk, memoryLogStore } from '@synod/log/memory'
import { memoryNetwork, VirtualScheduler } from '@synod/transport/memory'
import { ByteReader, ByteWriter, type Bytes } from '@synod/codec'
import { hostProtocol, majority, type Input, type Protocol } from '@synod/consensus'
import { describe, expect, it } from 'vitest'

const requestChannel = 2
const replyChannel = 3
const text = (body: string): Bytes => new TextEncoder().encode(body)

/** A node that only serves and learns, and a peer that the test speaks for. */
class Rig {
  readonly scheduler = new VirtualScheduler()
  readonly learned: { index: number; entry: string }[] = []
  readonly heard: { peer: string; channel: number; body: Bytes; at: number }[] = []
  readonly failures: Error[] = []
  readonly peers = new Map<string, PeerNetwork>()
  reclaimedThrough = 0
  emit: (core: Input<Bytes>) => readonly { kind: 'fetch'; from: number; to: number; peer?: string }[] = () => []

  async open(decidedThrough: number, hole?: number, reclaimsOldest = false): Promise<void> {
    const network = memoryNetwork({ scheduler: this.scheduler })
    const members = ['n1', 'n2', 'n3']
    const configuration: Configuration = {
      cluster: '11'.repeat(16),
      epoch: 1,
      protocol: 'none',
      protocolOptions: '{}',
      voters: members.map((node) => ({ node, incarnation: '00'.repeat(16) })),
    }
    const open = (self: string): PeerNetwork =>
      new PeerNetwork({
        transport: network.transport(self, members),
        self,
        incarnation: '00'.repeat(16),
        boot: 1,
        nonce: 1,
        configuration,
        assemblyBytesMax: 1_000_000,
        onDoppelganger: (error) => this.failures.push(error),
      })
    for (const peer of ['n2', 'n3']) {
      const link = open(peer)
      this.peers.set(peer, link)
      for (const channel of [requestChannel, replyChannel])
        link.on(channel, (_, body) => this.heard.push({ peer, channel, body, at: this.scheduler.now() }))
    }
    const store: LogStore = memoryLogStore(new MemoryDisk({ pieceBytes: 5 }), {
      defer: (run) => void this.scheduler.at(this.scheduler.now() + 1, run),
    })
    await store.open('n1')
    for (let index = 1; index <= decidedThrough; index++) {
      if (index === hole) continue
      const written = store.write([{ op: 'slot', epoch: 1, index, header: text('h'), entry: text(`e${index}`) }])
      await this.scheduler.run(5)
      await written
    }
    if (reclaimsOldest) {
      const decided = store.write([{ op: 'decidedThrough', epoch: 1, index: decidedThrough }])
      await this.scheduler.run(5)
      await decided
      const [oldest] = store.pieces(1, decidedThrough)
      await store.reclaim(1, oldest!, (async function* () {})())
      this.reclaimedThrough = oldest!.to
    }
    const core: Protocol<Bytes> = {
      step: (input) => {
        if (input.kind === 'learn') this.learned.push({ index: input.index, entry: new TextDecoder().decode(input.entry) })
        return this.emit(input)
      },
      fork: () => core,
      digest: () => '',
      decidedHigh: 0,
      codec: { encode: (message) => message, decode: (bytes) => bytes },
    }
    hostProtocol({
      name: 'none',
      mode: 'test',
      capabilities: { leader: false, anyNodeProposes: true, linearizableRead: 'barrier', durability: 'quorumDisk' },
      quorums: majority,
      open: () => core,
    }).open({
      self: 'n1',
      configuration,
      store,
      boot: 1,
      recovered: { epoch: 1, meta: new Map(), decidedThrough, window: [] },
      network: open('n1'),
      scheduler: this.scheduler,
      seed: 1,
      onFailure: (error) => this.failures.push(error),
    })
  }

  ask(peer: string, from: number, to: number): void {
    this.peers.get(peer)?.send('n1', requestChannel, new ByteWriter().u53(from).u53(to).finish())
  }

  answer(peer: string, from: number, entries: readonly string[]): void {
    const reply = new ByteWriter().u53(from).u32(entries.length)
    for (const entry of entries) reply.bytes(text('h')).bytes(text(entry))
    this.peers.get(peer)?.send('n1', replyChannel, reply.finish())
  }

  /** The core asks for it at the first tick, or at the one after so many milliseconds. */
  fetch(from: number, to: number, peer: string | undefined, afterMs = 0): void {
    let told = false
    this.emit = (input) => {
      if (told || input.kind !== 'tick' || input.now < afterMs) return []
      told = true
      return [{ kind: 'fetch', from, to, ...(peer === undefined ? {} : { peer }) }]
    }
  }

  get requests(): string[] {
    return this.heard.filter(({ channel }) => channel === requestChannel).map(({ peer }) => peer)
  }
}

describe('catch-up', () => {
  it('serves what is decided and durable here', async () => {
    const rig = new Rig()
    await rig.open(5)
    rig.ask('n2', 2, 9)
    await rig.scheduler.run(100)
    const [reply] = rig.heard.filter(({ channel }) => channel === replyChannel)
    const reader = new ByteReader(reply?.body ?? new Uint8Array())
    expect([reader.u53(), reader.u32()]).toEqual([2, 4])
  })

  it('gives no answer for what was reclaimed, and goes on serving the rest', async () => {
    const rig = new Rig()
    await rig.open(8, undefined, true)
    expect(rig.reclaimedThrough).toBeGreaterThan(0)
    expect(rig.reclaimedThrough).toBeLessThan(8)
    rig.ask('n2', 1, 8)
    await rig.scheduler.run(100)
    expect(rig.heard.filter(({ channel }) => channel === replyChannel)).toEqual([])
    expect(rig.failures).toEqual([])
    rig.ask('n2', rig.reclaimedThrough + 1, 8)
    await rig.scheduler.run(100)
    const [reply] = rig.heard.filter(({ channel }) => channel === replyChannel)
    const reader = new ByteReader(reply?.body ?? new Uint8Array())
    expect([reader.u53(), reader.u32()]).toEqual([rig.reclaimedThrough + 1, 8 - rig.reclaimedThrough])
  })

  it('serves nothing across a hole of its own store: what follows would be taught under other indexes', async () => {
    const rig = new Rig()
    await rig.open(5, 3)
    rig.ask('n2', 1, 5)
    await rig.scheduler.run(100)
    for (const { body } of rig.heard.filter(({ channel }) => channel === replyChannel)) {
      const reader = new ByteReader(body)
      expect(reader.u53()).toBe(1)
      expect(reader.u32()).toBeLessThanOrEqual(2)
    }
    expect(rig.failures).toEqual([])
  })

  it('takes an answer that comes after another peer was asked', async () => {
    const rig = new Rig()
    rig.fetch(1, 2, 'n2')
    await rig.open(0)
    await rig.scheduler.run(1500)
    expect(rig.heard.filter(({ channel }) => channel === requestChannel)).toHaveLength(2)
    rig.answer('n2', 1, ['a', 'b'])
    await rig.scheduler.run(100)
    expect(rig.learned).toEqual([
      { index: 1, entry: 'a' },
      { index: 2, entry: 'b' },
    ])
  })

  it('asks first who was heard last: a dead peer costs a time-out each time', async () => {
    const rig = new Rig()
    rig.fetch(1, 2, undefined, 200)
    await rig.open(0)
    await rig.scheduler.run(100)
    rig.ask('n3', 1, 1)
    await rig.scheduler.run(1000)
    expect(rig.requests).toEqual(['n3'])
    await rig.scheduler.run(500)
    expect(rig.requests).toEqual(['n3', 'n2'])
  })

  it('waits less for a peer that has long been silent, and takes its answer though nobody is left to ask', async () => {
    const rig = new Rig()
    rig.fetch(1, 2, undefined)
    await rig.open(0)
    await rig.scheduler.run(800)
    expect(rig.requests).toEqual(['n2', 'n3'])
    await rig.scheduler.run(5_000)
    rig.answer('n3', 1, ['a', 'b'])
    await rig.scheduler.run(100)
    expect(rig.learned).toHaveLength(2)
  })

  it('goes on with the peer that answers, not with the one that was asked last', async () => {
    const rig = new Rig()
    rig.fetch(1, 3, 'n2')
    await rig.open(0)
    await rig.scheduler.run(1500)
    expect(rig.requests).toEqual(['n2', 'n3'])
    rig.answer('n2', 1, ['a'])
    await rig.scheduler.run(100)
    expect(rig.requests).toEqual(['n2', 'n3', 'n2'])
  })

  it('takes no answer to another question, and none twice', async () => {
    const rig = new Rig()
    rig.fetch(1, 4, 'n2')
    await rig.open(0)
    await rig.scheduler.run(100)
    rig.answer('n2', 3, ['c'])
    rig.answer('n2', 1, ['a'])
    rig.answer('n2', 1, ['a'])
    await rig.scheduler.run(100)
    expect(rig.learned).toEqual([{ index: 1, entry: 'a' }])
  })
})
