/** Space given back on a real Postgres: how much, what a cut connection leaves, and what becomes of a store of an older build. */
import type { KeptSlot, LogStore, Piece, StoreOperation } from '@synod/log'
import { postgresLogStore } from '@synod/log-postgres'
import { testDatabase } from '@synod/servers'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { run } from './store-fixture.ts'

const epoch = 1
const eventBytes = 1000
const slotEvents = 16
const MiB = 2 ** 20

/** Sixteen records of a thousand bytes, that cannot be compressed. */
function entryOf(index: number): Buffer {
  const entry = Buffer.alloc(slotEvents * eventBytes)
  let state = index * 2_654_435_761
  for (let at = 0; at < entry.length; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    entry.writeUInt32LE(state, at)
  }
  return entry
}

const slot = (index: number): StoreOperation => ({ op: 'slot', epoch, index, header: Buffer.from('ballot'), entry: entryOf(index) })

async function fill(store: LogStore, slots: number): Promise<void> {
  for (let from = 1; from <= slots; from += 64) {
    const operations = Array.from({ length: Math.min(64, slots - from + 1) }, (_, at) => slot(from + at))
    await store.write([...operations, { op: 'decidedThrough', epoch, index: from + operations.length - 1 }])
  }
}

async function* keep({ from, to }: Piece, which: (event: number) => boolean): AsyncIterable<readonly KeptSlot[]> {
  for (let index = from; index <= to; index++) {
    const events = Array.from({ length: slotEvents }, (_, at) => at).filter((at) => which(index * slotEvents + at))
    await Promise.resolve()
    yield [{ index, parts: events.map((at) => ({ offset: at * eventBytes, length: eventBytes })) }]
  }
}

async function expectKept(store: LogStore, slots: number, which: (event: number) => boolean): Promise<void> {
  const { to = 0 } = store.pieces(epoch, slots).findLast(({ keptBytes }) => keptBytes !== undefined) ?? {}
  for (let index = 1; index <= slots; index += 29) {
    const asked = Array.from({ length: slotEvents }, (_, at) => ({ epoch, index, offset: at * eventBytes, length: eventBytes }))
    const entry = entryOf(index)
    for (const [at, found] of (await store.slices(asked)).entries()) {
      if (index > to || which(index * slotEvents + at))
        expect(entry.subarray(at * eventBytes, (at + 1) * eventBytes).equals(found!)).toBe(true)
      else expect(found).toBeUndefined()
    }
  }
}

const sizeQuery = `select sum(pg_total_relation_size(c.oid))::float8 as bytes from pg_class c
  join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'synod_log' and c.relkind = 'r'`

async function size(connectionString: string): Promise<number> {
  const [row] = await run(connectionString, sizeQuery)
  return Number(row?.['bytes'])
}

it('a log of 32 MiB of which nine tenths are dead loses at least three quarters of its size on disk, and appends go on', async () => {
  await using database = await testDatabase()
  const { connectionString } = database
  const store = postgresLogStore({ connectionString, pieceBytes: 4 * MiB })
  await store.open('n1')
  const slots = 2048
  await fill(store, slots)
  const before = await size(connectionString)
  expect(before).toBeGreaterThan(30 * MiB)
  let next = slots
  let isOver = false
  const writing = (async () => {
    while (!isOver) await store.write([slot(++next), { op: 'decidedThrough', epoch, index: next }])
  })()
  const isKept = (event: number): boolean => event % 10 === 0
  const pieces = store.pieces(epoch, slots)
  for (const piece of pieces) await store.reclaim(epoch, piece, keep(piece, isKept))
  isOver = true
  await writing
  const after = await size(connectionString)
  const grown = (next - slots) * slotEvents * eventBytes
  const measured = (after - grown) / before
  expect(measured).toBeLessThan(0.25)
  await expectKept(store, slots, isKept)
  // Half of what is left dies too: the tables of parts are written anew.
  for (const piece of store.pieces(epoch, slots))
    await store.reclaim(
      epoch,
      piece,
      keep(piece, (event) => event % 40 === 0),
    )
  expect(await size(connectionString)).toBeLessThan(after)
  await store.close()
  const again = postgresLogStore({ connectionString, pieceBytes: 4 * MiB })
  await again.open('n1')
  await expectKept(again, slots, (event) => event % 40 === 0)
  await again.close()
}, 120_000)

describe('a reclaim that is cut short', () => {
  it('leaves the piece as it was, or as it was to be; the next one ends it, and no table stays behind', async () => {
    await using database = await testDatabase()
    const { connectionString } = database
    const options = { connectionString, pieceBytes: MiB / 2, reconnectTimeoutMs: 5000 }
    let store = postgresLogStore(options)
    await store.open('n1')
    await fill(store, 512)
    const isKept = (event: number): boolean => event % 5 === 0
    const admin = new pg.Client({ connectionString })
    admin.on('error', () => {}) // the database is dropped at the end
    await admin.connect()
    let cuts = 0
    /** Cuts every connection that writes, after so many slots of the piece. */
    async function* cutting(piece: Piece, after: number): AsyncIterable<readonly KeptSlot[]> {
      for await (const batch of keep(piece, isKept)) {
        if (batch[0]!.index === Math.min(piece.to, piece.from + after)) {
          cuts++
          await admin.query(
            `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'synod-log-write' and datname = current_database()`,
          )
        }
        yield batch
      }
    }
    for (let round = 0; ; round++) {
      const piece = store.pieces(epoch, 512).find(({ keptBytes }) => keptBytes === undefined)
      if (piece === undefined) break
      const before = store.pieces(epoch, 512)
      await expect(store.reclaim(epoch, piece, cutting(piece, (round * 13) % 80))).rejects.toMatchObject({
        name: 'StoreError',
        code: 'unavailable',
      })
      expect(store.pieces(epoch, 512)).toEqual(before)
      if (round % 2 === 1) {
        await store.close()
        store = postgresLogStore(options)
        await store.open('n1')
      }
      await store.reclaim(epoch, piece, keep(piece, isKept))
    }
    expect(cuts).toBeGreaterThan(4)
    await expectKept(store, 512, isKept)
    await store.write([slot(513)])
    await store.close()
    store = postgresLogStore(options)
    await store.open('n1')
    await expectKept(store, 512, isKept)
    const [row] = await run(
      connectionString,
      `select (select count(*) from pg_class where relkind = 'r' and relname ~ '^(slots|kept)_[0-9]')::int as tables,
        (select count(distinct slots) + count(distinct kept) from synod_log.pieces)::int as named`,
    )
    expect(row?.['tables']).toBe(row?.['named'])
    await store.close()
    await admin.end()
  }, 120_000)

  it('and whose change took effect without an answer is taken for done', async () => {
    await using database = await testDatabase()
    const { connectionString } = database
    const store = postgresLogStore({ connectionString, pieceBytes: MiB / 2 })
    await store.open('n1')
    await fill(store, 256)
    const [first, second] = store.pieces(epoch, 256)
    // As if the answer to the commit had been lost: the database knows, the store does not.
    await run(
      connectionString,
      `update synod_log.pieces set slots = null where from_index = ${first!.from};
      delete from synod_log.pieces where from_index = ${second!.from}`,
    )
    await store.reclaim(
      epoch,
      second!,
      keep(second!, () => true),
    )
    expect(store.pieces(epoch, 256)[0]).toEqual({ from: 1, to: second!.to, keptBytes: 0 })
    const [part] = await store.slices([{ epoch, index: second!.to, offset: 0, length: 10 }])
    expect(part).toBeUndefined()
    await store.close()
  })
})

it('the table of an older build becomes the first piece, as it is, and goes on; what is in it can be reclaimed', async () => {
  await using database = await testDatabase()
  const { connectionString } = database
  const before = postgresLogStore({ connectionString })
  await before.open('n1')
  await fill(before, 200)
  await before.write(Array.from({ length: 5 }, (_, at) => ({ ...slot(at + 1), epoch: 3 }) as StoreOperation))
  await before.close()
  // Back to what 0001 left.
  await run(
    connectionString,
    `alter table synod_log.slots_1 rename to slots; alter index synod_log.slots_1_pkey rename to slots_pkey;
    drop table synod_log.pieces; drop sequence synod_log.piece_numbers; delete from synod_log.migration where name = '0002_pieces';
    insert into synod_log.slots select * from synod_log.slots_2; drop table synod_log.slots_2`,
  )
  const node = (pieceBytes: number) => postgresLogStore({ connectionString, pieceBytes })
  const store = node(MiB)
  expect((await store.open('n1')).epochs[0]).toMatchObject({ decidedThrough: 200, window: [] })
  expect(await run(connectionString, 'select count(*)::int as moved from synod_log.slots_2')).toEqual([{ moved: 5 }])
  expect(store.pieces(epoch, 200)).toEqual([])
  await store.write([slot(201), { op: 'decidedThrough', epoch, index: 201 }])
  const [piece] = store.pieces(epoch, 201)
  expect(piece).toEqual({ from: 1, to: 200 })
  await store.reclaim(
    epoch,
    piece!,
    keep(piece!, (event) => event % 3 === 0),
  )
  await expectKept(store, 200, (event) => event % 3 === 0)
  await store.close()
}, 60_000)
