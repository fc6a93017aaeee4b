import { logStoreConformance } from '@synod/log/conformance'
import { MemoryDisk, memoryLogStore } from '@synod/log/memory'
import { expect, it } from 'vitest'

const nothing = new Uint8Array(0)
const slot = (index: number) => ({ op: 'slot', epoch: 1, index, header: nothing, entry: new Uint8Array([index]) }) as const

logStoreConformance({
  name: 'memory',
  propertyRuns: 300,
  create: async (pieceBytes) => {
    const disk = new MemoryDisk(pieceBytes === undefined ? {} : { pieceBytes })
    return { store: () => memoryLogStore(disk), dispose: async () => {} }
  },
})

it('a crash drops what is not durable and keeps what is', async () => {
  const disk = new MemoryDisk()
  const store = memoryLogStore(disk)
  await store.open('n1')
  await store.write([slot(1)])
  const lost = store.write([slot(2)])
  disk.crash()
  await expect(lost).rejects.toMatchObject({ code: 'unavailable' })
  await expect(store.write([slot(3)])).rejects.toMatchObject({ code: 'unavailable' })
  const { boot, epochs } = await memoryLogStore(disk).open('n1')
  expect(boot).toBe(2)
  expect(epochs[0]?.window.map(({ index }) => index)).toEqual([1])
})

it('a write is not durable before its turn', async () => {
  const turns: (() => void)[] = []
  const store = memoryLogStore(new MemoryDisk(), { defer: (run) => turns.push(run) })
  await store.open('n1')
  let durable = 0
  const writes = [1, 2].map((index) => store.write([slot(index)]).then(() => durable++))
  await Promise.resolve()
  expect([turns.length, durable]).toEqual([1, 0])
  turns[0]?.()
  await Promise.all(writes)
  expect(durable).toBe(2)
  expect(store.counters()).toMatchObject({ transactions: 1, writes: 2 })
})

it.each(['disk_full', 'unavailable'] as const)('%s: the store is dead, the disk is not', async (code) => {
  const disk = new MemoryDisk()
  const store = memoryLogStore(disk)
  await store.open('n1')
  disk.fail(code)
  const [first, second] = await Promise.allSettled([store.write([slot(1)]), store.write([slot(2)])])
  expect(first).toMatchObject({ status: 'rejected', reason: { code } })
  expect(second).toMatchObject({ status: 'rejected', reason: { code } })
  disk.repair()
  await expect(store.write([slot(3)])).rejects.toMatchObject({ code })
  const next = memoryLogStore(disk)
  expect((await next.open('n1')).epochs).toEqual([])
  await next.write([slot(1)])
})

it('a damaged slot is never served, until it is written again', async () => {
  const disk = new MemoryDisk()
  const store = memoryLogStore(disk)
  await store.open('n1')
  await store.write([slot(1), slot(2)])
  disk.damage(1, 2)
  const read = store.read(1, 1, 2)[Symbol.asyncIterator]()
  await expect(read.next()).rejects.toMatchObject({ code: 'damaged' })
  await expect(store.slices([{ epoch: 1, index: 2, offset: 0, length: 1 }])).rejects.toMatchObject({ code: 'damaged' })
  await expect(memoryLogStore(disk).open('n1')).rejects.toMatchObject({ code: 'damaged' })
  await store.write([slot(2)])
  expect((await read.next()).done).toBe(true) // a generator that threw is over
  expect(await store.slices([{ epoch: 1, index: 2, offset: 0, length: 1 }])).toEqual([new Uint8Array([2])])
})
