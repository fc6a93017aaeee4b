import { afterEach, describe, expect, test, vi } from 'vitest'
import { Cluster, counter, dropped } from './cluster.ts'
import { numberedFrame, sameBytes } from './frames.ts'
import { Inbox } from './inbox.ts'
import type { TransportConformance } from './transport-world.ts'

/** Frames arrive, whole, from whom they say, and nothing else does. */
export function deliveryCases(subject: TransportConformance): void {
  describe('delivery', () => {
    let cluster: Cluster
    afterEach(() => cluster.close())

    test('every node reaches every other, and the sender is named', async () => {
      const members = ['n1', 'n2', 'n3']
      cluster = await Cluster.create(subject, members)
      const nodes = await Promise.all(members.map((self) => cluster.open(self)))
      const inboxes = nodes.map((node) => new Inbox(node))
      for (const [at, node] of nodes.entries()) {
        for (const [other, inbox] of inboxes.entries()) {
          if (at === other) continue
          const frame = new TextEncoder().encode(`from ${members[at]} to ${members[other]}`)
          const { from } = await inbox.first(
            (received) => sameBytes(received.frame, frame),
            () => node.send(members[other]!, frame),
            cluster.reachedMsMax,
          )
          expect(from).toBe(members[at])
        }
      }
    })

    test('frames of 0 bytes, 1 byte, every byte, and frameBytesMax arrive byte for byte', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2'])
      const [n1, n2] = [await cluster.open('n1'), await cluster.open('n2')]
      const inbox = new Inbox(n2)
      await cluster.connect(n1, 'n2', inbox)
      const everyByte = Uint8Array.from({ length: 256 }, (_, at) => at)
      for (const frame of [
        new Uint8Array(0),
        Uint8Array.of(0),
        Uint8Array.of(255),
        everyByte,
        numberedFrame(1, n1.frameBytesMax - 1),
        numberedFrame(2, n1.frameBytesMax),
        // A view into the middle of something larger.
        numberedFrame(3, 5000).subarray(1000, 3000),
      ]) {
        const { from } = await inbox.first(
          (received) => sameBytes(received.frame, frame),
          () => n1.send('n2', frame),
          cluster.reachedMsMax,
        )
        expect(from).toBe('n1')
      }
    })

    test('of 2,000 frames of many sizes nine in ten arrive on a healthy link, none altered, none invented', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2', 'n3'])
      const [n1, n2, n3] = [await cluster.open('n1'), await cluster.open('n2'), await cluster.open('n3')]
      const inbox = new Inbox(n2)
      await cluster.connect(n1, 'n2', inbox)
      await cluster.connect(n3, 'n2', inbox)
      inbox.received.length = 0
      const sizes = [4, 5, 100, 1000, 4095, 4096, 4097, 20_000, 65_531, 65_532, 65_536, 70_000]
      const largest = Math.min(n1.frameBytesMax, Math.floor(subject.queueBytesMax / 20))
      const lengthOf = (number: number) => Math.min(sizes[number % sizes.length]!, largest)
      const ownerOf = (number: number) => (number % 2 === 0 ? 'n1' : 'n3')
      const count = 2000
      for (let number = 0; number < count; number++) {
        ;(ownerOf(number) === 'n1' ? n1 : n3).send('n2', numberedFrame(number, lengthOf(number)))
        // Bursts of ten, a turn apart, so that the bound of no queue is reached.
        if (number % 10 === 9) await new Promise((resolve) => setImmediate(resolve))
      }
      const numberOf = (frame: Uint8Array) => new DataView(frame.buffer, frame.byteOffset).getUint32(0)
      const arrived = () => new Set(inbox.received.map(({ frame }) => numberOf(frame))).size
      await vi.waitFor(() => expect(arrived()).toBeGreaterThanOrEqual(count * 0.9), { timeout: cluster.reachedMsMax })
      // Compared only now: a buffer that was used again after delivery would show.
      for (const { from, frame } of inbox.received) {
        const number = numberOf(frame)
        expect(number).toBeLessThan(count)
        expect(from).toBe(ownerOf(number))
        if (!sameBytes(frame, numberedFrame(number, lengthOf(number)))) expect.fail(`frame ${number} was altered`)
      }
    })

    test('a listener may send, and what it sends arrives', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2'])
      const [n1, n2] = [await cluster.open('n1'), await cluster.open('n2')]
      n2.onFrame((from, frame) => n2.send(from, frame))
      await cluster.connect(n1, 'n2', new Inbox(n1))
    })

    test('frames that arrive before there is a listener are dropped and counted', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2'])
      const [n1, n2] = [await cluster.open('n1'), await cluster.open('n2')]
      await vi.waitFor(
        () => {
          n1.send('n2', numberedFrame(1, 10))
          expect(dropped(n2)).toBeGreaterThan(0)
        },
        { timeout: cluster.reachedMsMax },
      )
      expect(counter(n2, 'framesReceived')).toBe(0)
      await cluster.connect(n1, 'n2', new Inbox(n2))
    })

    test('frames sent and received are counted', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2'])
      const [n1, n2] = [await cluster.open('n1'), await cluster.open('n2')]
      const inbox = new Inbox(n2)
      await cluster.connect(n1, 'n2', inbox)
      const before = counter(n1, 'framesSent')
      for (let number = 0; number < 50; number++) n1.send('n2', numberedFrame(number, 20))
      expect(counter(n1, 'framesSent')).toBe(before + 50)
      await vi.waitFor(() => expect(counter(n2, 'framesReceived')).toBe(inbox.received.length))
      expect(counter(n2, 'framesReceived')).toBeGreaterThan(0)
    })

    test('what is counted by peer, where that is told, adds up to what is counted in all', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2', 'n3'])
      const [n1, n2, n3] = [await cluster.open('n1'), await cluster.open('n2'), await cluster.open('n3')]
      if (n1.peerCounters === undefined) return
      const [inbox2, inbox3] = [new Inbox(n2), new Inbox(n3)]
      await cluster.connect(n1, 'n2', inbox2)
      await cluster.connect(n1, 'n3', inbox3)
      const of = (peer: string, name: string) => n1.peerCounters?.().get(peer)?.[name]
      const before = of('n2', 'framesSent')!
      for (let number = 0; number < 50; number++) n1.send('n2', numberedFrame(number, 20))
      expect([...n1.peerCounters().keys()].toSorted()).toEqual(['n2', 'n3'])
      expect(of('n2', 'framesSent')).toBe(before + 50)
      expect(of('n2', 'framesSent')! + of('n3', 'framesSent')!).toBe(counter(n1, 'framesSent'))
      expect({ n2: of('n2', 'linked'), n3: of('n3', 'linked') }).toEqual({ n2: 1, n3: 1 })
    })
  })
}
