import { expect, test, vi } from 'vitest'
import { echoed, Nodes } from './nodes.ts'

test('a link that comes up and goes down is told once each, and shown beside what waits for the peer', async () => {
  const nodes = await Nodes.create('n1', 'n2')
  const told: string[] = []
  const n1 = await nodes.open('n1', { options: { queueBytesMax: 8_388_608 }, onLink: (peer, state) => told.push(`${peer} ${state}`) })
  const now = () => n1.peerCounters?.().get('n2')
  try {
    expect(now()).toMatchObject({ linked: 0, queueBytes: 0, queueBytesMax: 8_388_608 })
    n1.send('n2', new Uint8Array(10))
    expect(now()).toMatchObject({ droppedUnreachable: 1, framesSent: 0 })
    for (let life = 1; life <= 2; life++) {
      const n2 = await nodes.spawn('n2')
      await echoed(n1, 'n2')
      expect(now()).toMatchObject({ linked: 1 })
      expect(now()!.bytesReceived).toBeGreaterThan(0)
      n1.send('n2', new Uint8Array(1000))
      expect(now()!.queueBytes).toBeGreaterThanOrEqual(1000)
      n2.kill('SIGKILL')
      await vi.waitFor(() => expect(told).toEqual(Array.from({ length: life }, () => ['n2 up', 'n2 down']).flat()), 10_000)
      expect(now()).toMatchObject({ linked: 0 })
    }
  } finally {
    await nodes.close()
  }
})
