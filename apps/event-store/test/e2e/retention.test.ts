/**
 * Retention on real nodes, with readers and subscribers in the middle and a node killed (kill -9): streams with a count, with an age,
 * cut off, deleted and used again, tombstoned. No event comes back, no hole is seen, every node agrees in the end, and what stayed visible
 * was delivered. With SYNOD_RETENTION_MIB it goes on until the space is given back, and tells how much:
 *   SYNOD_RETENTION_MIB=600 npx -y pnpm@12 test apps/event-store/test/e2e/retention.test.ts
 */
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { connect, UnavailableError, type Client } from '@synod/client'
import { startCluster, type LocalCluster } from '@synod/event-store'
import { followPositions } from '../client/follow-positions.ts'
import { readAll } from './client.ts'

const mebibytes = Number(process.env.SYNOD_RETENTION_MIB ?? 0)
const streams = 24
const kept = 10
const ids = ['n1', 'n2', 'n3']
const readRoundsMin = 4
const padding = 'x'.repeat(2_000)

interface State {
  isOver: boolean
  appended: number
}

test('nothing comes back, no hole is seen, every node agrees', { timeout: 600_000 }, async () => {
  await using cluster = await startCluster()
  await using client = connect({ nodes: cluster.urls })
  const state: State = { isOver: false, appended: 0 }
  for (let stream = 0; stream < streams; stream++) {
    if (stream % 6 === 0) await client.setStreamMetadata(name(stream), { maxCount: kept })
    if (stream % 6 === 1) await client.setStreamMetadata(name(stream), { maxAgeSeconds: 3 })
  }
  const readers = ids.map((id) => readInCircles(cluster, id, state))
  const positions = new Set<number>()
  const followed = followPositions(client, ascending(positions))
  const writing = Promise.all(Array.from({ length: streams }, (_, stream) => write(client, stream, state)))
  await cluster.until('a good part of the events', 300_000, () =>
    state.appended * padding.length > (mebibytes * 2 ** 20) / 2 + 4e6 ? true : undefined,
  )
  await cluster.kill('n2')
  await cluster.waitReady(['n2'])
  await cluster.until('the rest of the events', 300_000, () =>
    state.appended * padding.length > mebibytes * 2 ** 20 + 8e6 ? true : undefined,
  )
  state.isOver = true
  await writing
  const rounds = await Promise.all(readers)
  for (const round of rounds) expect(round).toBeGreaterThan(readRoundsMin)

  // Age goes on hiding for a while: until nothing changes any more.
  const agreed = await cluster.until('all nodes to show the same', 60_000, async () => {
    const [first, ...others] = (await Promise.all(ids.map((id) => readAll(cluster.url(id))))).map((events) => JSON.stringify(events))
    return others.every((other) => other === first) && !(first ?? '').includes('"log-1"') ? first : undefined
  })
  const visible = JSON.parse(agreed) as { stream: string; revision: number; position: number }[]
  const of = (stream: number): number[] => visible.filter((event) => event.stream === name(stream)).map(({ revision }) => revision)
  for (let stream = 0; stream < streams; stream++) {
    const revisions = of(stream)
    for (const [at, revision] of revisions.entries()) if (at > 0) expect(revision).toBe((revisions[at - 1] ?? 0) + 1)
    if (stream % 6 === 0) expect(revisions.length).toBe(kept)
    if (stream % 6 === 1 || stream % 6 === 4) expect(revisions).toEqual([])
  }
  await followed.upTo(BigInt(visible.at(-1)?.position ?? 0))
  const missing = visible.filter(({ position }) => !positions.has(position))
  expect(missing).toEqual([])
  if (mebibytes > 0)
    console.log(JSON.stringify({ ...(await spaceGivenBack(cluster)), appended: state.appended, visible: visible.length, rounds }))
})

function name(stream: number): string {
  return `log-${stream}`
}

/** Appends, and now and then what this stream is for: cut off, deleted and used again, in the end tombstoned. */
async function write(client: Client, stream: number, state: State): Promise<void> {
  for (let n = 0; !state.isOver; n++) {
    const { revision } = await client.append(
      name(stream),
      Array.from({ length: 8 }, () => ({ type: 'Logged', data: { n, padding } })),
    )
    state.appended += 8
    if (n % 10 !== 9) continue
    if (stream % 6 === 2) await again(() => client.setStreamMetadata(name(stream), { truncateBefore: revision - 5n }))
    if (stream % 6 === 3) await again(() => client.deleteStream(name(stream)))
  }
  if (stream % 6 === 3) await client.append(name(stream), { type: 'Logged', data: { n: -1, padding } })
  if (stream % 6 === 4) await again(() => client.deleteStream(name(stream), { isHard: true }))
}

/** What hides is not sent twice by the client; here nobody else uses the stream. */
async function again(change: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await change()
      return
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error
    }
  }
}

/** Streams are read on one node, again and again: pages have no hole, and the first revision never goes back in one life of the node. Resolves with the rounds made. */
async function readInCircles(cluster: LocalCluster, id: string, state: State): Promise<number> {
  const first = new Map<string, number>()
  for (let round = 0; ; round++) {
    if (state.isOver && round > 0) return round
    const stream = name(randomInt(streams))
    let answer: { events?: { revision: number }[] }
    try {
      const response = await fetch(`${cluster.url(id)}/streams/${stream}?consistency=local&limit=500`, {
        signal: AbortSignal.timeout(10_000),
      })
      if (response.status === 503) continue
      answer = (await response.json()) as { events?: { revision: number }[] }
    } catch {
      first.clear() // the node died: in its next life it may be behind for a while
      await sleep(50)
      continue
    }
    const revisions = (answer.events ?? []).map(({ revision }) => revision)
    const hole = revisions.findIndex((revision, at) => at > 0 && revision !== (revisions[at - 1] ?? 0) + 1)
    if (hole >= 0) throw new Error(`${id}: ${stream} has ${revisions[hole]} after ${revisions[hole - 1]}`)
    const [begins] = revisions
    if (begins === undefined) continue
    const before = first.get(stream) ?? 0
    if (begins < before) throw new Error(`${id}: ${stream} began at ${before}, and now at ${begins}`)
    first.set(stream, begins)
  }
}

/** Positions ascend; those that came are written down. */
function ascending(positions: Set<number>): Parameters<typeof followPositions>[1] {
  return (message, taken) => {
    if (message.kind === 'fellBehind') return taken
    if (message.kind !== 'event') return message.position > taken ? message.position : taken
    const { position } = message.event
    if (position <= taken) throw new Error(`position ${position} came after ${taken}`)
    positions.add(Number(position))
    return position
  }
}

/** Waits until every node has given back most of what is hidden, as its metrics tell; MiB on disk before and after. */
async function spaceGivenBack(cluster: LocalCluster): Promise<Record<string, unknown>> {
  const begun = performance.now()
  const metrics = (): Promise<readonly string[]> =>
    Promise.all(ids.map(async (id) => (await fetch(`${cluster.url(id)}/metrics`, { signal: AbortSignal.timeout(10_000) })).text()))
  const onDisk = (told: readonly string[]): readonly number[] =>
    told.map((node) => Math.round(numberIn(node, /^synod_store_bytes(?:\{[^}]*\})? (\S+)/m) / 2 ** 20))
  const before = onDisk(await metrics())
  const after = await cluster.until('space to be given back on every node', 400_000, async () => {
    await sleep(2_000)
    const told = await metrics()
    const isBack = told.every(
      (node) => numberIn(node, /^synod_package_number\{[^}]*reclaimedEventBytes[^}]*\} (\S+)/m) > (mebibytes * 2 ** 20) / 2,
    )
    return isBack ? onDisk(told) : undefined
  })
  return { before, after, seconds: Math.round((performance.now() - begun) / 1000) }
}

function numberIn(metrics: string, pattern: RegExp): number {
  return Number(pattern.exec(metrics)?.[1] ?? 0)
}
