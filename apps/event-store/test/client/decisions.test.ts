/** Decisions through the client against three real nodes that lose their leader: each boundary has one winner. Half a minute. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect, GroupNotFoundError, type Client, type GroupDelivery } from '@synod/client'
import { startCluster, type LocalCluster } from '@synod/event-store'

type UserEvent = { type: 'UserRegistered'; data: { by: number } } | { type: 'SeatTaken'; data: { by: number } }

class Taken extends Error {}

describe('three nodes', { timeout: 120_000 }, () => {
  let cluster: LocalCluster
  let clients: Client<UserEvent>[]
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 3 })
    // Each begins at another node.
    clients = cluster.urls.map((url) => connect<UserEvent>({ nodes: [url] }))
  }, 120_000)
  afterAll(async () => {
    await Promise.all((clients ?? []).map((client) => client.close()))
    await cluster?.remove()
  }, 60_000)

  const of = (n: number): Client<UserEvent> => clients[n % clients.length]!

  /** As a service does it: an outcome that is not known is decided again, on what there is then. */
  async function untilKnown(n: number, wish: () => Promise<boolean>): Promise<{ n: number; won: boolean }> {
    for (;;) {
      try {
        return { n, won: await wish() }
      } catch (error) {
        if (error instanceof Taken) return { n, won: false }
        if (!['unavailable', 'busy', 'too_many_conflicts'].includes((error as { code?: string }).code ?? '')) throw error
      }
    }
  }

  const registers = (n: number, name: string) => (): Promise<boolean> =>
    of(n)
      .decide(
        { items: [{ types: ['UserRegistered'], tags: [`name:${name}`] }] },
        {
          initialState: (): number | undefined => undefined,
          evolve: (_, event) => event.data.by,
          decide: (by) => {
            if (by === n) return undefined // an earlier try was carried out
            if (by !== undefined) throw new Taken()
            return { stream: `user-${name}-${n}`, events: { type: 'UserRegistered', data: { by: n }, tags: [`name:${name}`] } }
          },
        },
      )
      .then(() => true)

  const takesASeat = (n: number, hall: string) => (): Promise<boolean> =>
    of(n)
      .decide(
        `hall-${hall}`,
        {
          initialState: (): number[] => [],
          evolve: (by, event) => [...by, event.data.by],
          decide: (by) => {
            if (by.includes(n)) return []
            if (by.length >= 3) throw new Taken()
            return { type: 'SeatTaken', data: { by: n } }
          },
        },
        { attemptsMax: 100 },
      )
      .then(() => true)

  test('64 that want one name, or the last seats, at once: one winner, three winners, with the leader killed too', async () => {
    for (const round of ['quiet', 'killed']) {
      const leader = await cluster.leader()
      const names = Array.from({ length: 64 }, (_, n) => untilKnown(n, registers(n, round)))
      const seats = Array.from({ length: 64 }, (_, n) => untilKnown(n, takesASeat(n, round)))
      if (round === 'killed') await cluster.kill(leader)
      const winners = (await Promise.all(names)).filter(({ won }) => won)
      const seated = (await Promise.all(seats)).filter(({ won }) => won)
      if (round === 'killed') await cluster.waitReady([leader])
      const { events } = await of(0).query({ items: [{ tags: [`name:${round}`] }] })
      expect(events.map(({ data }) => data.by)).toEqual(winners.map(({ n }) => n))
      expect(events).toHaveLength(1)
      const hall: number[] = []
      for await (const event of of(1).readStream(`hall-${round}`)) hall.push(event.data.by)
      expect(new Set(hall)).toEqual(new Set(seated.map(({ n }) => n)))
      expect(hall).toHaveLength(3)
    }
  })

  test('a consumer goes on at another node when its own is killed, and handles every event in the order of its stream', async () => {
    const client = of(0)
    await client.groups.put('seats', { filter: { categories: ['row'] }, partitions: 8, ackDeadlineMs: 5000 })
    const streams = Array.from({ length: 10 }, (_, n) => `row-${n}`)
    const handled = new Map<string, number[]>()
    let acknowledged = 0
    const enough = new AbortController()
    const handler = async ({ stream, data }: GroupDelivery<UserEvent>['event']): Promise<void> => {
      const known = handled.get(stream) ?? []
      handled.set(stream, known)
      // It may come again, from what was not settled on.
      const expected = known.length
      expect(data.by).toBeLessThanOrEqual(expected)
      if (data.by === expected) known.push(data.by)
      if (++acknowledged >= 200 && [...handled.values()].every(({ length }) => length === 20) && handled.size === 10) enough.abort(enough)
    }
    const onFailure = (error: unknown): never => {
      throw error
    }
    const options = { concurrencyMax: 4, signal: enough.signal, onFailure }
    const handling = client.groups.handle('seats', handler, options).catch((error: unknown) => error)
    const leader = await cluster.leader()
    for (let by = 0; by < 20; by++) {
      await Promise.all(streams.map((stream, n) => of(n).append(stream, { type: 'SeatTaken', data: { by } })))
      if (by === 10) await cluster.kill(leader)
    }
    expect(await handling).toBe(enough)
    for (const known of handled.values()) expect(known).toEqual(Array.from({ length: 20 }, (_, n) => n))
    const { parked } = await client.groups.get('seats')
    expect(parked).toBe(0)
    await client.groups.delete('seats')
    await expect(client.groups.get('seats')).rejects.toBeInstanceOf(GroupNotFoundError)
  })
})
