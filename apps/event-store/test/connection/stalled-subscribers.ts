/**
 * A thousand subscribers on one node over fifty sockets, of which ten never read: what does it cost the others, and the node?
 * The same sockets without the ten are the measure. By hand, with figures, in a minute and a half:
 *
 *   npx -y pnpm@12 exec node apps/event-store/test/connection/stalled-subscribers.ts
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { connectionPath, readNodeFrame, subprotocol } from '@synod/client-protocol'
import { decodeRecord } from '@synod/event-record'
import { encode, FrameClient } from './frame-client.ts'
import { append, record, subscribe } from './records.ts'
import type { NodeMemory } from './solo-node-process.ts'

export interface Load {
  readonly readingSockets: number
  readonly deafSockets: number
  readonly subscriptionsPerSocket: number
  readonly eventsPerSecond: number
  readonly eventBytes: number
  /** Events that are there before anybody subscribes: the deaf ones ask for all of them. */
  readonly history: number
  readonly secondsPerPhase: number
  /** Each is a phase without the deaf ones and a phase with them. */
  readonly rounds: number
}

export interface Phase {
  readonly deliveries: number
  readonly p50: number
  readonly p99: number
  /** Of the node's process. */
  readonly rssMax: number
  readonly sendBytesMax: number
}

export interface Measured {
  readonly without: readonly Phase[]
  readonly withDeaf: readonly Phase[]
}

export async function measureStalledSubscribers(load: Load): Promise<Measured> {
  const child = fork(join(import.meta.dirname, 'solo-node-process.ts'))
  try {
    const [{ port }] = (await once(child, 'message')) as [{ port: number }]
    await using appender = await FrameClient.connect(port)
    await fill(appender, load)
    const measured: { without: Phase[]; withDeaf: Phase[] } = { without: [], withDeaf: [] }
    for (let round = 0; round < load.rounds; round++) {
      measured.without.push(await phase(child, port, appender, { ...load, deafSockets: 0 }))
      measured.withDeaf.push(await phase(child, port, appender, load))
    }
    return measured
  } finally {
    child.disconnect()
    await once(child, 'exit')
  }
}

const warmUpSeconds = 1
const appendsPerFrame = 500
/** What was appended is delivered by then, or never. */
const settleMilliseconds = 20_000

async function fill(appender: FrameClient, { history, eventBytes }: Load): Promise<void> {
  for (let request = 1; request <= history; request += appendsPerFrame) {
    const last = Math.min(history, request + appendsPerFrame - 1)
    const pad = 'x'.repeat(eventBytes)
    appender.send(...Array.from({ length: last - request + 1 }, (_, at) => append(request + at, { records: [record(pad)] })))
    await appender.until((message) => message.kind === 'appended' && message.request === last)
    appender.forget()
  }
}

async function phase(child: ChildProcess, port: number, appender: FrameClient, load: Load): Promise<Phase> {
  const latencies: number[] = []
  const head = await headOf(appender)
  const readers = await Promise.all(Array.from({ length: load.readingSockets }, () => openReader(port, head, load, latencies)))
  const deaf = await Promise.all(Array.from({ length: load.deafSockets }, () => FrameClient.connect(port, { reads: false })))
  for (const client of deaf)
    client.send(...Array.from({ length: load.subscriptionsPerSocket }, (_, at) => subscribe(at + 1, { creditBytes: 2 ** 31 })))
  const memory: NodeMemory[] = []
  if (deaf.length > 0) await saturated(child)
  await delivered(readers, await appendFor(warmUpSeconds, appender, load), load)
  latencies.length = 0
  await delivered(readers, await appendFor(load.secondsPerPhase, appender, load, async () => void memory.push(await memoryOf(child))), load)
  for (const { webSocket } of readers) webSocket.terminate()
  for (const client of deaf) await client.close()
  const sorted = Float64Array.from(latencies).toSorted()
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return {
    deliveries: sorted.length,
    p50: at(0.5),
    p99: at(0.99),
    rssMax: Math.max(...memory.map(({ rss }) => rss)),
    sendBytesMax: Math.max(...memory.map(({ connections }) => connections.sendBytes ?? 0)),
  }
}

interface Reader {
  readonly webSocket: WebSocket
  /** Events delivered, over all its subscriptions. */
  count: number
  wanted: number
}

/** Of so many more events each subscription of each reader has had every one. */
async function delivered(readers: readonly Reader[], events: number, { subscriptionsPerSocket }: Load): Promise<void> {
  for (const reader of readers) reader.wanted += events * subscriptionsPerSocket
  const by = performance.now() + settleMilliseconds
  while (readers.some(({ count, wanted }) => count < wanted)) {
    if (performance.now() > by) throw new Error('not everything was delivered')
    await sleep(10)
  }
}

/** The deaf ones have all that may wait for them. */
async function saturated(child: ChildProcess): Promise<void> {
  for (let before = -1; ;) {
    const { connections } = await memoryOf(child)
    const waiting = connections.sendBytes ?? 0
    if (waiting > 0 && waiting === before) return
    before = waiting
    await sleep(300)
  }
}

/** Its subscriptions follow from the head on; each delivery is timed, and each must be the next one. */
async function openReader(port: number, head: number, { subscriptionsPerSocket }: Load, latencies: number[]): Promise<Reader> {
  const webSocket = new WebSocket(`ws://127.0.0.1:${port}${connectionPath}`, subprotocol)
  const next = new Float64Array(subscriptionsPerSocket + 1).fill(head + 1)
  const text = new TextDecoder()
  const reader: Reader = { webSocket, count: 0, wanted: 0 }
  let caughtUp = 0
  const ready = Promise.withResolvers<void>()
  webSocket.on('message', (data) => {
    const now = performance.now()
    for (const message of readNodeFrame(data as Buffer)) {
      if (message.kind === 'caughtUp' && ++caughtUp === subscriptionsPerSocket) ready.resolve()
      if (message.kind !== 'events') continue
      for (const { position, record: bytes } of message.events) {
        if (position !== next[message.request]) ready.reject(new Error(`position ${position} where ${next[message.request]} comes`))
        next[message.request] = position + 1
        reader.count++
        latencies.push(now - Number.parseFloat(text.decode(decodeRecord(bytes).data.subarray(1, 24))))
      }
    }
  })
  await once(webSocket, 'open')
  const start = { kind: 'afterPosition', position: head } as const
  webSocket.send(encode(...Array.from({ length: subscriptionsPerSocket }, (_, at) => subscribe(at + 1, { start, creditBytes: 2 ** 31 }))))
  await ready.promise
  return reader
}

/** At a steady rate, whatever is answered; the data begins with the time. */
async function appendFor(
  seconds: number,
  appender: FrameClient,
  { eventsPerSecond, eventBytes }: Load,
  eachSecond = async (): Promise<void> => {},
): Promise<number> {
  const startedAt = performance.now()
  const count = Math.round(seconds * eventsPerSecond)
  let lookedAt = startedAt
  for (let number = 0; number < count; number++) {
    const wait = startedAt + (number * 1000) / eventsPerSecond - performance.now()
    if (wait > 0) await sleep(wait)
    const now = performance.now()
    appender.send(append(number + 1, { records: [record(`${now.toFixed(3).padEnd(24)}${'x'.repeat(eventBytes - 24)}`)] }))
    if (now - lookedAt < 500) continue
    lookedAt = now
    await eachSecond()
  }
  await appender.until((message) => message.kind === 'appended' && message.request === count)
  await eachSecond()
  appender.forget()
  return count
}

async function headOf(appender: FrameClient): Promise<number> {
  appender.send({ kind: 'read', request: 1, direction: 'backward', limit: 1, consistency: 'linearizable' })
  const { events } = await appender.next('page')
  appender.forget()
  return events[0]?.position ?? 0
}

async function memoryOf(child: ChildProcess): Promise<NodeMemory> {
  child.send('memory')
  const [memory] = (await once(child, 'message')) as [NodeMemory]
  return memory
}

export function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

if (process.argv[1] === import.meta.filename) {
  const load: Load = {
    readingSockets: 40,
    deafSockets: 10,
    subscriptionsPerSocket: 20,
    eventsPerSecond: 20,
    eventBytes: 1000,
    history: 20_000,
    secondsPerPhase: 3,
    rounds: 7,
  }
  const { without, withDeaf } = await measureStalledSubscribers(load)
  const line = (name: string, { deliveries, p50, p99, rssMax, sendBytesMax }: Phase): string =>
    `${name.padEnd(8)} ${String(deliveries).padStart(8)} ${p50.toFixed(2).padStart(8)} ${p99.toFixed(2).padStart(8)} ${(rssMax / 2 ** 20).toFixed(0).padStart(8)} ${(sendBytesMax / 2 ** 20).toFixed(1).padStart(10)}`
  console.log('deaf     delivered   p50 ms   p99 ms   RSS MiB waiting MiB')
  for (const [round, phaseWithout] of without.entries()) {
    console.log(line('none', phaseWithout))
    const other = withDeaf[round]
    if (other !== undefined) console.log(line('ten', other))
  }
  const ratio = medianOf(withDeaf.map(({ p99 }) => p99)) / medianOf(without.map(({ p99 }) => p99))
  console.log(`p99 with ten deaf sockets of fifty / without them (medians of ${load.rounds} rounds): ${ratio.toFixed(2)}`)
}
