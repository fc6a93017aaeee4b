import { Faults, memoryNetwork, type LinkFaults } from '@synod/transport/memory'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { StepScheduler } from './step-scheduler.ts'

const members = ['n1', 'n2', 'n3']

/** Three nodes on one network in virtual time; `heard` is what each heard, with the time of hearing. */
function cluster(options: { seed?: number; faults?: Faults; queueBytesMax?: number } = {}) {
  const scheduler = new StepScheduler()
  const network = memoryNetwork({ ...options, scheduler })
  const heard: { at: number; from: string; to: string; number: number }[] = []
  const nodes = members.map((self) => {
    const transport = network.transport(self, members)
    transport.onFrame((from, frame) => heard.push({ at: scheduler.now(), from, to: self, number: frame[0]! }))
    return transport
  })
  const [n1, n2, n3] = nodes as [(typeof nodes)[0], (typeof nodes)[0], (typeof nodes)[0]]
  return { scheduler, network, faults: network.faults, heard, n1, n2, n3 }
}

/** Every node sends 200 frames to every other, one a millisecond. */
function chatter(faults: Partial<LinkFaults>, seed: number) {
  const { scheduler, network, heard, n1, n2, n3 } = cluster({ seed })
  network.faults.set({}, faults)
  for (let number = 0; number < 200; number++) {
    for (const [at, node] of [n1, n2, n3].entries()) for (const to of members) if (to !== members[at]) node.send(to, Uint8Array.of(number))
    scheduler.runUntil(scheduler.now() + 1)
  }
  scheduler.runUntil(1_000_000)
  return { heard, scheduler, counters: [n1, n2, n3].map((node) => node.counters()) }
}

describe('a healthy memory network', () => {
  test('delivers in a later turn, in the order of sending', () => {
    const { scheduler, heard, n1, n3 } = cluster()
    n1.send('n2', Uint8Array.of(1))
    n3.send('n2', Uint8Array.of(2))
    n1.send('n2', Uint8Array.of(3))
    expect(heard).toEqual([])
    scheduler.runUntil(0)
    expect(heard.map(({ number }) => number)).toEqual([1, 2, 3])
    expect(heard.map(({ from }) => from)).toEqual(['n1', 'n3', 'n1'])
  })

  test('what a listener sends is delivered in the turn after', () => {
    const { scheduler, heard, n1, n2 } = cluster()
    n2.onFrame((from) => {
      heard.push({ at: 0, from, to: 'n2', number: 1 })
      n2.send('n1', Uint8Array.of(2))
      expect(heard).toHaveLength(1)
    })
    n1.send('n2', Uint8Array.of(1))
    scheduler.runUntil(0)
    expect(heard.map(({ number }) => number)).toEqual([1, 2])
  })

  test('a listener that throws costs nobody else a frame', () => {
    const { scheduler, heard, n1, n2 } = cluster()
    n2.onFrame(() => {
      throw new Error('a bug above')
    })
    n1.send('n2', Uint8Array.of(1))
    n1.send('n3', Uint8Array.of(2))
    expect(() => scheduler.runUntil(0)).toThrow('a bug above')
    scheduler.runUntil(0)
    expect(heard.map(({ number }) => number)).toEqual([2])
  })

  test('the room of a queue comes back when it is delivered', () => {
    const { scheduler, heard, n1 } = cluster({ queueBytesMax: 65 * 3 })
    for (let round = 1; round <= 5; round++) {
      for (let number = 0; number < 10; number++) n1.send('n2', Uint8Array.of(number))
      scheduler.runUntil(0)
      expect(heard).toHaveLength(3 * round)
      expect(n1.counters()).toMatchObject({ droppedQueueFull: 7 * round, framesSent: 3 * round })
    }
  })

  test('a node that crashed and came back hears what is sent from then on', async () => {
    const { scheduler, network, n1, n2 } = cluster()
    n1.send('n2', Uint8Array.of(1))
    void n2.close()
    scheduler.runUntil(0)
    expect(n1.counters()).toMatchObject({ droppedUnreachable: 1 })
    const heard: number[] = []
    network.transport('n2', members).onFrame((_from, frame) => heard.push(frame[0]!))
    n1.send('n2', Uint8Array.of(2))
    scheduler.runUntil(0)
    expect(heard).toEqual([2])
  })
})

describe('faults', () => {
  const bad: Partial<LinkFaults> = {
    lossRate: 0.2,
    duplicateRate: 0.2,
    delayMsMin: 1,
    delayMsMax: 20,
    stragglerRate: 0.05,
    stragglerMsMax: 5000,
  }

  test('the same seed gives the same run, another seed another one', () => {
    expect(chatter(bad, 7)).toMatchObject({ heard: chatter(bad, 7).heard, counters: chatter(bad, 7).counters })
    expect(chatter(bad, 8).heard).not.toEqual(chatter(bad, 7).heard)
  })

  test('loss, doubling, delay and reordering happen as often as they are set', () => {
    const { heard } = chatter(bad, 3)
    const sent = 6 * 200
    const distinct = new Set(heard.map(({ from, to, number }) => `${from} ${to} ${number}`)).size
    expect(distinct / sent).toBeGreaterThan(0.74)
    expect(distinct / sent).toBeLessThan(0.86)
    expect(heard.length / distinct).toBeGreaterThan(1.14)
    expect(heard.length / distinct).toBeLessThan(1.26)
    const link = heard.filter(({ from, to }) => from === 'n1' && to === 'n2')
    expect(link.some(({ number }, at) => at > 0 && number < link[at - 1]!.number)).toBe(true)
    for (const { at, number } of heard) expect(at).toBeGreaterThanOrEqual(number + 1)
    expect(heard.some(({ at, number }) => at > number + 1000)).toBe(true)
  })

  test('traffic on one link does not change what happens on another', () => {
    const run = (noise: boolean) => {
      const { scheduler, network, heard, n1, n3 } = cluster({ seed: 5 })
      network.faults.set({}, { lossRate: 0.5 })
      for (let number = 0; number < 100; number++) {
        if (noise) n3.send('n2', Uint8Array.of(number))
        n1.send('n2', Uint8Array.of(number))
      }
      scheduler.runUntil(1)
      return heard.filter(({ from }) => from === 'n1').map(({ number }) => number)
    }
    expect(run(true)).toEqual(run(false))
  })

  test('never invented, never altered, whatever is set', () => {
    const rate = fc.double({ min: 0, max: 1, noNaN: true })
    const time = fc.integer({ min: 0, max: 50 })
    const faults = fc.record({
      lossRate: rate,
      duplicateRate: rate,
      delayMsMin: time,
      delayMsMax: time,
      stragglerRate: rate,
      stragglerMsMax: time,
      cut: fc.boolean(),
    })
    fc.assert(
      fc.property(faults, fc.nat(), (each, seed) => {
        const { heard, scheduler } = chatter(each, seed)
        expect(scheduler.waiting).toBe(0)
        for (const { from, to, number } of heard) {
          if (from === to || number > 199) throw new Error('a frame that nobody sent')
        }
        const copies = new Map<string, number>()
        for (const { from, to, number } of heard) {
          const key = `${from} ${to} ${number}`
          copies.set(key, (copies.get(key) ?? 0) + 1)
        }
        if (Math.max(0, ...copies.values()) > 2) throw new Error('more than two copies')
      }),
      { numRuns: 30 },
    )
  })

  test('a cut is one way, holds for what is under way, and mends', () => {
    const { scheduler, faults, heard, n1, n2 } = cluster()
    faults.set({}, { delayMsMin: 10 })
    n1.send('n2', Uint8Array.of(1))
    n2.send('n1', Uint8Array.of(2))
    faults.cut('n1', 'n2')
    n1.send('n2', Uint8Array.of(3))
    scheduler.runUntil(20)
    expect(heard.map(({ number }) => number)).toEqual([2])
    expect(n1.counters()).toMatchObject({ droppedByCut: 2 })
    faults.mend('n1', 'n2')
    n1.send('n2', Uint8Array.of(4))
    scheduler.runUntil(40)
    expect(heard.map(({ number }) => number)).toEqual([2, 4])
  })

  test('isolate, partition and heal', () => {
    const reach = (faults: Faults) =>
      members.flatMap((from) =>
        members.filter((to) => from !== to && !faults.isCut(from, to, Uint8Array.of())).map((to) => `${from}>${to}`),
      )
    const faults = new Faults()
    const all = reach(faults)
    expect(all).toHaveLength(6)
    expect(reach(faults.isolate('n2'))).toEqual(['n1>n3', 'n3>n1'])
    expect(reach(faults.mend('n2', 'n1'))).toEqual(['n1>n3', 'n2>n1', 'n3>n1'])
    expect(reach(faults.heal())).toEqual(all)
    expect(reach(faults.partition(['n1'], ['n2', 'n3']))).toEqual(['n2>n3', 'n3>n2'])
    expect(faults.heal().active).toBe(false)
  })

  test('a kind of frame can be singled out', () => {
    const faults = new Faults({ kindOf: (frame) => (frame[0]! < 10 ? 'small' : 'large') })
    const { scheduler, heard, n1 } = cluster({ faults })
    faults.set({ from: 'n1', kind: 'small' }, { lossRate: 1 })
    for (const number of [1, 20, 2, 30]) n1.send('n2', Uint8Array.of(number))
    scheduler.runUntil(1)
    expect(heard.map(({ number }) => number)).toEqual([20, 30])
    expect(n1.counters()).toMatchObject({ droppedByFault: 2, droppedByCut: 0 })
  })

  test('a later rule overrides only what it names', () => {
    const faults = new Faults().set({}, { delayMsMin: 5 }).set({ from: 'n1' }, { duplicateRate: 1 })
    expect(faults.fate('n1', 'n2', Uint8Array.of())).toEqual([5, 5])
    expect(faults.fate('n2', 'n1', Uint8Array.of())).toEqual([5])
    faults.set({ from: 'n1', to: 'n2' }, { delayMsMin: 0 })
    expect(faults.fate('n1', 'n2', Uint8Array.of())).toEqual([0, 0])
  })

  test('frames that wait are bounded, and gone when the transport closes', async () => {
    const scheduler = new StepScheduler()
    const { faultyTransport } = await import('@synod/transport/memory')
    const network = memoryNetwork({ scheduler })
    const n2 = network.transport('n2', members)
    let heard = 0
    n2.onFrame(() => heard++)
    const faults = new Faults().set({}, { delayMsMin: 100 })
    const inner = network.transport('n1', members)
    const n1 = faultyTransport(inner, { self: 'n1', faults, scheduler, heldBytesMax: 10 * (64 + 100) })
    for (let number = 0; number < 25; number++) n1.send('n2', new Uint8Array(100))
    expect(n1.counters()).toMatchObject({ droppedHeldFull: 15, delayedByFault: 10 })
    scheduler.runUntil(101)
    expect(heard).toBe(10)
    n1.send('n2', new Uint8Array(100))
    expect(scheduler.waiting).toBe(1)
    await n1.close()
    expect(scheduler.waiting).toBe(0)
  })

  test.each([{ lossRate: 1.5 }, { lossRate: Number.NaN }, { delayMsMin: -1 }, { loss: 1 }])('%j is refused', (wrong) => {
    expect(() => new Faults().set({}, wrong)).toThrow(RangeError)
  })
})
