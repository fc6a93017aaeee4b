import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { startNats, type NatsServer } from '@synod/servers'
import type { Transport } from '@synod/transport'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { HalfOpenProxy } from './half-open-proxy.ts'
import { addressesAt, atPort, counted, echoed, Nodes } from './nodes.ts'

let server: NatsServer
let nodes: Nodes

beforeEach(async () => {
  server = await startNats()
  nodes = new Nodes(addressesAt(server.port, 'n1', 'n2', 'n3'))
}, 180_000)
afterEach(async () => {
  await nodes.close()
  await server.kill()
})

describe('a server that goes and comes back', () => {
  test('killed and started again, three times: everybody is reached again, nothing sent meanwhile arrives', async () => {
    const links: string[] = []
    const n1 = await nodes.open('n1', { onLink: (peer, state) => links.push(`${peer} ${state}`) })
    const n2 = await nodes.open('n2')
    await nodes.openEcho('n3')
    await echoed(n1, 'n3')
    await counted(n1, { linksOpened: 2 })
    for (let life = 1; life <= 3; life++) {
      await server.kill()
      await counted(n1, { connectionsClosed: life })
      const droppedBefore = n1.counters().droppedUnreachable!
      for (let number = 0; number < 1000; number++) n1.send('n2', Uint8Array.of(0, number))
      expect(n1.counters().droppedUnreachable! - droppedBefore).toBe(1000)
      expect(n1.peerCounters?.().get('n2')).toMatchObject({ linked: 0, queueBytes: 0 })
      await counted(n1, { dialsFailed: life * 2 })
      const stale: number[] = []
      n2.onFrame((_, frame) => {
        if (frame[0] === 0) stale.push(frame[1]!)
        else n2.send('n1', frame)
      })
      server = await startNats({ port: server.port })
      // 1.5 s is asked of a whole cluster; a busy test machine gets more.
      expect(await echoed(n1, 'n2')).toBeLessThan(5000)
      await echoed(n1, 'n3')
      expect(stale).toEqual([])
    }
    expect(links.filter((text) => text.startsWith('n2'))).toEqual(['n2 up', ...Array(3).fill(['n2 down', 'n2 up']).flat()])
  })

  test('one that is not there yet: opening says so and goes on, and all is well when it comes', async () => {
    const { port } = server
    await server.kill()
    const warned: string[] = []
    const n1 = await nodes.open('n1', { warn: (message) => warned.push(message) })
    const n2 = await nodes.openEcho('n2')
    await counted(n1, { dialsFailed: 5 })
    expect(warned).toEqual([expect.stringMatching(/^n1 cannot connect to NATS at 127\.0\.0\.1:\d+ \(.*refused.*\), and goes on trying$/)])
    server = await startNats({ port })
    await echoed(n1, 'n2')
    expect(n2.counters()).toMatchObject({ connectionsOpened: 1 })
  })

  test('stopped: noticed in some three seconds, costs bounded memory; continued: everybody is reached again', async () => {
    const queueBytesMax = 16 * 1024 * 1024
    const n1 = await nodes.open('n1', { options: { queueBytesMax } })
    const n2 = await nodes.openEcho('n2')
    await echoed(n1, 'n2')
    const before = process.memoryUsage().arrayBuffers
    const late: number[] = []
    let most = 0
    let sent = 0
    process.kill(server.pid, 'SIGSTOP')
    const stoppedAt = performance.now()
    const flood = setInterval(() => {
      for (let number = 0; number < 10; number++) {
        const frame = new Uint8Array(512 * 1024)
        new DataView(frame.buffer).setUint32(0, ++sent)
        n1.send('n2', frame)
      }
      most = Math.max(most, process.memoryUsage().arrayBuffers - before)
    }, 5)
    try {
      await counted(n1, { connectionsSilent: 1, connectionsClosed: 1 }, 20_000)
    } finally {
      clearInterval(flood)
    }
    expect(performance.now() - stoppedAt).toBeLessThan(10_000)
    expect(n1.counters()).toMatchObject({ droppedQueueFull: expect.toSatisfy((count: number) => count > 100) })
    // The queue here and in the client, and frames that wait for the garbage collector.
    expect(most).toBeLessThan(20 * queueBytesMax)
    expect(n1.peerCounters?.().get('n2')).toMatchObject({ queueBytes: 0 })
    // Attempts to connect are taken by the kernel and never answered: each is given up whole.
    await counted(n1, { dialsFailed: 3 }, 20_000)
    n2.onFrame((_, frame) => {
      if (frame.length < 100) n2.send('n1', frame)
      else late.push(new DataView(frame.buffer, frame.byteOffset).getUint32(0))
    })
    process.kill(server.pid, 'SIGCONT')
    await echoed(n1, 'n2')
    // What the server had read before it stopped may still come, what waited in this process or its kernel may not.
    expect(late.length * 512 * 1024).toBeLessThan(queueBytesMax)
    expect(sent).toBeGreaterThan(300)
  })

  test('closing while the server is stopped leaves nothing behind that keeps the process alive', async () => {
    const options = { dialMsMax: 150, pingMs: 100 }
    const script = fileURLToPath(new URL('closing-process.ts', import.meta.url))
    const child = spawn(process.execPath, [script, 'n1', nodes.addresses.get('n1')!, JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    try {
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
      const until = async (is: (counters: Record<string, number>) => boolean): Promise<void> => {
        for (;;) {
          const { value, done } = await lines.next()
          if (done === true) throw new Error('the child ended')
          if (is(JSON.parse(value) as Record<string, number>)) return
        }
      }
      await until(({ connectionsOpened }) => connectionsOpened === 1)
      process.kill(server.pid, 'SIGSTOP')
      // The kernel takes each connection for the server, which says nothing.
      await until(({ connectionsSilent, dialsFailed }) => connectionsSilent === 1 && dialsFailed! >= 3)
      const ended = once(child, 'exit', { signal: AbortSignal.timeout(10_000) })
      child.stdin.end()
      expect(await ended).toEqual([0, null])
    } finally {
      child.kill('SIGKILL')
      process.kill(server.pid, 'SIGCONT')
    }
  })
})

describe('a path that swallows everything', () => {
  let proxy: HalfOpenProxy
  let n1: Transport
  const options = { pingMs: 100, dialMsMax: 300, queueBytesMax: 8 * 1024 * 1024 }

  beforeEach(async () => {
    proxy = await HalfOpenProxy.to(server.port)
    n1 = await nodes.open('n1', { addresses: atPort(nodes.addresses, proxy.port), options })
  })
  afterEach(() => proxy.close())

  test('is noticed on both sides, left, and mended, however much waits in the socket', async () => {
    const n2 = await nodes.openEcho('n2', { options })
    const n3 = await nodes.openEcho('n3', { options })
    await echoed(n1, 'n2')
    await echoed(n2, 'n3')
    n2.onFrame((from, frame) => n2.send(from, frame))
    proxy.swallow()
    // More than the kernel takes: a client that waits until its socket has drained waits for ever.
    for (let turn = 0; turn < 64; turn++) {
      n1.send('n2', new Uint8Array(256 * 1024))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await counted(n1, { connectionsSilent: 1, connectionsClosed: 1, dialsFailed: 2 })
    await counted(n2, { linksSilent: 1 })
    expect(n2.counters()).toMatchObject({ connectionsClosed: 0 })
    await echoed(n3, 'n2')
    proxy.heal()
    n2.onFrame((from, frame) => n2.send(from, frame))
    await echoed(n1, 'n2')
    await vi.waitFor(() => expect(proxy.connections).toBe(2), { timeout: 5000 })
  })

  test('an idle connection stays up', async () => {
    const n2 = await nodes.openEcho('n2', { options: { pingMs: 300 } })
    await echoed(n1, 'n2')
    await new Promise((resolve) => setTimeout(resolve, 2000))
    await echoed(n1, 'n2')
    for (const node of [n1, n2]) expect(node.counters()).toMatchObject({ connectionsOpened: 1, connectionsClosed: 0, connectionsSilent: 0 })
    expect(n2.counters()).toMatchObject({ linksOpened: 1, linksClosed: 0 })
  })
})

test('what a listener throws ends the process: the client would print it and never read again', async () => {
  const script = `
    import { transport } from '@synod/transport-nats'
    const addresses = new Map(JSON.parse(process.argv[1]))
    const node = await transport.open({ self: 'n2', addresses })
    node.onFrame(() => { throw new Error('an invariant is broken') })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, JSON.stringify([...nodes.addresses])], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let printed = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (printed += text))
  const ended = once(child, 'close', { signal: AbortSignal.timeout(20_000) })
  const n1 = await nodes.open('n1')
  const again = setInterval(() => n1.send('n2', Uint8Array.of(1)), 20)
  try {
    expect(await ended).toEqual([1, null])
  } finally {
    clearInterval(again)
    child.kill('SIGKILL')
  }
  expect(printed).toMatch(/an invariant is broken/)
})
