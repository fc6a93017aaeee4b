// What verdicts need of a stream's retention stays in memory until it is flushed, whatever the cache does.
import { expect, test } from 'vitest'
import { memoryReadSide, memoryReadSideStorage } from '@synod/events/memory'
import { encodeRetentionState, keepsEverything, retentionCell } from '../src/retention/retention-state.ts'
import { StreamTable } from '../src/stream-table.ts'

const changed = { ...keepsEverything, version: 1, belowRevision: 4 }

async function crowd(table: StreamTable): Promise<void> {
  for (let other = 0; other < 8; other++) {
    table.beginBatch()
    await table.load([`other-${other}`])
  }
}

test('a change of retention is kept until its own slot is flushed, then it is read back', async () => {
  const storage = memoryReadSideStorage()
  const readSide = memoryReadSide({ storage })
  await readSide.open('')
  const table = new StreamTable(readSide, 1)
  await table.load(['s'])
  const state = table.get('s')!
  table.retain(state, changed, 5)
  await crowd(table)
  expect(table.get('s')).toBe(state)
  table.flushed(4)
  await crowd(table)
  expect(table.get('s')).toBe(state)
  expect((await table.findAny('s')).retention).toBe(changed)
  storage.cells.set(retentionCell('s'), { key: retentionCell('s'), value: encodeRetentionState(changed) })
  table.flushed(5)
  await crowd(table)
  expect(table.get('s')).toBeUndefined()
  expect(table.counters()['streamsPinned']).toBe(0)
  const read = await table.findAny('s')
  expect(read).not.toBe(state)
  expect(read.retention).toEqual(changed)
})

test('streams are found together, known or not, and those that nobody asked anything of are left out', async () => {
  const storage = memoryReadSideStorage()
  const readSide = memoryReadSide({ storage })
  await readSide.open('')
  const table = new StreamTable(readSide, 1)
  expect(await table.findRetained(new Set(['s', 't']))).toEqual(new Map())
  storage.cells.set(retentionCell('s'), { key: retentionCell('s'), value: encodeRetentionState(changed) })
  table.restoreRetention()
  expect([...(await table.findRetained(new Set(['s', 't']))).entries()].map(([name, { retention }]) => [name, retention])).toEqual([
    ['s', changed],
  ])
  expect([...(await table.findAll(['s', 't', 'u'])).keys()].toSorted()).toEqual(['s', 't', 'u'])
  expect(table.get('u'), 'a name of nothing does not fill the cache').toBeUndefined()
})

test('a name without a cell is asked for once, until there is one', async () => {
  const storage = memoryReadSideStorage()
  const readSide = memoryReadSide({ storage })
  await readSide.open('')
  let asked = 0
  const cellsNamed = readSide.cellsNamed.bind(readSide)
  const table = new StreamTable(
    Object.assign(readSide, { cellsNamed: (keys: readonly string[]) => ((asked += keys.length), cellsNamed(keys)) }),
    2,
  )
  table.restoreRetention()
  for (let time = 0; time < 3; time++) expect(await table.findRetained(new Set(['s', 't']))).toEqual(new Map())
  expect(asked).toBe(2)
  await table.findRetained(new Set(['u', 's']))
  expect(asked, 'the bound: u took the place of both').toBe(3)
  await table.load(['u'])
  table.retain(table.get('u')!, changed, 5)
  storage.cells.set(retentionCell('u'), { key: retentionCell('u'), value: encodeRetentionState(changed) })
  table.flushed(5)
  await crowd(table)
  expect([...(await table.findRetained(new Set(['u']))).keys()]).toEqual(['u'])
})

test('a change that comes while a name is asked for is not forgotten', async () => {
  const storage = memoryReadSideStorage()
  const readSide = memoryReadSide({ storage })
  await readSide.open('')
  const gates = [Promise.withResolvers<void>()]
  const cellsNamed = readSide.cellsNamed.bind(readSide)
  const table = new StreamTable(
    Object.assign(readSide, {
      async cellsNamed(keys: readonly string[]) {
        const answer = await cellsNamed(keys)
        await gates.shift()?.promise
        return answer
      },
    }),
    2,
  )
  table.restoreRetention()
  const gate = gates[0]!
  const asked = table.findRetained(new Set(['s']))
  await table.load(['s'])
  table.retain(table.get('s')!, changed, 5)
  gate.resolve()
  expect([...(await asked).keys()]).toEqual(['s'])
  storage.cells.set(retentionCell('s'), { key: retentionCell('s'), value: encodeRetentionState(changed) })
  table.flushed(5)
  await crowd(table)
  expect(table.get('s')).toBeUndefined()
  expect([...(await table.findRetained(new Set(['s']))).keys()]).toEqual(['s'])
})

test('a spoiled cell is told as damage, with its name', async () => {
  const storage = memoryReadSideStorage()
  const readSide = memoryReadSide({ storage })
  await readSide.open('')
  const table = new StreamTable(readSide, 1)
  table.restoreRetention()
  storage.cells.set(retentionCell('s'), { key: retentionCell('s'), value: encodeRetentionState(changed).subarray(0, 20) })
  await expect(table.findAny('s')).rejects.toMatchObject({ code: 'damaged', message: expect.stringContaining('stream/s') as unknown })
  storage.cells.set(retentionCell('t'), { key: retentionCell('t'), value: Uint8Array.of(2) })
  await expect(table.findAny('t')).rejects.toMatchObject({ code: 'unknown_version' })
})
