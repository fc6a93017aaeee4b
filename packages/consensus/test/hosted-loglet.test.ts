/** The runtime's order, shown with a core that does nothing but what the test tells it. */
import { ByteReader, type Bytes } from '@synod/codec'
import { PeerNetwork, type Configuration, type Loglet, type LogStore, type StoreOperation } from '@synod/log'
import { memoryLogStore } from '@synod/log/memory'
import { memoryNetwork, VirtualScheduler } from '@synod/transport/memory'
import { hostProtocol, majority, type Effect, type Input, type Protocol, type ProtocolDefinition } from '@synod/consensus'
import { describe, expect, it } from 'vitest'

type Script = (input: Input<Bytes>) => readonly Effect<Bytes>[]

function scripted(script: Script): ProtocolDefinition<Bytes> {
  const core: Protocol<Bytes> = {
    step: script,
    fork: () => core,
    digest: () => '',
    decidedHigh: 0,
    codec: {
      encode: (message) => message,
      decode: (bytes) => {
        new ByteReader(bytes).u8()
        return bytes
      },
    },
  }
  return {
    name: 'scripted',
    mode: 'test',
    capabilities: { leader: false, anyNodeProposes: true, linearizableRead: 'barrier', durability: 'quorumDisk' },
    quorums: majority,
    open: () => core,
  }
}

interface Held {
  readonly operations: readonly StoreOperation[]
  readonly finish: () => void
  readonly fail: (error: Error) => void
}

class Rig {
  readonly scheduler = new VirtualScheduler()
  readonly writes: Held[] = []
  readonly heard: string[] = []
  readonly failures: Error[] = []
  readonly inputs: Input<Bytes>[] = []
  loglet: Loglet | undefined

  async open(script: Script): Promise<Loglet> {
    const network = memoryNetwork({ scheduler: this.scheduler })
    const configuration: Configuration = {
      cluster: '11'.repeat(16),
      epoch: 1,
      protocol: 'scripted',
      protocolOptions: '{}',
      voters: ['n1', 'n2'].map((node) => ({ node, incarnation: '00'.repeat(16) })),
    }
    const peer = (self: string): PeerNetwork =>
      new PeerNetwork({
        transport: network.transport(self, ['n1', 'n2']),
        self,
        incarnation: '00'.repeat(16),
        boot: 1,
        nonce: 1,
        configuration,
        assemblyBytesMax: 1000,
        onDoppelganger: (error) => this.failures.push(error),
      })
    peer('n2').on(1, (_, body) => this.heard.push(new TextDecoder().decode(body.subarray(4))))
    const memory = memoryLogStore()
    await memory.open('n1')
    const store: LogStore = {
      open: (self) => memory.open(self),
      found: (genesis) => memory.found(genesis),
      read: (epoch, from, to) => memory.read(epoch, from, to),
      slices: (requests) => memory.slices(requests),
      pieces: (epoch, through) => memory.pieces(epoch, through),
      reclaim: (epoch, piece, keep) => memory.reclaim(epoch, piece, keep),
      counters: () => memory.counters(),
      close: () => memory.close(),
      write: (operations) => new Promise((resolve, reject) => this.writes.push({ operations, finish: resolve, fail: reject })),
    }
    this.loglet = hostProtocol(
      scripted((input) => {
        this.inputs.push(input)
        return input.kind === 'tick' ? [] : script(input)
      }),
    ).open({
      self: 'n1',
      configuration,
      store,
      boot: 1,
      recovered: { epoch: 1, meta: new Map(), decidedThrough: 0, window: [] },
      network: peer('n1'),
      scheduler: this.scheduler,
      seed: 1,
      onFailure: (error) => this.failures.push(error),
    })
    return this.loglet
  }
}

const text = (body: string): Bytes => new TextEncoder().encode(body)
const persist = (token: number, index: number): Effect<Bytes> => ({
  kind: 'persist',
  token,
  operations: [{ op: 'slot', epoch: 1, index, header: text('h'), entry: text(`e${index}`) }],
})
const decide = (index: number): Effect<Bytes> => ({ kind: 'decide', index, header: text('h'), entry: text(`e${index}`) })
const send = (message: string, reveals?: 'nothing'): Effect<Bytes> => ({
  kind: 'send',
  to: ['n2'],
  message: text(message),
  ...(reveals === undefined ? {} : { reveals }),
})

describe('the runtime', () => {
  it('bug 5: sends nothing that reveals what is not durable yet, and does not hold back what reveals nothing', async () => {
    const rig = new Rig()
    const loglet = await rig.open((input) => (input.kind === 'offer' ? [persist(1, 1), send('accepted'), send('hello', 'nothing')] : []))
    void loglet.offer(text('x'))
    await rig.scheduler.run(500)
    expect(rig.heard).toEqual(['hello'])
    expect(rig.writes).toHaveLength(1)
    rig.writes[0]?.finish()
    await rig.scheduler.run(500)
    expect(rig.heard).toEqual(['hello', 'accepted'])
    expect(rig.inputs.filter(({ kind }) => kind === 'durable')).toEqual([{ kind: 'durable', token: 1 }])
  })

  it('writes what one turn persists at once', async () => {
    const rig = new Rig()
    let token = 0
    const loglet = await rig.open((input) => (input.kind === 'offer' ? [persist(++token, token)] : []))
    for (let at = 0; at < 5; at++) void loglet.offer(text('x'))
    await rig.scheduler.run(100)
    expect(rig.writes.map(({ operations }) => operations.length)).toEqual([5])
  })

  it('delivers decisions in order and once, each when its own slot is durable', async () => {
    const rig = new Rig()
    const loglet = await rig.open((input) => {
      if (input.kind === 'offer') return [persist(1, 1), persist(2, 2)]
      if (input.kind === 'barrier') return [decide(2), decide(1), decide(2), persist(3, 3), decide(3)]
      return []
    })
    const delivered: number[] = []
    void (async () => {
      for await (const batch of loglet.decided(1)) delivered.push(...batch.map(({ index }) => index))
    })()
    void loglet.offer(text('x'))
    await rig.scheduler.run(100)
    const barrier = loglet.barrier()
    barrier.catch(() => undefined)
    await rig.scheduler.run(100)
    expect(delivered).toEqual([])
    rig.writes[0]?.finish()
    await rig.scheduler.run(100)
    expect(delivered).toEqual([1, 2])
    rig.writes[1]?.finish()
    await rig.scheduler.run(100)
    expect(delivered).toEqual([1, 2, 3])
  })

  it('bug 6: stops at a failed write, and says nothing more', async () => {
    const rig = new Rig()
    const loglet = await rig.open((input) => (input.kind === 'offer' ? [persist(1, 1), send('accepted')] : []))
    const offer = loglet.offer(text('x'))
    await rig.scheduler.run(100)
    rig.writes[0]?.fail(new Error('EIO'))
    await rig.scheduler.run(1000)
    expect(rig.failures.map(({ message }) => message)).toEqual(['EIO'])
    expect(await offer).toBe('abandoned')
    expect(rig.heard).toEqual([])
    expect(await loglet.offer(text('y'))).toBe('refused')
  })

  it('stops at a broken invariant, and nothing of that turn leaves', async () => {
    const rig = new Rig()
    let offers = 0
    const loglet = await rig.open((input) => {
      if (input.kind !== 'offer') return []
      if (++offers === 2) throw new Error('two values at one ballot')
      return [persist(1, 1), send('hello', 'nothing')]
    })
    void loglet.offer(text('x'))
    void loglet.offer(text('y'))
    await rig.scheduler.run(1000)
    expect(rig.failures.map(({ message }) => message)).toEqual(['two values at one ballot'])
    expect(rig.heard).toEqual([])
    expect(rig.writes).toEqual([])
  })
})
