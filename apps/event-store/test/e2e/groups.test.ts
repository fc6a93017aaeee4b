/**
 * A group of eight consumers over 1,000 streams on real nodes. Consumers are killed (kill -9) and come back, leaders are killed; events
 * are rejected and parked on the way. Every event is handled, the order inside a stream holds in each generation, what was acknowledged
 * is not parked, nothing is skipped. In the suite a short form; the whole:
 *   SYNOD_GROUP_EVENTS=40000 npx -y pnpm@12 test apps/event-store/test/e2e/groups.test.ts
 */
import { fork, type ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { connect, type Client } from '@synod/client'
import { startCluster, type LocalCluster } from '@synod/event-store'
import { readEverywhere, type ReadEvent } from './client.ts'

const events = Number(process.env.SYNOD_GROUP_EVENTS ?? 4_000)
const consumers = 8
const streams = 1_000
const group = 'billing'
const consumerKillMs = 1_500
const leaderKillMs = 8_000

interface Delivery {
  readonly generation: number
  readonly position: number
  readonly stream: string
  readonly revision: number
}

/** What all consumers told, in the order in which each of them told it. */
class Told {
  readonly deliveries: Delivery[] = []
  readonly acknowledged = new Set<number>()
  readonly parked = new Set<number>()

  line(text: string): void {
    const [kind, ...words] = text.split(' ')
    if (kind === 'a') this.acknowledged.add(Number(words[0]))
    else if (kind === 'p') this.parked.add(Number(words[0]))
    else if (kind === 'd' && words.length === 5) {
      const [generation, position, stream = '', revision] = words
      this.deliveries.push({ generation: Number(generation), position: Number(position), stream, revision: Number(revision) })
    }
  }
}

test(`${consumers} consumers, ${streams} streams, ${events} events`, { timeout: 180_000 + events * 10 }, async () => {
  await using cluster = await startCluster()
  await using client = connect({ nodes: cluster.urls })
  await client.groups.put(group, { filter: { categories: ['account'] }, partitions: 32, ackDeadlineMs: 4_000, attemptsMax: 20 })
  const told = new Told()
  await using running = new Consumers(cluster, told)
  const begun = performance.now()
  let last: number | undefined
  const appending = appendAll(client).then((position) => (last = position))
  let [kills, leaderKills] = [0, 0]
  let [nextKill, nextLeaderKill] = [begun + consumerKillMs, begun + leaderKillMs / 2]
  // `until` takes an error for a node that is down.
  let failure: Error | undefined
  await cluster.until('the group to settle everything', 120_000 + events * 10, async () => {
    const now = performance.now()
    if (now > nextKill) {
      nextKill = now + consumerKillMs
      kills++
      running.killOne()
    }
    if (now > nextLeaderKill && (last === undefined || leaderKills === 0)) {
      const leader = await cluster.leader()
      await cluster.kill(leader)
      leaderKills++
      await cluster.waitReady([leader])
      nextLeaderKill = performance.now() + leaderKillMs
    }
    const { settled, parked } = await client.groups.get(group)
    // With `parkedMax` of them parked the group would stand.
    if (Number(settled) < (last ?? Infinity) && parked < 500) return undefined
    if (parked === 0) return true
    failure = await acknowledgedAndParked(client, told)
    if (failure !== undefined) return true
    await client.groups.replay(group)
    return undefined
  })
  if (failure !== undefined) throw failure
  await appending
  const seconds = Math.round((performance.now() - begun) / 1000)
  await running[Symbol.asyncDispose]()

  const stored = (await readEverywhere(cluster)).filter(({ type }) => type === 'Booked')
  expect(stored.length).toBe(events)
  const delivered = new Set(told.deliveries.map(({ position }) => position))
  expect(stored.filter(({ position }) => !delivered.has(position))).toEqual([])
  checkOrder(told.deliveries, new Map(stored.map((event) => [event.position, event])))
  expect(told.parked.size).toBeGreaterThan(0)
  if (process.env.SYNOD_GROUP_EVENTS !== undefined)
    console.log(
      JSON.stringify({
        events,
        deliveries: told.deliveries.length,
        acknowledged: told.acknowledged.size,
        parked: told.parked.size,
        kills,
        leaderKills,
        seconds,
      }),
    )
})

/** What was acknowledged for good is not parked: the first that is. */
async function acknowledgedAndParked(client: Client, told: Told): Promise<Error | undefined> {
  const acknowledged = new Set(told.acknowledged)
  for await (const { event, reason } of client.groups.parked(group))
    if (acknowledged.has(Number(event.position))) return new Error(`position ${event.position} was acknowledged, and is parked: ${reason}`)
  return undefined
}

/** First deliveries of a stream in a generation ascend, and what is told of each is what is stored. */
function checkOrder(deliveries: readonly Delivery[], stored: ReadonlyMap<number, ReadEvent>): void {
  const last = new Map<string, number>()
  const known = new Set<string>()
  for (const { generation, position, stream, revision } of deliveries) {
    const event = stored.get(position)
    if (event?.stream !== stream || event.revision !== revision)
      throw new Error(`position ${position} was delivered as ${stream} ${revision}`)
    if (known.has(`${generation} ${position}`)) continue
    known.add(`${generation} ${position}`)
    const before = last.get(`${generation} ${stream}`) ?? -1
    if (revision < before) throw new Error(`${stream} ${revision} came after ${before} in generation ${generation}`)
    last.set(`${generation} ${stream}`, revision)
  }
}

/** All events, over all streams, with other events between them. Resolves with the last position. */
async function appendAll(client: Client): Promise<number> {
  const lanes = 32
  let last = 0n
  await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      for (let n = lane; n < events; n += lanes) {
        const { position } = await client.append(`account-${n % streams}`, { type: 'Booked', data: { n } })
        if (position > last) last = position
        if (n % 10 === 0) await client.append('other', { type: 'Noise', data: {} })
      }
    }),
  )
  return Number(last)
}

/** Processes, each begun again when it ends. */
class Consumers implements AsyncDisposable {
  readonly #cluster: LocalCluster
  readonly #told: Told
  readonly #children: ChildProcess[] = []
  #isOver = false

  constructor(cluster: LocalCluster, told: Told) {
    this.#cluster = cluster
    this.#told = told
    for (let number = 0; number < consumers; number++) this.#start(number)
  }

  killOne(): void {
    this.#children[randomInt(consumers)]?.kill('SIGKILL')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    await Promise.all(
      this.#children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return
        const ended = new Promise((resolve) => child.once('exit', resolve))
        child.kill('SIGKILL')
        await ended
      }),
    )
  }

  #start(number: number): void {
    const child = fork(join(import.meta.dirname, '..', 'fixtures', 'group-consumer.ts'), [group, `c${number}`, ...this.#cluster.urls], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    this.#children[number] = child
    if (child.stdout !== null) createInterface(child.stdout).on('line', (text) => this.#told.line(text))
    child.once('exit', () => {
      if (!this.#isOver) this.#start(number)
    })
  }
}
