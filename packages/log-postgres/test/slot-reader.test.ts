import { postgresLogStore } from '@synod/log-postgres'
import { testDatabase } from '@synod/servers'
import { expect, it, vi } from 'vitest'
import { contents, entries, run, slot } from './store-fixture.ts'

it('a long log is read in time proportional to its length, with plans made while it was empty and later', async () => {
  await using database = await testDatabase()
  const store = postgresLogStore({ connectionString: database.connectionString, readConnectionsMax: 2 })
  await store.open('n1')
  expect(await contents(store)).toEqual([])
  const total = 10_000
  const padding = 'x'.repeat(3000) // wide rows: with narrow ones the planner chooses well by itself
  for (let from = 1; from <= total; from += 1000) {
    await store.write(Array.from({ length: 1000 }, (_, at) => slot(from + at, padding)))
  }
  expect((await contents(store)).length).toBe(total)
  await store.close()
  const next = postgresLogStore({ connectionString: database.connectionString })
  await next.open('n1')
  expect((await contents(next)).length).toBe(total)
  await next.close()
  // Three reads: the opening is one, since nothing is decided. A plan that collects and sorts the rest of the log for every batch reads some 10 times as many index entries. A backend
  // reports its statistics when it ends, which is some moments after the connection has.
  await vi.waitFor(
    async () => {
      const [row] = await run(
        database.connectionString,
        `select idx_tup_read::int as read from pg_stat_user_indexes where relname = 'slots_1'`,
      )
      expect(row?.read).toBeGreaterThanOrEqual(3 * total)
    },
    { timeout: 20_000, interval: 50 },
  )
  const [row] = await run(database.connectionString, `select idx_tup_read::int as read from pg_stat_user_indexes where relname = 'slots_1'`)
  expect(row?.read).toBeLessThan(4 * total)
})

it('a truncation leaves no row behind, however long the suffix, and touches no other epoch', async () => {
  await using database = await testDatabase()
  const store = postgresLogStore({ connectionString: database.connectionString })
  await store.open('n1')
  await store.write([...Array.from({ length: 5000 }, (_, at) => slot(at + 1)), slot(3000, 'other', 2)])
  await store.write([{ op: 'truncateFrom', epoch: 1, index: 11 }])
  expect(await contents(store)).toEqual(entries(10))
  expect(
    await run(
      database.connectionString,
      'select (select count(*) from synod_log.slots_1)::int as first, (select count(*) from synod_log.slots_2)::int as other',
    ),
  ).toEqual([{ first: 10, other: 1 }])
  await store.close()
})

it('readers beyond the connections wait for one', async () => {
  await using database = await testDatabase()
  const store = postgresLogStore({ connectionString: database.connectionString, readConnectionsMax: 2 })
  await store.open('n1')
  await store.write(Array.from({ length: 50 }, (_, at) => slot(at + 1)))
  const reads = Array.from({ length: 40 }, () => contents(store))
  for (const found of await Promise.all(reads)) expect(found).toEqual(entries(50))
  expect(store.counters().read_connections).toBeLessThanOrEqual(2)
  await store.close()
})
