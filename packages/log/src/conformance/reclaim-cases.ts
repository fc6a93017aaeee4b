/** What a LogStore must do when space is given back: a part of the suite in log-store-conformance.ts. */
import type { Bytes } from '@synod/codec'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { KeptSlot, LogStore, Piece, StoreOperation } from '../log-store.ts'
import type { Index } from '../slot.ts'
import type { LogStoreConformance, LogStoreDisk } from './log-store-conformance.ts'
import { readAll } from './plain.ts'

interface Fixture {
  readonly newDisk: (pieceBytes: number) => Promise<LogStoreDisk>
  readonly newStore: (disk: LogStoreDisk) => Promise<LogStore>
}

const epoch = 1
const pieceBytes = 4096
const entryBytes = 200

/** Different at each place of each slot. */
function entryOf(index: Index): Bytes {
  return Uint8Array.from({ length: entryBytes }, (_, at) => (index * 7 + at * 13 + (at >> 3)) % 251)
}

const slot = (index: Index): StoreOperation => ({ op: 'slot', epoch, index, header: Uint8Array.of(index % 256), entry: entryOf(index) })

async function append(store: LogStore, from: Index, to: Index): Promise<void> {
  const writes: Promise<void>[] = []
  for (let index = from; index <= to; index++) writes.push(store.write([slot(index), { op: 'decidedThrough', epoch, index }]))
  await Promise.all(writes)
}

async function* batches(slots: readonly KeptSlot[], size = 3): AsyncIterable<readonly KeptSlot[]> {
  for (let at = 0; at < slots.length; at += size) {
    await Promise.resolve()
    yield slots.slice(at, at + size)
  }
}

const nothing = (): AsyncIterable<readonly KeptSlot[]> => batches([])

/** One part of every slot of the piece that `which` names. */
function everyPart(piece: Piece, offset: number, length: number, which: (index: Index) => boolean = () => true): KeptSlot[] {
  const indexes = Array.from({ length: piece.to - piece.from + 1 }, (_, at) => piece.from + at)
  return indexes.filter(which).map((index) => ({ index, parts: [{ offset, length }] }))
}

async function part(store: LogStore, index: Index, offset: number, length: number): Promise<Bytes | undefined> {
  const [found] = await store.slices([{ epoch, index, offset, length }])
  return found === undefined ? undefined : Uint8Array.from(found)
}

const reclaimed = { name: 'StoreError', code: 'reclaimed' }

export function reclaimCases(suite: LogStoreConformance, { newDisk, newStore }: Fixture): void {
  describe('giving space back', () => {
    const opened = async (disk?: LogStoreDisk): Promise<{ disk: LogStoreDisk; store: LogStore }> => {
      const on = disk ?? (await newDisk(pieceBytes))
      const store = await newStore(on)
      await store.open('n1')
      return { disk: on, store }
    }
    /** A store of 200 slots, all decided, in several pieces. */
    const filled = async (): Promise<{ disk: LogStoreDisk; store: LogStore; pieces: readonly Piece[] }> => {
      const { disk, store } = await opened()
      for (let from = 1; from <= 200; from += 10) await append(store, from, from + 9)
      const pieces = store.pieces(epoch, 200)
      expect(pieces.length).toBeGreaterThanOrEqual(4)
      return { disk, store, pieces }
    }
    const last = (pieces: readonly Piece[]): Piece => pieces.at(-1)!

    it('tells pieces side by side from the first slot, and not the one that is written to', async () => {
      const { disk, store, pieces } = await filled()
      expect(pieces[0]?.from).toBe(1)
      for (const [at, { from, to, keptBytes }] of pieces.entries()) {
        expect(to).toBeGreaterThanOrEqual(from)
        expect(from).toBe((pieces[at - 1]?.to ?? 0) + 1)
        expect(keptBytes).toBeUndefined()
      }
      expect(last(pieces).to).toBeLessThan(200)
      expect(store.pieces(epoch, last(pieces).to - 1)).toEqual(pieces.slice(0, -1))
      expect(store.pieces(2, 1000)).toEqual([])
      await store.close()
      expect((await opened(disk)).store.pieces(epoch, 200)).toEqual(pieces)
    })

    it('keeps the parts that it was told, at their old offsets, and nothing else', async () => {
      const { disk, store, pieces } = await filled()
      const piece = pieces[1]!
      const isKept = (index: Index): boolean => index % 2 === 0
      const parts = [
        { offset: 10, length: 20 },
        { offset: 50, length: 1 },
        { offset: 100, length: 100 },
      ]
      await store.reclaim(epoch, piece, batches(everyPart(piece, 0, 1, isKept).map(({ index }) => ({ index, parts }))))
      const expectIt = async (on: LogStore): Promise<void> => {
        const even = piece.from + (piece.from % 2)
        for (const { offset, length } of parts)
          expect(await part(on, even, offset, length)).toEqual(entryOf(even).slice(offset, offset + length))
        expect(await part(on, even, 12, 3)).toEqual(entryOf(even).slice(12, 15))
        for (const [offset, length] of [
          [9, 2],
          [29, 2],
          [49, 3],
          [0, 200],
          [30, 5],
          [51, 49],
        ] as const)
          expect(await part(on, even, offset, length)).toBeUndefined()
        expect(await part(on, even + 1, 10, 20)).toBeUndefined()
        // Beside it everything is as it was.
        expect(await part(on, piece.from - 1, 10, 20)).toEqual(entryOf(piece.from - 1).slice(10, 30))
        expect(await part(on, piece.to + 1, 0, 200)).toEqual(entryOf(piece.to + 1))
        const mixed = await on.slices([piece.to + 1, even, even + 1, 1].map((index) => ({ epoch, index, offset: 10, length: 20 })))
        expect(mixed.map((found) => found?.length)).toEqual([20, 20, undefined, 20])
        expect(on.pieces(epoch, piece.to).at(-1)?.keptBytes).toBe(121 * everyPart(piece, 0, 1, isKept).length)
      }
      await expectIt(store)
      await store.close()
      await expectIt((await opened(disk)).store)
    })

    it('a reclaimed slot is never read whole: it is reclaimed, not empty and not another one', async () => {
      const { disk, store, pieces } = await filled()
      const piece = pieces[2]!
      await store.reclaim(epoch, piece, batches(everyPart(piece, 0, entryBytes)))
      const expectIt = async (on: LogStore): Promise<void> => {
        await expect(readAll(on, epoch, piece.from, piece.to)).rejects.toMatchObject(reclaimed)
        await expect(readAll(on, epoch, piece.to, 200)).rejects.toMatchObject(reclaimed)
        await expect(readAll(on, epoch, 1, 200)).rejects.toMatchObject(reclaimed)
        expect((await readAll(on, epoch, 1, piece.from - 1)).map(({ index }) => index)).toEqual(
          Array.from({ length: piece.from - 1 }, (_, at) => at + 1),
        )
        expect((await readAll(on, epoch, piece.to + 1, 200)).length).toBe(200 - piece.to)
        const found: Index[] = []
        const reading = async (): Promise<void> => {
          for await (const batch of on.read(epoch, 1, 200)) found.push(...batch.map(({ index }) => index))
        }
        await expect(reading()).rejects.toMatchObject(reclaimed)
        expect(found.at(-1)).toBe(piece.from - 1)
      }
      await expectIt(store)
      await store.close()
      const next = await newStore(disk)
      const { epochs } = await next.open('n1')
      expect(epochs[0]).toMatchObject({ decidedThrough: 200, reclaimedThrough: piece.to, window: [] })
      await expectIt(next)
    })

    it('again it keeps less, never more; the same again changes nothing', async () => {
      const { disk, store, pieces } = await filled()
      const piece = pieces[0]!
      await store.reclaim(epoch, piece, batches(everyPart(piece, 20, 50)))
      const once = store.pieces(epoch, piece.to)[0]!
      await store.reclaim(epoch, once, batches(everyPart(piece, 20, 50)))
      expect(store.pieces(epoch, piece.to)).toEqual([once])
      await expect(store.reclaim(epoch, once, batches(everyPart(piece, 10, 20)))).rejects.toMatchObject(reclaimed)
      expect(await part(store, 3, 20, 50)).toEqual(entryOf(3).slice(20, 70))
      await store.reclaim(epoch, once, batches(everyPart(piece, 30, 10)))
      expect(await part(store, 3, 20, 50)).toBeUndefined()
      expect(await part(store, 3, 30, 10)).toEqual(entryOf(3).slice(30, 40))
      await store.close()
      const { store: next } = await opened(disk)
      expect(await part(next, 3, 30, 10)).toEqual(entryOf(3).slice(30, 40))
      await next.reclaim(epoch, next.pieces(epoch, piece.to)[0]!, nothing())
      expect(await part(next, 3, 30, 10)).toBeUndefined()
    })

    it('a long run of dead pieces does not stay a long list, and what neighbours keep is found', async () => {
      const { disk, store, pieces } = await filled()
      for (const piece of pieces) await store.reclaim(epoch, piece, piece === pieces[1] ? batches(everyPart(piece, 0, 5)) : nothing())
      const left = store.pieces(epoch, 200)
      expect(left.length).toBeLessThan(pieces.length)
      expect([left[0]?.from, last(left).to]).toEqual([1, last(pieces).to])
      for (const on of [store, (await opened(disk)).store]) {
        const index = pieces[1]!.to
        expect(await part(on, index, 0, 5)).toEqual(entryOf(index).slice(0, 5))
        expect(await part(on, index + 1, 0, 5)).toBeUndefined()
      }
    })

    it('refuses what is no piece, what is not decided, and what is out of order, and everything is as it was', async () => {
      const { store, pieces } = await filled()
      const piece = pieces[0]!
      await expect(store.reclaim(epoch, { from: 1, to: piece.to + 1 }, nothing())).rejects.toThrow(RangeError)
      await expect(store.reclaim(epoch, { from: 2, to: piece.to }, nothing())).rejects.toThrow(RangeError)
      await expect(store.reclaim(epoch, { from: 1, to: 201 }, nothing())).rejects.toThrow(RangeError)
      const wrong: readonly (readonly KeptSlot[])[] = [
        [{ index: piece.to + 1, parts: [] }],
        [
          { index: 2, parts: [] },
          { index: 1, parts: [] },
        ],
        [
          {
            index: 1,
            parts: [
              { offset: 0, length: 10 },
              { offset: 5, length: 10 },
            ],
          },
        ],
        [{ index: 1, parts: [{ offset: -1, length: 10 }] }],
      ]
      for (const slots of wrong) await expect(store.reclaim(epoch, piece, batches(slots, 1))).rejects.toThrow(RangeError)
      await expect(store.reclaim(epoch, piece, batches([{ index: 1, parts: [{ offset: 0, length: 201 }] }]))).rejects.toMatchObject(
        reclaimed,
      )
      expect((await readAll(store, epoch, 1, 200)).length).toBe(200)
      expect(store.pieces(epoch, 200)).toEqual(pieces)
    })

    it('what is reclaimed is decided for ever: it is not written again', async () => {
      const { store, pieces } = await filled()
      await store.reclaim(epoch, pieces[0]!, nothing())
      await expect(store.write([slot(1)])).rejects.toThrow(RangeError)
      await append(store, 201, 210)
      expect((await readAll(store, epoch, 201, 210)).length).toBe(10)
    })

    it('goes on in the middle of appends, and of readers', async () => {
      const { disk, store, pieces } = await filled()
      let isOver = false
      const writing = (async () => {
        for (let index = 201; !isOver; index++) await append(store, index, index)
      })()
      const reading = (async () => {
        while (!isOver) {
          for (const { from, to } of pieces) {
            const found = await store.slices([from, to].map((index) => ({ epoch, index, offset: 5, length: 10 })))
            expect(found.map((bytes) => bytes && Uint8Array.from(bytes))).toEqual([entryOf(from).slice(5, 15), entryOf(to).slice(5, 15)])
          }
        }
      })()
      try {
        for (const piece of pieces) await store.reclaim(epoch, piece, batches(everyPart(piece, 5, 10)))
        for (const piece of store.pieces(epoch, last(pieces).to)) await store.reclaim(epoch, piece, batches(everyPart(piece, 5, 10)))
      } finally {
        isOver = true
      }
      await Promise.all([writing, reading])
      await store.close()
      const { store: next } = await opened(disk)
      expect(await part(next, 1, 5, 10)).toEqual(entryOf(1).slice(5, 15))
      expect((await readAll(next, epoch, last(pieces).to + 1, 200)).length).toBe(200 - last(pieces).to)
    })

    it('a former owner reclaims nothing', async () => {
      const { disk, store, pieces } = await filled()
      const { store: second } = await opened(disk)
      await expect(store.reclaim(epoch, pieces[0]!, nothing())).rejects.toMatchObject({ code: 'fenced' })
      expect((await readAll(second, epoch, 1, 200)).length).toBe(200)
      await store.close()
      await expect(store.reclaim(epoch, pieces[0]!, nothing())).rejects.toMatchObject({ code: 'closed' })
    })

    it('what it keeps follows a model, through random reclaims and reopenings', async () => {
      const step = fc.record({ piece: fc.nat(8), ratio: fc.constantFrom(0, 1, 2, 3), cut: fc.nat(90), reopens: fc.boolean() })
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
          const filledDisk = await filled()
          let { store } = filledDisk
          /** By index what is left of its entry; absent: all. */
          const left = new Map<Index, readonly [number, number] | null>()
          for (const { piece: which, ratio, cut, reopens } of steps) {
            const pieces = store.pieces(epoch, 200)
            const piece = pieces[which % pieces.length]!
            const slots: KeptSlot[] = []
            for (let index = piece.from; index <= piece.to; index++) {
              const [from, to] = left.get(index) ?? (left.has(index) ? [0, 0] : [0, entryBytes])
              const [offset, end] = [Math.max(from, cut), Math.min(to, entryBytes - cut)]
              const isKept = ratio > 0 && index % ratio === 0 && end > offset
              if (isKept) slots.push({ index, parts: [{ offset, length: end - offset }] })
              left.set(index, isKept ? [offset, end] : null)
            }
            await store.reclaim(epoch, piece, batches(slots, 7))
            if (!reopens) continue
            await store.close()
            ;({ store } = await opened(filledDisk.disk))
          }
          const whole = Array.from({ length: 200 }, (_, at) => at + 1)
          const asked = whole.map((index) => {
            const [from, to] = left.get(index) ?? [0, entryBytes]
            return { epoch, index, offset: from, length: to - from }
          })
          const found = await store.slices(asked)
          for (const [at, { index, offset, length }] of asked.entries()) {
            const expected = left.get(index) === null ? undefined : entryOf(index).slice(offset, offset + length)
            expect(found[at] && Uint8Array.from(found[at])).toEqual(expected)
          }
          await store.close()
        }),
        { numRuns: Math.ceil((suite.propertyRuns ?? 40) / 8) },
      )
    }, 120_000)
  })
}
