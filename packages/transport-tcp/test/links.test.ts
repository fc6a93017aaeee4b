import { once } from 'node:events'
import { createServer, connect, type Socket } from 'node:net'
import { TransportError } from '@synod/transport'
import { transport } from '@synod/transport-tcp'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { freeAddresses } from './free-addresses.ts'
import { counted, echoed, Nodes } from './nodes.ts'

let nodes: Nodes
afterEach(() => nodes?.close())

describe('a link that stops answering', () => {
  test('a stopped process is noticed by default in some three seconds, costs bounded memory, and is reached again', async () => {
    nodes = await Nodes.create('n1', 'n2')
    const queueBytesMax = 16 * 1024 * 1024
    const n1 = await nodes.open('n1', { options: { queueBytesMax } })
    const n2 = await nodes.spawn('n2')
    await echoed(n1, 'n2')
    const frame = new Uint8Array(1024 * 1024)
    const before = process.memoryUsage()
    let most = 0
    n2.kill('SIGSTOP')
    const stopped = performance.now()
    const flood = setInterval(() => {
      for (let number = 0; number < 10; number++) n1.send('n2', Uint8Array.from(frame))
      most = Math.max(most, process.memoryUsage().arrayBuffers - before.arrayBuffers)
    }, 5)
    try {
      await counted(n1, { linksSilent: 1, linksClosed: 1 }, 20_000)
    } finally {
      clearInterval(flood)
    }
    expect(performance.now() - stopped).toBeLessThan(10_000)
    expect(n1.counters()).toMatchObject({ droppedQueueFull: expect.toSatisfy((count: number) => count > 100) })
    // The queue, and frames that wait for the garbage collector.
    expect(most).toBeLessThan(20 * queueBytesMax)
    n2.kill('SIGCONT')
    await echoed(n1, 'n2')
  })

  test('a peer that is killed and started again is reached again', async () => {
    nodes = await Nodes.create('n1', 'n2')
    const n1 = await nodes.open('n1')
    for (let life = 1; life <= 3; life++) {
      const n2 = await nodes.spawn('n2')
      await echoed(n1, 'n2')
      n2.kill('SIGKILL')
      await once(n2, 'exit')
      await counted(n1, { linksClosed: life })
    }
  })

  test('a path that swallows everything is noticed on both sides', async () => {
    nodes = await Nodes.create('n1', 'n2', 'proxy')
    const proxied = new Map([...nodes.addresses, ['n2', nodes.addresses.get('proxy')!]])
    const sockets: Socket[] = []
    let swallow = false
    const proxy = createServer((near) => {
      const far = connect(nodes.portOf('n2'), '127.0.0.1')
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        sockets.push(from)
        from.on('data', (chunk: Buffer) => swallow || to.write(chunk))
        from.on('error', () => to.destroy())
        // A black hole passes no goodbye on either.
        from.on('close', () => swallow || to.destroy())
      }
    })
    proxy.listen(nodes.portOf('proxy'), '127.0.0.1')
    await once(proxy, 'listening')
    const options = { pingMs: 50 }
    const n1 = await nodes.open('n1', { addresses: proxied, options })
    const n2 = await nodes.open('n2', { options })
    n2.onFrame((from, frame) => n2.send(from, frame))
    await echoed(n1, 'n2')
    expect(n1.counters()).toMatchObject({ linksSilent: 0 })
    swallow = true
    await counted(n1, { linksSilent: 1, droppedUnreachable: 0 })
    await counted(n2, { linksSilent: 1 })
    swallow = false
    await echoed(n1, 'n2')
    for (const socket of sockets) socket.destroy()
    proxy.close()
  })

  test('an idle link stays up, and so does one that is busy in one direction only', async () => {
    nodes = await Nodes.create('n1', 'n2')
    // Far above what a busy machine makes one process wait: only bytes that stay away may close a link here.
    const options = { pingMs: 300, queueBytesMax: 64 * 1024 * 1024 }
    const n1 = await nodes.open('n1', { options })
    const n2 = await nodes.open('n2', { options })
    n2.onFrame((from, frame) => n2.send(from, frame))
    await echoed(n1, 'n2')
    await echoed(n1, 'n2')
    const sent = performance.now()
    while (performance.now() - sent < 1500) {
      n1.send('n2', new Uint8Array(200_000))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await new Promise((resolve) => setTimeout(resolve, 1500))
    for (const node of [n1, n2]) expect(node.counters()).toMatchObject({ linksOpened: 1, linksClosed: 0, linksSilent: 0 })
  })
})

describe('addresses', () => {
  test('an address that leads to another node is counted and said once, by both, and no frame passes', async () => {
    nodes = await Nodes.create('n1', 'n2', 'n3')
    const warned: string[] = []
    const swapped = new Map([...nodes.addresses, ['n2', nodes.addresses.get('n3')!]])
    const n3 = await nodes.open('n3', { warn: (message) => warned.push(message) })
    const n1 = await nodes.open('n1', { addresses: swapped, warn: (message) => warned.push(message) })
    await counted(n1, { dialsMisdirected: 3 })
    await counted(n3, { strangersRefused: 3 })
    n1.send('n2', Uint8Array.of(1))
    expect(n1.counters()).toMatchObject({ droppedUnreachable: 1 })
    expect(warned.filter((message) => /n1 dialled .* for n2: n3 is there: correct the address of n2/.test(message))).toHaveLength(1)
    expect(warned.filter((message) => /n3 was dialled .* by n1, which wanted n2/.test(message))).toHaveLength(1)
    expect(warned).toHaveLength(2)
  })

  test('a node that is not in the config of the other is told so', async () => {
    nodes = await Nodes.create('n1', 'n2', 'n9')
    const warned: string[] = []
    const two = new Map([...nodes.addresses].filter(([node]) => node !== 'n9'))
    const n1 = await nodes.open('n1', { addresses: two, warn: (message) => warned.push(message) })
    await nodes.open('n9', { warn: (message) => warned.push(message) })
    await counted(n1, { strangersRefused: 1 })
    await vi.waitFor(() => expect(warned.join('\n')).toMatch(/n1 does not know n9: add n9 to its config/))
    expect(warned.join('\n')).toMatch(/n9, which is not a peer/)
  })

  test('something else at the address is said, and left alone with growing pauses', async () => {
    nodes = await Nodes.create('n1', 'n2')
    const warned: string[] = []
    const web = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    web.listen(nodes.portOf('n2'), '127.0.0.1')
    await once(web, 'listening')
    const n1 = await nodes.open('n1', { warn: (message) => warned.push(message) })
    await counted(n1, { dialsMisdirected: 2 })
    expect(warned).toHaveLength(1)
    expect(warned[0]).toMatch(/not a greeting of a Synod node/)
    web.close()
  })

  test('a peer that takes smaller frames only gets those, and the rest is counted', async () => {
    nodes = await Nodes.create('n1', 'n2')
    const warned: string[] = []
    const n1 = await nodes.open('n1', { warn: (message) => warned.push(message) })
    const n2 = await nodes.open('n2', { options: { frameBytesMax: 2048 } })
    n2.onFrame((from, frame) => n2.send(from, frame))
    await echoed(n1, 'n2')
    n1.send('n2', new Uint8Array(2049))
    expect(n1.counters()).toMatchObject({ droppedTooLargeForPeer: 1 })
    expect(warned.join()).toMatch(/set frameBytesMax alike/)
    await echoed(n1, 'n2')
    expect(n1.counters()).toMatchObject({ linksClosed: 0 })
  })

  test('IPv6 in brackets', async () => {
    const port = (await freeAddresses(1))[0]!.split(':')[1]!
    nodes = await Nodes.create('n2')
    const addresses = new Map([...nodes.addresses, ['n1', `[::1]:${port}`]])
    const n1 = await nodes.open('n1', { addresses })
    const n2 = await nodes.open('n2', { addresses })
    n2.onFrame((from, frame) => n2.send(from, frame))
    await echoed(n1, 'n2')
  })

  test.each(['', 'n1', ':7001', 'n1:', 'n1:0', 'n1:65536', 'n1:7001:7002', 'http://n1:7001', '::1:7001', 'a b:1', 'n1:7e3'])(
    'the address %j is refused and named',
    async (address) => {
      const opening = transport.open({ self: 'n1', addresses: new Map([['n1', address]]) })
      await expect(opening).rejects.toThrow(TransportError)
      await expect(transport.open({ self: 'n1', addresses: new Map([['n1', address]]) })).rejects.toMatchObject({
        code: 'invalid_options',
        message: expect.stringContaining(JSON.stringify(address)),
      })
    },
  )

  test.each(['N1', '', 'n_1', 'n'.repeat(65), 'é'])('the node id %j is refused', async (self) => {
    const opening = transport.open({ self, addresses: new Map([[self, '127.0.0.1:7001']]) })
    await expect(opening).rejects.toMatchObject({ code: 'invalid_options' })
  })

  test('an address of another machine is unavailable, with the reason', async () => {
    // 192.0.2.0/24 is kept for documentation (RFC 5737): no machine has it.
    const opening = transport.open({ self: 'n1', addresses: new Map([['n1', '192.0.2.1:7001']]) })
    await expect(opening).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('EADDRNOTAVAIL') })
  })
})
