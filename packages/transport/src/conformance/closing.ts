import { afterEach, describe, expect, test, vi } from 'vitest'
import { Cluster, counter } from './cluster.ts'
import { numberedFrame } from './frames.ts'
import { Inbox } from './inbox.ts'
import type { TransportConformance } from './transport-world.ts'

/** After `close` is called there is silence. */
export function closingCases(subject: TransportConformance): void {
  describe('closing', () => {
    let cluster: Cluster
    afterEach(() => cluster.close())

    test('is idempotent, also while it is under way', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2'])
      const [n1, n2] = [await cluster.open('n1'), await cluster.open('n2')]
      await cluster.connect(n1, 'n2', new Inbox(n2))
      await Promise.all([n1.close(), n1.close()])
      await n1.close()
      await cluster.open('n1')
    })

    test('send afterwards does nothing, whatever it is given', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2'])
      const [n1, n2] = [await cluster.open('n1'), await cluster.open('n2')]
      const inbox = new Inbox(n2)
      await cluster.connect(n1, 'n2', inbox)
      const closed = n1.close()
      const late = numberedFrame(1, 33)
      n1.send('n2', late)
      n1.send('n9', late)
      n1.send('n2', new Uint8Array(n1.frameBytesMax + 1))
      await closed
      n1.send('n2', late)
      const again = await cluster.open('n1')
      await cluster.connect(again, 'n2', inbox)
      expect(inbox.received.filter(({ frame }) => frame.length === 33)).toEqual([])
    })

    test('the listener hears nothing afterwards, though frames keep coming', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2'])
      const [n1, n2] = [await cluster.open('n1'), await cluster.open('n2')]
      const inbox = new Inbox(n2)
      await cluster.connect(n1, 'n2', inbox)
      for (let number = 0; number < 200; number++) n1.send('n2', numberedFrame(number, 1000))
      const closed = n2.close()
      const heard = inbox.received.length
      await closed
      await new Promise((resolve) => setTimeout(resolve, 50))
      expect(inbox.received.length).toBe(heard)
    })

    test('a listener may close, and hears nothing more', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2'])
      const [n1, n2] = [await cluster.open('n1'), await cluster.open('n2')]
      let heard = 0
      let closed: Promise<void> | undefined
      n2.onFrame(() => {
        heard++
        closed = n2.close()
      })
      await vi.waitFor(
        () => {
          for (let number = 0; number < 20; number++) n1.send('n2', numberedFrame(number, 10))
          expect(heard).toBe(1)
        },
        { timeout: cluster.reachedMsMax },
      )
      await closed
      await new Promise((resolve) => setTimeout(resolve, 50))
      expect(heard).toBe(1)
      expect(counter(n2, 'framesReceived')).toBe(1)
    })

    test('a transport that reached nobody closes at once', async () => {
      cluster = await Cluster.create(subject, ['n1', 'n2'])
      const n1 = await cluster.open('n1')
      n1.send('n2', Uint8Array.of(1))
      await n1.close()
    })
  })
}
