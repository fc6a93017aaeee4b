/** A transport that this repository has never seen: a package of its own, named in the configuration and found from its folder. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { LocalCluster } from '@synod/event-store'
import { append, appendInBackground, readEverywhere, requireAcknowledged, type Acknowledged } from './client.ts'

const name = '@acme/wire'
const manifest = { name, version: '1.0.0', type: 'module', exports: { '.': { import: './wire.js' } } }

/** Frames over TCP, one connection for each direction: `id LF`, then (length u32, frame)… */
const source = `
import { connect, createServer } from 'node:net'

const frameBytesMax = 1024 * 1024
const queueBytesMax = 64 * 1024 * 1024

export const transport = {
  name: '${name}',
  async open({ self, addresses }) {
    const counters = { framesSent: 0, framesReceived: 0, droppedUnreachable: 0, droppedQueueFull: 0, droppedNoListener: 0 }
    const sockets = new Set()
    const ways = new Map()
    let listener
    let closed = false

    const server = createServer((socket) => {
      keep(socket)
      let rest = Buffer.alloc(0)
      let from
      socket.on('data', (chunk) => {
        rest = Buffer.concat([rest, chunk])
        if (from === undefined) {
          const end = rest.indexOf(10)
          if (end < 0) return
          from = rest.toString('latin1', 0, end)
          rest = rest.subarray(end + 1)
          if (from === self || !addresses.has(from)) return socket.destroy()
        }
        while (rest.length >= 4) {
          const length = rest.readUInt32BE(0)
          if (length > frameBytesMax) return socket.destroy()
          if (rest.length < 4 + length || closed) return
          const frame = Uint8Array.from(rest.subarray(4, 4 + length))
          rest = rest.subarray(4 + length)
          if (listener === undefined) counters.droppedNoListener++
          else { counters.framesReceived++; listener(from, frame) }
        }
      })
    })

    function keep(socket) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.once('close', () => sockets.delete(socket))
    }

    function dial(peer) {
      if (closed) return
      const [host, port] = addresses.get(peer).split(':')
      const socket = connect({ host, port: Number(port) })
      keep(socket)
      socket.once('connect', () => { socket.write(self + '\\n'); ways.set(peer, socket) })
      socket.once('close', () => { ways.delete(peer); setTimeout(() => dial(peer), 100).unref() })
    }

    const [host, port] = addresses.get(self).split(':')
    await new Promise((resolve, reject) => server.once('error', reject).listen(Number(port), host, resolve))
    for (const peer of addresses.keys()) if (peer !== self) dial(peer)

    return {
      frameBytesMax,
      send(to, frame) {
        if (closed) return
        if (to === self || !addresses.has(to)) throw new Error('unknown peer ' + to)
        if (frame.length > frameBytesMax) throw new Error('frame too large')
        const socket = ways.get(to)
        if (socket === undefined) return void counters.droppedUnreachable++
        if (socket.writableLength + frame.length > queueBytesMax) return void counters.droppedQueueFull++
        counters.framesSent++
        const length = Buffer.alloc(4)
        length.writeUInt32BE(frame.length)
        socket.cork()
        socket.write(length)
        socket.write(frame)
        process.nextTick(() => socket.uncork())
      },
      onFrame(heard) { listener = heard },
      counters: () => ({ ...counters }),
      close() {
        closed = true
        listener = undefined
        for (const socket of sockets) socket.destroy()
        return new Promise((resolve) => server.close(() => resolve()))
      },
    }
  },
}
`

let data: string
let cluster: LocalCluster | undefined
beforeAll(() => {
  data = mkdtempSync(join(tmpdir(), 'synod-outside-'))
  const folder = join(data, 'node_modules', name)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  writeFileSync(join(folder, 'wire.js'), source)
})
afterAll(async () => {
  await cluster?.remove()
  rmSync(data, { recursive: true, force: true, maxRetries: 5 })
}, 60_000)

test('three nodes run on it, a node is killed and catches up', { timeout: 180_000 }, async () => {
  cluster = new LocalCluster({ data, arguments: ['--transport', name] })
  await cluster.start()
  expect((await cluster.describe()).transport).toBe(name)
  expect(JSON.parse(readFileSync(join(data, 'n2', 'config.json'), 'utf8'))).toMatchObject({ transport: { package: name } })
  const acknowledged: Acknowledged[] = []
  for (let n = 0; n < 5; n++) acknowledged.push(await append(cluster, 'outside', { n }))
  const background = appendInBackground(cluster, 4, 'background')
  const leader = await cluster.leader()
  await cluster.kill(leader)
  const before = background.acknowledged.length
  await cluster.until('appends to go on', 30_000, () => (background.acknowledged.length > before + 20 ? true : undefined))
  await cluster.waitReady([leader])
  await background.stop()
  acknowledged.push(...background.acknowledged)
  requireAcknowledged(await readEverywhere(cluster), acknowledged)
})
