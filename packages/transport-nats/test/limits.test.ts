import { startNats, type NatsServer } from '@synod/servers'
import { TransportError } from '@synod/transport'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { addressesAt, echoed, Nodes } from './nodes.ts'

let server: NatsServer
let nodes: Nodes
afterEach(async () => {
  await nodes.close()
  await server.stop()
})

async function serve(payloadBytesMax?: number, port?: number): Promise<void> {
  server = await startNats({ ...(payloadBytesMax !== undefined && { payloadBytesMax }), ...(port !== undefined && { port }) })
}

describe("the server's limit on messages", { timeout: 60_000 }, () => {
  test('is what frameBytesMax says, and the largest frame passes', async () => {
    await serve(64 * 1024)
    nodes = new Nodes(addressesAt(server.port, 'n1', 'n2'))
    const n1 = await nodes.open('n1')
    await nodes.openEcho('n2')
    expect(n1.frameBytesMax).toBeGreaterThan(64 * 1024 - 200)
    expect(n1.frameBytesMax).toBeLessThan(64 * 1024)
    await echoed(n1, 'n2')
    const frame = new Uint8Array(n1.frameBytesMax).fill(7)
    const heard = Promise.withResolvers<Uint8Array>()
    // Echoes of before may still come.
    n1.onFrame((_, back) => back.length > 1000 && heard.resolve(back))
    n1.send('n2', frame)
    expect(Buffer.compare(await heard.promise, frame)).toBe(0)
    expect(() => n1.send('n2', new Uint8Array(n1.frameBytesMax + 1))).toThrow(TransportError)
    expect(n1.counters()).toMatchObject({ connectionsClosed: 0, serverErrors: 0 })
  })

  test('a larger one is used as far as the options go', async () => {
    await serve(8 * 1024 * 1024)
    nodes = new Nodes(addressesAt(server.port, 'n1', 'n2'))
    expect((await nodes.open('n1')).frameBytesMax).toBe(4 * 1024 * 1024)
    const n2 = await nodes.open('n2', { options: { frameBytesMax: 10_000 } })
    expect(n2.frameBytesMax).toBe(10_000)
  })

  test('many frames of one turn are split over messages that fit, and all arrive', async () => {
    await serve(16 * 1024)
    nodes = new Nodes(addressesAt(server.port, 'n1', 'n2'))
    const n1 = await nodes.open('n1')
    const n2 = await nodes.openEcho('n2')
    await echoed(n1, 'n2')
    const count = 3000
    const heard = new Set<number>()
    n2.onFrame((_, frame) => {
      const number = new DataView(frame.buffer, frame.byteOffset).getUint32(0)
      if (number < count) heard.add(number) // else it is text, sent before
    })
    for (let number = 0; number < count; number++) {
      const frame = new Uint8Array(4 + (number % 500))
      new DataView(frame.buffer).setUint32(0, number)
      n1.send('n2', frame)
    }
    await vi.waitFor(() => expect(heard.size).toBe(count), { timeout: 10_000 })
    expect(n1.counters()).toMatchObject({ droppedTooLargeForServer: 0, connectionsClosed: 0 })
  })

  test('a limit that is lower after a restart: frameBytesMax follows', async () => {
    await serve()
    const { port } = server
    nodes = new Nodes(addressesAt(port, 'n1', 'n2'))
    const n1 = await nodes.open('n1')
    await nodes.openEcho('n2')
    await echoed(n1, 'n2')
    expect(n1.frameBytesMax).toBeGreaterThan(1_000_000)
    await server.stop()
    await serve(32 * 1024, port)
    await echoed(n1, 'n2')
    expect(n1.frameBytesMax).toBeLessThan(32 * 1024)
    expect(() => n1.send('n2', new Uint8Array(100_000))).toThrow(/split it first/)
  })

  test('one so low that it is of no use is said, and tried again', async () => {
    await serve(4096)
    nodes = new Nodes(addressesAt(server.port, 'n1', 'n2'))
    const warned: string[] = []
    const n1 = await nodes.open('n1', { warn: (message) => warned.push(message) })
    expect(warned).toEqual([expect.stringMatching(/takes messages of 4096 bytes only: raise its max_payload/)])
    const { port } = server
    await server.stop()
    await serve(undefined, port)
    await nodes.openEcho('n2')
    await echoed(n1, 'n2')
  })
})
