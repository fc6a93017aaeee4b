/**
 * What every protocol must do when it is hosted as a loglet. A protocol's whole conformance test is a call of
 * `protocolConformance` with its definition; what it declares as its capabilities decides what is asked of it.
 */
import { bytesEqual, type Bytes } from '@synod/codec'
import { noopEntry, type Index } from '@synod/log'
import { afterEach, describe, expect, it } from 'vitest'
import type { ProtocolDefinition } from '../protocol.ts'
import { LogletCluster } from './loglet-cluster.ts'

export { LogletCluster, type ClusterNode } from './loglet-cluster.ts'

export interface ProtocolConformanceOptions<M> {
  readonly definition: ProtocolDefinition<M>
  /** Clusters of these sizes; default 1, 3 and 5. */
  readonly sizes?: readonly number[]
}

export function protocolConformance<M>({ definition, sizes = [1, 3, 5] }: ProtocolConformanceOptions<M>): void {
  describe(`${definition.name} (${definition.mode}) as a loglet`, () => {
    let cluster: LogletCluster<M>
    const open = async (size = 3, seed = 1): Promise<LogletCluster<M>> => {
      cluster = new LogletCluster(definition, size, seed)
      await cluster.start()
      await cluster.ready()
      return cluster
    }
    afterEach(async () => {
      const failures = [...cluster.nodes.values()].flatMap((node) => node.failures)
      await cluster.close()
      expect(failures).toEqual([])
    })

    it.each(sizes)('decides what is offered, once and in one order, on %i nodes', async (size) => {
      await open(size)
      for (let at = 0; at < 20; at++) await cluster.decide(member(at % size), entryOf(at))
      await everywhere(20)
      for (const node of cluster.nodes.values()) expect(texts(node.delivered)).toEqual(range(20))
    })

    it('decides what is offered at once at every node', async () => {
      await open()
      await Promise.all(range(60).map((at) => decideConcurrently(Number(at))))
      await everywhere(60)
      const first = cluster.node('n1').delivered
      expect(texts(first).toSorted()).toEqual(range(60).toSorted())
      expectOneOrder()
    })

    it('delivers indexes from 1 without a gap', async () => {
      await open()
      for (let at = 0; at < 10; at++) await cluster.decide('n2', entryOf(at))
      await everywhere(10)
      for (const { delivered } of cluster.nodes.values())
        expect(delivered.map(({ index }) => index)).toEqual(delivered.map((_, at) => at + 1))
    })

    it('declares who orders', async () => {
      await open()
      const { capabilities } = cluster.node('n1').loglet
      expect(capabilities).toEqual(definition.capabilities)
      const leaders = new Set([...cluster.nodes.values()].map(({ loglet }) => loglet.status().leader))
      if (capabilities.leader) {
        expect(leaders.size).toBe(1)
        expect(cluster.members).toContain([...leaders][0])
      } else {
        expect([...leaders]).toEqual([undefined])
      }
    })

    it('goes on with a minority down, and hands what was missed to who comes back', async () => {
      await open()
      await cluster.decide('n1', entryOf(0))
      const down = leaderOr('n3')
      const up = cluster.members.filter((id) => id !== down)
      await cluster.crash(down)
      for (let at = 1; at < 40; at++) await cluster.decide(up[at % 2] ?? 'n1', entryOf(at))
      await cluster.startNode(down)
      await everywhere(40)
      expectOneOrder()
    })

    it('decides nothing without a quorum, and goes on when there is one again', async () => {
      await open()
      await cluster.decide('n1', entryOf(0))
      await cluster.crash('n2')
      await cluster.crash('n3')
      const offer = cluster.node('n1').loglet.offer(entryOf(1))
      await cluster.scheduler.run(5000)
      expect(cluster.node('n1').loglet.status().available).toBe(false)
      expect(texts(cluster.node('n1').delivered)).toEqual(['0'])
      await cluster.startNode('n2')
      await cluster.ready()
      await cluster.wait(offer)
      await cluster.decide('n1', entryOf(2))
      await cluster.until(() => texts(cluster.node('n2').delivered).includes('2'))
      expectOneOrder()
    })

    it('keeps what was decided through a crash of all', async () => {
      await open()
      for (let at = 0; at < 20; at++) await cluster.decide(member(at % 3), entryOf(at))
      for (const id of cluster.members) await cluster.crash(id)
      await cluster.start()
      await cluster.ready()
      await cluster.decide('n1', entryOf(20))
      await everywhere(21)
      for (const { delivered } of cluster.nodes.values()) expect(texts(delivered)).toEqual(range(21))
    })

    it('keeps what was decided through crashes of one node after another', async () => {
      await open()
      for (let round = 0; round < 9; round++) {
        await cluster.decide(member(round % 3), entryOf(round))
        await cluster.crash(member(round % 3))
        await cluster.startNode(member(round % 3))
        await cluster.ready()
      }
      await everywhere(9)
      for (const { delivered } of cluster.nodes.values()) expect([...new Set(texts(delivered))]).toEqual(range(9))
    })

    it('refuses or abandons an offer that it cannot carry out, and never says that it was decided', async () => {
      await open()
      cluster.network.faults.isolate('n1')
      await cluster.scheduler.run(5000)
      expect(['refused', 'abandoned']).toContain(await cluster.wait(cluster.node('n1').loglet.offer(entryOf(1))))
      cluster.network.faults.heal()
      await cluster.ready()
      await cluster.decide('n1', entryOf(2))
    })

    it('a barrier at any node is at or above everything that was decided before it', async () => {
      await open()
      for (let at = 0; at < 12; at++) {
        await cluster.decide(member(at % 3), entryOf(at))
        await cluster.until(() => [...cluster.nodes.values()].some((node) => indexOf(node.delivered, `${at}`) > 0))
        const decided = Math.max(...[...cluster.nodes.values()].map((node) => indexOf(node.delivered, `${at}`)))
        expect(await barrier(member((at + 1) % 3))).toBeGreaterThanOrEqual(decided)
      }
    })

    it('a barrier is not confirmed by a node that is cut off', async () => {
      await open()
      await cluster.decide('n1', entryOf(0))
      const cut = leaderOr('n1')
      cluster.network.faults.isolate(cut)
      const late = cluster.node(cut).loglet.barrier()
      let confirmed = false
      late.then(
        () => (confirmed = true),
        () => undefined,
      )
      const other = cluster.members.find((id) => id !== cut) ?? 'n2'
      await cluster.decide(other, entryOf(1))
      await cluster.scheduler.run(3000)
      expect(confirmed).toBe(false)
      cluster.network.faults.heal()
      await cluster.ready()
      expect(await barrier(cut)).toBeGreaterThanOrEqual(indexOf(cluster.node(other).delivered, '1'))
    })

    it('agrees over a network that loses, doubles, delays and reorders', async () => {
      await open(3, 7)
      cluster.network.faults.set({}, { lossRate: 0.15, duplicateRate: 0.3, delayMsMax: 40, stragglerRate: 0.02, stragglerMsMax: 3000 })
      await Promise.all(range(30).map((at) => decideConcurrently(Number(at))))
      cluster.network.faults.heal()
      await everywhere(30)
      expectOneOrder()
    })

    it('agrees through one-way cuts', async () => {
      await open()
      const leader = leaderOr('n1')
      const [left, right] = cluster.members.filter((id) => id !== leader)
      if (left === undefined || right === undefined) throw new Error('three members wanted')
      cluster.network.faults.cut(leader, left)
      await cluster.decide(right, entryOf(0))
      cluster.network.faults.heal()
      cluster.network.faults.cut(left, leader)
      await cluster.decide(leader, entryOf(1))
      cluster.network.faults.heal()
      await everywhere(2)
      expectOneOrder()
    })

    it('carries an entry larger than a frame of the transport', async () => {
      await open()
      const large = new Uint8Array(9 * 1024 * 1024).fill(7)
      await cluster.decide('n2', large)
      await cluster.until(() =>
        [...cluster.nodes.values()].every(({ delivered }) => delivered.some(({ entry }) => bytesEqual(entry, large))),
      )
    })

    it('lives through malformed frames', async () => {
      await open()
      const attacker = cluster.node('n3').transport
      for (let at = 0; at < 2000; at++) attacker.send('n1', noise(at))
      await cluster.decide('n1', entryOf(0))
      await everywhere(1)
    })

    it('steps down to another node', async () => {
      await open()
      if (!definition.capabilities.leader) {
        await cluster.wait(cluster.node('n1').loglet.stepDown())
      } else {
        const leader = leaderOr('n1')
        await cluster.wait(cluster.node(leader).loglet.stepDown())
        await cluster.until(() =>
          [...cluster.nodes.values()].every(({ loglet }) => loglet.status().leader !== undefined && loglet.status().leader !== leader),
        )
      }
      await cluster.decide('n1', entryOf(0))
    })

    it('ends delivery at close, and refuses afterwards', async () => {
      await open()
      const { loglet } = cluster.node('n1')
      await cluster.wait(loglet.close())
      await cluster.wait(loglet.close())
      expect(await loglet.offer(entryOf(0))).toBe('refused')
      await expect(loglet.barrier()).rejects.toMatchObject({ code: 'closed' })
    })

    const member = (at: number): string => `n${at + 1}`

    /** The leader where there is one: the most interesting node to hurt. */
    const leaderOr = (otherwise: string): string => {
      for (const { loglet } of cluster.nodes.values()) {
        const { leader } = loglet.status()
        if (leader !== undefined) return leader
      }
      return otherwise
    }

    const barrier = async (id: string): Promise<Index> => {
      for (let tries = 0; tries < 100; tries++) {
        try {
          return await cluster.wait(cluster.node(id).loglet.barrier())
        } catch {
          // Refused: there was no quorum for a moment. A caller asks again.
          await cluster.scheduler.run(50)
        }
      }
      throw new Error(`no barrier at ${id}`)
    }

    /** As many at once as there are callers: only the first of them moves virtual time, the others see it move. */
    const decideConcurrently = async (at: number): Promise<void> => {
      for (;;) {
        const as = await cluster.wait(cluster.node(member(at % 3)).loglet.offer(entryOf(at)))
        if (as === 'offered') return
        if ([...cluster.nodes.values()].some(({ delivered }) => texts(delivered).includes(`${at}`))) return
        await cluster.scheduler.run(60)
      }
    }

    /** Every live node has delivered the entries 0…count-1. An abandoned offer may have been decided after all, so one may stand twice. */
    const everywhere = (count: number): Promise<void> =>
      cluster.until(() => [...cluster.nodes.values()].every(({ delivered }) => new Set(texts(delivered)).size >= count))

    const expectOneOrder = (): void => {
      const logs = [...cluster.nodes.values()].map(({ delivered }) => delivered)
      const longest = logs.toSorted((left, right) => right.length - left.length)[0] ?? []
      for (const log of logs)
        for (const [at, { entry }] of log.entries()) expect(bytesEqual(entry, longest[at]?.entry ?? new Uint8Array())).toBe(true)
    }
  })
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

function entryOf(at: number): Bytes {
  return encoder.encode(`${at}`)
}

function texts(delivered: readonly { readonly entry: Bytes }[]): string[] {
  return delivered.filter(({ entry }) => !bytesEqual(entry, noopEntry)).map(({ entry }) => decoder.decode(entry))
}

function indexOf(delivered: readonly { readonly index: Index; readonly entry: Bytes }[], text: string): Index {
  return delivered.find(({ entry }) => decoder.decode(entry) === text)?.index ?? 0
}

function range(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${at}`)
}

/** Bytes that look random and are the same each time. */
function noise(seed: number): Bytes {
  let state = seed + 1
  return Uint8Array.from({ length: (seed * 37) % 300 }, () => {
    state = (state * 1103515245 + 12345) % 2147483648
    return state >> 8
  })
}
