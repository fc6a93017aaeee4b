/**
 * What every LogStore must do, as vitest cases. It imports nothing but the port, so that a store written elsewhere runs it:
 *
 *   logStoreConformance({ name: 'mine', create: async () => ({ store: () => new MyStore(folder), dispose }) })
 */
import { randomBytes } from 'node:crypto'
import type { Bytes } from '@synod/codec'
import { afterEach, describe, expect, it } from 'vitest'
import type { Genesis } from '../configuration.ts'
import type { LogStore, Recovered, RecoveredEpoch, StoreOperation } from '../log-store.ts'
import type { Epoch, Index } from '../slot.ts'
import { reclaimCases } from './reclaim-cases.ts'
import { storeFollowsModel } from './log-store-property.ts'
import { plain, plainSlots, readAll } from './plain.ts'

/** What survives a store: a database, a folder, an object. */
export interface LogStoreDisk {
  /** A new store, not yet open, on this disk; others may be open on it. */
  store(): LogStore | Promise<LogStore>
  /** Called when the case is over; its stores may still be open. */
  dispose(): Promise<void>
}

export interface LogStoreConformance {
  readonly name: string
  /** An empty disk, whose stores begin a new piece after about `pieceBytes` bytes of headers and entries (`pieces` of the port). */
  create(pieceBytes?: number): Promise<LogStoreDisk>
  /** Runs of the property test; each creates a disk. Default 40. */
  readonly propertyRuns?: number
}

const genesis: Genesis = {
  node: 'n1',
  incarnation: '0123456789abcdef0123456789abcdef',
  configuration: {
    cluster: 'c'.repeat(32),
    epoch: 1,
    protocol: '@synod/consensus-paxos',
    protocolOptions: '{"mode":"multi"}',
    voters: [{ node: 'n1', incarnation: '0123456789abcdef0123456789abcdef' }],
  },
}

const bytes = (text: string): Bytes => new TextEncoder().encode(text)
const slot = (epoch: Epoch, index: Index, text = `entry ${epoch}/${index}`): StoreOperation => {
  return { op: 'slot', epoch, index, header: bytes(`header of ${text}`), entry: bytes(text) }
}
const stored = (epoch: Epoch, index: Index, text = `entry ${epoch}/${index}`): unknown => {
  return plain({ index, header: bytes(`header of ${text}`), entry: bytes(text) })
}
const decidedThrough = (epoch: Epoch, index: Index): StoreOperation => ({ op: 'decidedThrough', epoch, index })
const truncateFrom = (epoch: Epoch, index: Index): StoreOperation => ({ op: 'truncateFrom', epoch, index })
const meta = (epoch: Epoch, key: string, text: string): StoreOperation => ({ op: 'meta', epoch, key, value: bytes(text) })

function kept<T>(list: T[], item: T): T {
  list.push(item)
  return item
}

export function logStoreConformance(suite: LogStoreConformance): void {
  describe(`${suite.name} as a LogStore`, () => {
    const disks: LogStoreDisk[] = []
    const stores: LogStore[] = []

    const newDisk = async (): Promise<LogStoreDisk> => {
      const disk = await suite.create()
      disks.push(disk)
      return disk
    }
    const newStore = async (disk: LogStoreDisk): Promise<LogStore> => {
      const store = await disk.store()
      stores.push(store)
      return store
    }
    const opened = async (disk?: LogStoreDisk): Promise<{ disk: LogStoreDisk; store: LogStore; recovered: Recovered }> => {
      const on = disk ?? (await newDisk())
      const store = await newStore(on)
      return { disk: on, store, recovered: await store.open('n1') }
    }
    /** What the next owner of the disk finds there. */
    const recoveredFrom = async (disk: LogStoreDisk): Promise<readonly RecoveredEpoch[]> => {
      return (await opened(disk)).recovered.epochs
    }

    afterEach(async () => {
      await Promise.all(stores.splice(0).map((store) => store.close()))
      await Promise.all(disks.splice(0).map((disk) => disk.dispose()))
    })

    describe('opening', () => {
      it('an empty store has no genesis and nothing else, and counts its boots from 1', async () => {
        const { disk, recovered } = await opened()
        expect(recovered).toEqual({ boot: 1, epochs: [] })
        expect('genesis' in recovered).toBe(false)
        expect((await opened(disk)).recovered.boot).toBe(2)
        expect((await opened(disk)).recovered.boot).toBe(3)
      })

      it('is founded once: the same record again does nothing, another one is refused', async () => {
        const disk = await newDisk()
        await (await newStore(disk)).found(genesis)
        await (await newStore(disk)).found(structuredClone(genesis))
        const other = { ...genesis, incarnation: 'f'.repeat(32) }
        await expect((await newStore(disk)).found(other)).rejects.toMatchObject({ name: 'StoreError', code: 'already_founded' })
        expect((await opened(disk)).recovered).toEqual({ boot: 1, genesis, epochs: [] })
      })

      it('founds no store that already holds records', async () => {
        const { disk, store } = await opened()
        await store.write([slot(1, 1)])
        await store.close()
        await expect((await newStore(disk)).found(genesis)).rejects.toMatchObject({ code: 'already_founded' })
      })

      it('refuses the store of another node or cluster, without raising its boot or stopping its owner', async () => {
        const disk = await newDisk()
        await (await newStore(disk)).found(genesis)
        const { store } = await opened(disk)
        await expect((await newStore(disk)).open('n2')).rejects.toMatchObject({ name: 'StoreError', code: 'wrong_node' })
        const other = (await newStore(disk)).open('n1', '00'.repeat(16))
        await expect(other).rejects.toMatchObject({ name: 'StoreError', code: 'wrong_cluster' })
        await store.write([slot(1, 1)])
        expect((await opened(disk)).recovered.boot).toBe(2)
      })

      it('a second opening fences the first: its writes fail for good and leave nothing', async () => {
        const { disk, store: first } = await opened()
        await first.write([slot(1, 1)])
        const { store: second } = await opened(disk)
        const writes = [first.write([slot(1, 2)]), first.write([slot(1, 3)])]
        for (const write of await Promise.allSettled(writes)) {
          expect(write).toMatchObject({ status: 'rejected', reason: { name: 'StoreError', code: 'fenced' } })
        }
        await second.write([slot(1, 4)])
        await expect(first.write([slot(1, 5)])).rejects.toMatchObject({ code: 'fenced' })
        await expect(first.slices([])).rejects.toMatchObject({ code: 'fenced' })
        await expect(readAll(first, 1, 1, 9)).rejects.toMatchObject({ code: 'fenced' })
        expect(plainSlots(await readAll(second, 1, 1, 9))).toEqual([stored(1, 1), stored(1, 4)])
      })

      it('a takeover in the middle of writes lets the former owner write a prefix and nothing after it', async () => {
        const { disk, store: first } = await opened()
        const writes = Array.from({ length: 60 }, async (_, at) => {
          await new Promise((resolve) => setImmediate(resolve))
          return first.write([slot(1, at + 1)])
        })
        const settled = Promise.allSettled(writes)
        await writes[0]
        const { store: second, recovered } = await opened(disk)
        const acknowledged = (await settled).filter(({ status }) => status === 'fulfilled').length
        const found = await readAll(second, 1, 1, 60)
        expect(plainSlots(recovered.epochs[0]?.window ?? [])).toEqual(plainSlots(found))
        expect(found.map(({ index }) => index)).toEqual(found.map((_, at) => at + 1))
        expect(found.length).toBeGreaterThanOrEqual(acknowledged)
      })
    })

    describe('writing', () => {
      it('an acknowledged batch is there for the next owner, without a close', async () => {
        const { disk, store } = await opened()
        await store.write([slot(1, 1), slot(1, 2), decidedThrough(1, 1), meta(1, 'promised', '7'), meta(0, 'sessions', 's')])
        expect(plain(await recoveredFrom(disk))).toEqual(
          plain([
            { epoch: 0, meta: new Map([['sessions', bytes('s')]]), decidedThrough: 0, window: [] },
            { epoch: 1, meta: new Map([['promised', bytes('7')]]), decidedThrough: 1, window: [stored(1, 2)] },
          ]),
        )
      })

      it('takes effect in the order of the calls, however many are outstanding', async () => {
        const { disk, store } = await opened()
        await Promise.all([
          store.write([slot(1, 1, 'first'), slot(1, 2, 'lost'), slot(1, 3, 'lost')]),
          store.write([meta(1, 'vote', 'first')]),
          store.write([truncateFrom(1, 2)]),
          store.write([slot(1, 3, 'later'), meta(1, 'vote', 'later')]),
          store.write([slot(1, 1, 'overwritten'), slot(2, 1, 'other epoch')]),
          store.write([slot(1, 4, 'lost'), truncateFrom(1, 4), slot(1, 5, 'after the cut')]),
        ])
        const [one, two] = await recoveredFrom(disk)
        expect(plainSlots(one?.window ?? [])).toEqual([stored(1, 1, 'overwritten'), stored(1, 3, 'later'), stored(1, 5, 'after the cut')])
        expect(plain(one?.meta)).toEqual(plain(new Map([['vote', bytes('later')]])))
        expect(plainSlots(two?.window ?? [])).toEqual([stored(2, 1, 'other epoch')])
      })

      it('resolves outstanding writes in order', async () => {
        const { store } = await opened()
        const order: number[] = []
        await Promise.all(Array.from({ length: 50 }, (_, at) => store.write([slot(1, at + 1)]).then(() => order.push(at))))
        expect(order).toEqual(Array.from({ length: 50 }, (_, at) => at))
      })

      it('keeps slots sparse, at indexes up to 2^53 - 1', async () => {
        const { disk, store } = await opened()
        const far = Number.MAX_SAFE_INTEGER
        await store.write([slot(1, far), slot(1, 1_000_000), slot(1, 3)])
        expect(plainSlots(await readAll(store, 1, 1, far))).toEqual([stored(1, 3), stored(1, 1_000_000), stored(1, far)])
        expect((await recoveredFrom(disk))[0]?.window.map(({ index }) => index)).toEqual([3, 1_000_000, far])
      })

      it('keeps empty headers, entries and values', async () => {
        const { disk, store } = await opened()
        const empty = new Uint8Array(0)
        await store.write([
          { op: 'slot', epoch: 1, index: 1, header: empty, entry: empty },
          { op: 'meta', epoch: 1, key: 'k', value: empty },
        ])
        expect(plain(await store.slices([{ epoch: 1, index: 1, offset: 0, length: 0 }]))).toEqual([plain(empty)])
        expect(plain(await recoveredFrom(disk))).toEqual(
          plain([{ epoch: 1, meta: new Map([['k', empty]]), decidedThrough: 0, window: [{ index: 1, header: empty, entry: empty }] }]),
        )
      })

      it('never lowers decidedThrough', async () => {
        const { disk, store } = await opened()
        await store.write([slot(1, 1), slot(1, 2), slot(1, 3), decidedThrough(1, 2)])
        await store.write([decidedThrough(1, 1)])
        await Promise.all([store.write([decidedThrough(1, 3)]), store.write([decidedThrough(1, 2)])])
        await store.write([decidedThrough(1, 1)]) // alone, so that nothing merged with it can hide it
        expect(plain(await recoveredFrom(disk))).toEqual(plain([{ epoch: 1, meta: new Map(), decidedThrough: 3, window: [] }]))
      })

      it('keeps epochs apart', async () => {
        const { disk, store } = await opened()
        await store.write([
          slot(3, 1),
          slot(1, 1),
          slot(2, 1),
          slot(2, 2),
          decidedThrough(1, 1),
          meta(2, 'promised', '2'),
          meta(3, 'promised', '3'),
        ])
        await store.write([truncateFrom(2, 2), truncateFrom(3, 1), slot(3, 2)])
        expect(plain(await recoveredFrom(disk))).toEqual(
          plain([
            { epoch: 1, meta: new Map(), decidedThrough: 1, window: [] },
            { epoch: 2, meta: new Map([['promised', bytes('2')]]), decidedThrough: 0, window: [stored(2, 1)] },
            { epoch: 3, meta: new Map([['promised', bytes('3')]]), decidedThrough: 0, window: [stored(3, 2)] },
          ]),
        )
      })

      it('takes entries of 8 MiB, and many large ones outstanding', async () => {
        const { disk, store } = await opened()
        const large = randomBytes(8 * 1024 * 1024)
        const header = bytes('header')
        await Promise.all([1, 2, 3].map((index) => store.write([{ op: 'slot', epoch: 1, index, header, entry: large }])))
        const [part] = await store.slices([{ epoch: 1, index: 2, offset: 5_000_001, length: 1000 }])
        expect(plain(part)).toBe(plain(large.subarray(5_000_001, 5_001_001)))
        const [recovered] = await recoveredFrom(disk)
        expect(recovered?.window.map(({ entry }) => Buffer.compare(entry, large))).toEqual([0, 0, 0])
      })

      it('refuses what cannot be with a RangeError, writes nothing of it and goes on', async () => {
        const { disk, store } = await opened()
        await store.write([slot(1, 1), slot(1, 2), decidedThrough(1, 2)])
        for (const wrong of [slot(1, 0), slot(0, 1), slot(1, 1.5), slot(1, 2 ** 53), truncateFrom(1, 2), meta(-1, 'k', 'v')]) {
          await expect(store.write([slot(1, 9), decidedThrough(1, 9), wrong])).rejects.toThrow(RangeError)
        }
        await store.write([truncateFrom(1, 3), slot(1, 3)])
        expect(plain(await recoveredFrom(disk))).toEqual(plain([{ epoch: 1, meta: new Map(), decidedThrough: 2, window: [stored(1, 3)] }]))
      })
    })

    describe('reading', () => {
      it('gives the range asked for, ascending, in batches of bounded bytes', async () => {
        const { store } = await opened()
        const entry = randomBytes(64 * 1024)
        const header = bytes('h')
        const total = 300
        await Promise.all(Array.from({ length: total }, (_, at) => store.write([{ op: 'slot', epoch: 1, index: at + 1, header, entry }])))
        await store.write([decidedThrough(1, total)])
        let next = 11
        let batches = 0
        for await (const batch of store.read(1, 11, total - 10)) {
          batches++
          expect(batch.length).toBeGreaterThan(0)
          expect(batch.reduce((sum, row) => sum + row.entry.length, 0)).toBeLessThan(9 * 1024 * 1024)
          for (const row of batch) {
            expect(row.index).toBe(next++)
            expect(Buffer.compare(row.entry, entry)).toBe(0)
          }
        }
        expect(next).toBe(total - 9)
        expect(batches).toBeGreaterThan(1)
      })

      it('gives nothing where nothing is', async () => {
        const { store } = await opened()
        await store.write([slot(1, 5)])
        expect(await readAll(store, 1, 1, 4)).toEqual([])
        expect(await readAll(store, 1, 6, 100)).toEqual([])
        expect(await readAll(store, 2, 1, 100)).toEqual([])
        expect(await readAll(store, 1, 5, 4)).toEqual([])
        expect(plainSlots(await readAll(store, 1, 5, 5))).toEqual([stored(1, 5)])
      })

      it('goes on while slots are written, and may be left in the middle', async () => {
        const { store } = await opened()
        const total = 200
        const entry = randomBytes(32 * 1024)
        const write = (index: Index): Promise<void> => store.write([{ op: 'slot', epoch: 1, index, header: bytes('h'), entry }])
        await Promise.all(Array.from({ length: total }, (_, at) => write(at + 1)))
        const more: Promise<void>[] = []
        const found: Index[] = []
        for await (const batch of store.read(1, 1, total)) {
          more.push(write(total + more.length + 1))
          found.push(...batch.map(({ index }) => index))
        }
        expect(found).toEqual(Array.from({ length: total }, (_, at) => at + 1))
        for await (const batch of store.read(1, 1, total)) {
          expect(batch[0]?.index).toBe(1)
          break
        }
        await Promise.all(more)
        expect((await readAll(store, 1, total + 1, total + 1000)).length).toBe(more.length)
      })

      it('gives slices in the order asked for, from several epochs, doubled or overlapping', async () => {
        const { store } = await opened()
        await store.write([slot(1, 1, 'abcdefgh'), slot(2, 1, 'ABCDEFGH'), slot(1, 2, 'xyz')])
        const found = await store.slices([
          { epoch: 2, index: 1, offset: 2, length: 3 },
          { epoch: 1, index: 2, offset: 0, length: 3 },
          { epoch: 1, index: 1, offset: 7, length: 1 },
          { epoch: 1, index: 1, offset: 0, length: 8 },
          { epoch: 1, index: 1, offset: 8, length: 0 },
          { epoch: 2, index: 1, offset: 2, length: 3 },
        ])
        expect(found.map((part) => new TextDecoder().decode(part))).toEqual(['CDE', 'xyz', 'h', 'abcdefgh', '', 'CDE'])
        expect(await store.slices([])).toEqual([])
      })

      it('gives thousands of slices at once', async () => {
        const { store } = await opened()
        const entry = randomBytes(100_000)
        await store.write([{ op: 'slot', epoch: 1, index: 1, header: bytes('h'), entry }])
        const asked = Array.from({ length: 5000 }, (_, at) => ({ epoch: 1, index: 1, offset: (at * 7919) % 99_000, length: 1000 }))
        const found = await store.slices(asked)
        expect(found.length).toBe(asked.length)
        for (const [at, { offset, length }] of asked.entries()) {
          expect(Buffer.compare(found[at] ?? bytes(''), entry.subarray(offset, offset + length))).toBe(0)
        }
      })

      it('a slice that is not there is missing, and the store goes on', async () => {
        const { store } = await opened()
        await store.write([slot(1, 1, 'abc')])
        for (const wrong of [
          { epoch: 1, index: 2, offset: 0, length: 1 },
          { epoch: 2, index: 1, offset: 0, length: 1 },
          { epoch: 1, index: 1, offset: 2, length: 2 },
          { epoch: 1, index: 1, offset: 4, length: 0 },
          { epoch: 1, index: 1, offset: -1, length: 1 },
        ]) {
          const here = { epoch: 1, index: 1, offset: 0, length: 3 }
          await expect(store.slices([here, wrong])).rejects.toMatchObject({ name: 'StoreError', code: 'missing' })
        }
        expect(plain(await store.slices([{ epoch: 1, index: 1, offset: 0, length: 3 }]))).toEqual([plain(bytes('abc'))])
      })
    })

    describe('closing', () => {
      it('lets outstanding writes finish, twice is once, and then everything is refused', async () => {
        const { disk, store } = await opened()
        const writes = Array.from({ length: 20 }, (_, at) => store.write([slot(1, at + 1)]))
        await Promise.all([store.close(), store.close()])
        await Promise.all(writes)
        await store.close()
        await expect(store.write([slot(1, 99)])).rejects.toMatchObject({ name: 'StoreError', code: 'closed' })
        await expect(store.slices([])).rejects.toMatchObject({ code: 'closed' })
        await expect(readAll(store, 1, 1, 9)).rejects.toMatchObject({ code: 'closed' })
        await expect(store.open('n1')).rejects.toMatchObject({ code: 'closed' })
        await expect(store.found(genesis)).rejects.toMatchObject({ code: 'closed' })
        expect((await recoveredFrom(disk))[0]?.window.length).toBe(20)
      })

      it('a store that was never opened refuses to be used, and closes', async () => {
        const store = await newStore(await newDisk())
        await expect(store.write([slot(1, 1)])).rejects.toMatchObject({ code: 'closed' })
        await expect(store.slices([])).rejects.toMatchObject({ code: 'closed' })
        await expect(readAll(store, 1, 1, 9)).rejects.toMatchObject({ code: 'closed' })
        await store.close()
      })
    })

    reclaimCases(suite, { newDisk: async (pieceBytes) => kept(disks, await suite.create(pieceBytes)), newStore })

    it('counts what it does', async () => {
      const { store } = await opened()
      await store.write([slot(1, 1), slot(1, 2)])
      const counters = Object.entries(store.counters())
      expect(counters.length).toBeGreaterThan(0)
      for (const [name, value] of counters) {
        expect(name).toMatch(/^[a-z][a-z0-9_]*$/)
        expect(Number.isFinite(value)).toBe(true)
      }
    })

    it('follows the model through random batches, takeovers and reopenings', async () => {
      await storeFollowsModel(() => suite.create(), suite.propertyRuns ?? 40)
    }, 120_000)
  })
}
