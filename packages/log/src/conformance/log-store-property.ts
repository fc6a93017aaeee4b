import fc from 'fast-check'
import { expect } from 'vitest'
import type { LogStore, StoredSlot, StoreOperation } from '../log-store.ts'
import type { Epoch, Index } from '../slot.ts'
import type { LogStoreDisk } from './log-store-conformance.ts'
import { LogStoreModel } from './log-store-model.ts'
import { plain, plainSlots, readAll } from './plain.ts'

// Small ranges, so that operations meet.
const epoch = fc.integer({ min: 1, max: 2 })
const index = fc.integer({ min: 1, max: 6 })
const bytes = fc.uint8Array({ maxLength: 40 })

const operation: fc.Arbitrary<StoreOperation> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ op: fc.constant('slot' as const), epoch, index, header: bytes, entry: bytes }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('decidedThrough' as const), epoch, index }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('truncateFrom' as const), epoch, index }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('meta' as const),
      epoch: fc.integer({ min: 0, max: 3 }),
      key: fc.constantFrom('promised', 'term', 'ü "\\ {,}'),
      value: bytes,
    }),
  },
)

type Step =
  | { readonly step: 'write'; readonly operations: readonly StoreOperation[] }
  | { readonly step: 'settle' }
  | { readonly step: 'reopen' }
  | { readonly step: 'takeOver' }
  | { readonly step: 'read'; readonly epoch: Epoch; readonly from: Index; readonly to: Index }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ step: fc.constant('write' as const), operations: fc.array(operation, { maxLength: 6 }) }) },
  { weight: 4, arbitrary: fc.constant({ step: 'settle' as const }) },
  { weight: 1, arbitrary: fc.constant({ step: 'reopen' as const }) },
  { weight: 1, arbitrary: fc.constant({ step: 'takeOver' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ step: fc.constant('read' as const), epoch, from: index, to: fc.integer({ min: 1, max: 30 }) }),
  },
)

/** Random batches, outstanding together, with reopenings in between, against the model. */
export async function storeFollowsModel(create: () => Promise<LogStoreDisk>, runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
      const disk = await create()
      try {
        await follow(disk, steps)
      } finally {
        await disk.dispose()
      }
    }),
    { numRuns: runs },
  )
}

async function follow(disk: LogStoreDisk, steps: readonly Step[]): Promise<void> {
  const model = new LogStoreModel()
  let outstanding: Promise<void>[] = []
  let boot = 0
  let store: LogStore
  const settle = async (): Promise<void> => {
    await Promise.all(outstanding)
    outstanding = []
  }
  const openNext = async (): Promise<void> => {
    store = await disk.store()
    const recovered = await store.open('n1')
    expect(recovered.boot).toBe(++boot)
    expect(plain(recovered.epochs)).toEqual(plain(model.recovered()))
  }
  await openNext()
  for (const each of steps) {
    switch (each.step) {
      case 'write': {
        const lawful = each.operations.map((wanted) => {
          const possible = model.lawful(wanted)
          model.apply(possible)
          return possible
        })
        outstanding.push(store!.write(lawful))
        break
      }
      case 'settle':
        await settle()
        break
      case 'reopen':
        await store!.close()
        await settle()
        await openNext()
        break
      case 'takeOver': {
        await settle()
        const former = store!
        await openNext()
        await expect(former.write([])).rejects.toMatchObject({ code: 'fenced' })
        await former.close()
        break
      }
      case 'read': {
        await settle()
        const found = await readAll(store!, each.epoch, each.from, each.to)
        expect(plainSlots(found)).toEqual(plainSlots(model.slots(each.epoch, each.from, each.to)))
        await expectSlices(store!, each.epoch, found)
      }
    }
  }
  await settle()
  await store!.close()
  await openNext()
  await store!.close()
}

async function expectSlices(store: LogStore, ofEpoch: Epoch, found: readonly StoredSlot[]): Promise<void> {
  const asked = found.flatMap(({ index: at, entry }) => {
    const middle = entry.length >>> 1
    return [
      { epoch: ofEpoch, index: at, offset: middle, length: entry.length - middle },
      { epoch: ofEpoch, index: at, offset: 0, length: middle },
    ]
  })
  const wanted = found.flatMap(({ entry }) => [entry.slice(entry.length >>> 1), entry.slice(0, entry.length >>> 1)])
  expect((await store.slices(asked)).map(plain)).toEqual(wanted.map(plain))
}
