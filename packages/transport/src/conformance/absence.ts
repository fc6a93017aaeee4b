import { afterEach, describe, expect, test, vi } from 'vitest'
import { Cluster, counter, dropped } from './cluster.ts'
import { numberedFrame } from './frames.ts'
import { Inbox } from './inbox.ts'
import type { TransportConformance } from './transport-world.ts'

/** Peers that are down, come later, come back, are slow, or are there twice. */
export function absenceCases(subject: TransportConformance): void {
  describe('peers that are not there', () => {
    let cluster: Cluster
    afterEach(() => cluster.close())

    test('sending to a peer that is down neither throws nor waits, and every frame is counted as dropped', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2'])
      const n1 = await cluster.open('n1')
      for (let number = 0; number < 1000; number++) n1.send('n2', numberedFrame(number, 1000))
      await vi.waitFor(() => expect(dropped(n1)).toBe(1000), { timeout: cluster.reachedMsMax })
    })

    test('a peer that comes later is reached, and gets nothing that was sent before', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2'])
      const n1 = await cluster.open('n1')
      for (let number = 0; number < 100; number++) n1.send('n2', numberedFrame(number, 100))
      await vi.waitFor(() => expect(dropped(n1)).toBe(100), { timeout: cluster.reachedMsMax })
      const n2 = await cluster.open('n2')
      const inbox = new Inbox(n2)
      await cluster.connect(n1, 'n2', inbox)
      await cluster.connect(n2, 'n1', new Inbox(n1))
      expect(inbox.received.filter(({ frame }) => frame.length === 100)).toEqual([])
    })

    test('a peer that closes and comes back is reached again, both ways, and the third node notices nothing', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2', 'n3'])
      const [n1, n3] = [await cluster.open('n1'), await cluster.open('n3')]
      const [inbox1, inbox3] = [new Inbox(n1), new Inbox(n3)]
      for (let life = 0; life < 3; life++) {
        const n2 = await cluster.open('n2')
        await cluster.connect(n1, 'n2', new Inbox(n2))
        await cluster.connect(n2, 'n1', inbox1)
        await n2.close()
        n1.send('n2', numberedFrame(1, 100))
        await cluster.connect(n1, 'n3', inbox3)
      }
    })

    test('what waits for one peer is bounded: above it the newest frames are dropped and counted', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2', 'n3'])
      const [n1, n2, n3] = [await cluster.open('n1'), await cluster.open('n2'), await cluster.open('n3')]
      const [inbox2, inbox3] = [new Inbox(n2), new Inbox(n3)]
      await cluster.connect(n1, 'n2', inbox2)
      await cluster.connect(n1, 'n3', inbox3)
      inbox2.received.length = 0
      const [sentBefore, droppedBefore] = [counter(n1, 'framesSent'), dropped(n1)]
      const length = Math.min(n1.frameBytesMax, Math.ceil(subject.queueBytesMax / 16))
      const frame = numberedFrame(7, length)
      const count = Math.ceil((subject.queueBytesMax / length) * 3)
      // In one turn, so that nothing can leave meanwhile.
      for (let number = 0; number < count; number++) n1.send('n2', frame)
      expect(dropped(n1) - droppedBefore).toBeGreaterThanOrEqual(Math.floor(count / 2))
      const taken = counter(n1, 'framesSent') - sentBefore
      expect(taken).toBeGreaterThan(0)
      expect(taken * length).toBeLessThanOrEqual(subject.queueBytesMax)
      expect(taken + dropped(n1) - droppedBefore).toBe(count)
      // The queue to another node is another queue, and this one drains.
      await cluster.connect(n1, 'n3', inbox3)
      await cluster.connect(n1, 'n2', inbox2)
    })

    test('a second instance of a node takes nothing away from the first', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2'])
      const [first, n2] = [await cluster.open('n1'), await cluster.open('n2')]
      const [inboxFirst, inbox2] = [new Inbox(first), new Inbox(n2)]
      await cluster.connect(first, 'n2', inbox2)
      const second = await cluster.open('n1', { n1: cluster.spareAddress })
      new Inbox(second)
      for (let round = 0; round < 3; round++) {
        await cluster.connect(second, 'n2', inbox2)
        await cluster.connect(first, 'n2', inbox2)
        await cluster.connect(n2, 'n1', inboxFirst)
      }
      await second.close()
      await cluster.connect(first, 'n2', inbox2)
      await cluster.connect(n2, 'n1', inboxFirst)
    })
  })
}
