/**
 * Ten thousand filtered subscriptions in one process, each to a tag of its own, and a hundred appends a second in all: what
 * do they cost while almost nothing is for any of them? The log and the read side are in memory, so that it is the
 * subscriptions that are measured. The same appends without subscriptions are the measure. By hand, in half a minute:
 *
 *   npx -y pnpm@12 exec node packages/events/test/filtered-subscribers.ts
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { decodeRecordBody } from '@synod/event-record'
import { event, openNode, type TestNode } from './node.ts'

export interface Load {
  readonly subscriptions: number
  readonly eventsPerSecond: number
  readonly seconds: number
  /** Events that are there before anybody subscribes. */
  readonly history: number
}

export interface Measured {
  readonly deliveries: number
  /** Milliseconds from the call of the append to the delivery. */
  readonly p50: number
  readonly p99: number
  readonly checkpoints: number
  /** Of one core. */
  readonly cpuShare: number
}

export async function measureFilteredSubscribers({ subscriptions, eventsPerSecond, seconds, history }: Load): Promise<Measured> {
  const node = await openNode()
  for (let at = 0; at < history; at += 500)
    await node.store.append({
      stream: 'old-1',
      events: Array.from({ length: 500 }, () => event('old', 0, { tags: ['old'] })),
      expected: 'any',
    })
  await node.machine.flush()
  const latencies: number[] = []
  let [caughtUp, checkpoints] = [0, 0]
  const ending = new AbortController()
  const all = Array.from({ length: subscriptions }, async (_, at) => {
    const filter = { items: [{ tags: [`mine-${at}`] }] }
    for await (const message of node.store.subscribe({ filter, room: () => 65_536, signal: ending.signal })) {
      if (message.kind === 'caughtUp') caughtUp++
      if (message.kind === 'checkpoint') checkpoints++
      if (message.kind !== 'events') continue
      for (const { record } of message.events)
        latencies.push(performance.now() - Number(new TextDecoder().decode(decodeRecordBody(record).data)))
    }
  })
  while (caughtUp < subscriptions) await sleep(10)
  const delivered = async (events: number): Promise<void> => {
    while (latencies.length < (subscriptions === 0 ? 0 : events)) await sleep(5)
  }
  await delivered(await appendFor(node, 1, eventsPerSecond, subscriptions))
  latencies.length = checkpoints = 0
  const before = process.cpuUsage()
  const startedAt = performance.now()
  const events = await appendFor(node, seconds, eventsPerSecond, subscriptions)
  const { user, system } = process.cpuUsage(before)
  const cpuShare = (user + system) / 1000 / (performance.now() - startedAt)
  await delivered(events)
  ending.abort()
  await Promise.all(all)
  const sorted = Float64Array.from(latencies).toSorted()
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { deliveries: sorted.length, p50: at(0.5), p99: at(0.99), checkpoints, cpuShare }
}

/** At a steady rate; the data is the time, and each event is for one of them. Returns how many. */
async function appendFor({ store }: TestNode, seconds: number, eventsPerSecond: number, subscriptions: number): Promise<number> {
  const startedAt = performance.now()
  const count = seconds * eventsPerSecond
  for (let number = 0; number < count; number++) {
    const wait = startedAt + (number * 1000) / eventsPerSecond - performance.now()
    if (wait > 0) await sleep(wait)
    const tags = [`mine-${(number * 7919) % Math.max(1, subscriptions)}`]
    void store.append({ stream: `s-${number % 100}`, events: [event('x', performance.now(), { tags })], expected: 'any' })
  }
  return count
}

if (process.argv[1] === import.meta.filename) {
  console.log('subscriptions  deliveries   p50 ms   p99 ms  checkpoints/s  CPU of one core')
  for (const subscriptions of [0, 100, 10_000]) {
    const seconds = 6
    const { deliveries, p50, p99, checkpoints, cpuShare } = await measureFilteredSubscribers({
      subscriptions,
      eventsPerSecond: 100,
      seconds,
      history: 100_000,
    })
    const cells = [deliveries, p50.toFixed(2), p99.toFixed(2), (checkpoints / seconds).toFixed(0), `${(cpuShare * 100).toFixed(1)} %`]
    console.log(
      [String(subscriptions).padEnd(13), ...cells.map((cell, at) => String(cell).padStart([11, 8, 8, 14, 16][at] ?? 8))].join(' '),
    )
  }
}
