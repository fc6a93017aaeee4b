import type { LogStore } from '@synod/log'
import { postgresLogStore } from '@synod/log-postgres'
import { temporaryPostgres, testDatabase, type TestDatabase } from '@synod/servers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { postgresProxy, type PostgresProxy } from './postgres-proxy.ts'
import { contents, entries, run, slot } from './store-fixture.ts'

describe('a write whose answer was lost', () => {
  let database: TestDatabase
  let proxy: PostgresProxy
  let store: LogStore
  const write = { text: 'synod_write' }

  const openStore = async (options: { statementTimeoutMs?: number; reconnectTimeoutMs?: number } = {}): Promise<LogStore> => {
    store = postgresLogStore({ connectionString: throughProxy(database, proxy), ...options })
    await store.open('n1')
    await store.write([slot(1)])
    return store
  }

  beforeEach(async () => {
    database = await testDatabase()
    proxy = await postgresProxy(database.port)
  })
  afterEach(async () => {
    await store.close()
    proxy.close()
    await database.drop()
  })

  it('was committed: it is acknowledged and not written again', async () => {
    await openStore()
    proxy.arm({ fault: 'lostAnswer', ...write })
    await run(database.connectionString, countingTrigger)
    await Promise.all([store.write([slot(2)]), store.write([slot(3)])])
    expect(proxy.armed()).toBe(0)
    expect(store.counters()).toMatchObject({ unknown_commits: 1, unknown_commits_done: 1 })
    expect(await run(database.connectionString, 'select count(*)::int as rows from written')).toEqual([{ rows: 2 }])
    await store.write([slot(4)])
    expect(await contents(store)).toEqual(entries(4))
  })

  it('never reached the server: it is written, once', async () => {
    await openStore()
    proxy.arm({ fault: 'lostStatement', ...write })
    await run(database.connectionString, countingTrigger)
    await Promise.all([store.write([slot(2)]), store.write([slot(3)])])
    expect(store.counters()).toMatchObject({ unknown_commits: 1, unknown_commits_done: 0 })
    expect(await run(database.connectionString, 'select count(*)::int as rows from written')).toEqual([{ rows: 2 }])
    await store.write([slot(4)])
    expect(await contents(store)).toEqual(entries(4))
  })

  it('reaches the server after it was written again: it finds its number taken', async () => {
    await openStore()
    proxy.arm({ fault: 'lateStatement', ...write })
    await store.write([slot(2), slot(3, 'to be cut')])
    await store.write([{ op: 'truncateFrom', epoch: 1, index: 3 }])
    await proxy.deliverLate()
    expect(await contents(store)).toEqual(entries(2))
    await store.write([slot(3)])
    expect(await contents(store)).toEqual(entries(3))
  })

  it('is lost again and again, statement and answer, also while it is settled', async () => {
    await openStore()
    proxy.arm(
      { fault: 'lostStatement', ...write },
      { fault: 'lostStatement', text: 'for update' },
      { fault: 'lostStatement', ...write },
      { fault: 'lostAnswer', ...write },
      { fault: 'lostStatement', text: 'commit\0' },
      { fault: 'lostAnswer', text: 'commit\0' },
    )
    await store.write([slot(2)])
    expect(proxy.armed()).toBe(0)
    expect(store.counters()).toMatchObject({ unknown_commits: 1, unknown_commits_done: 1 })
    await store.write([slot(3)])
    expect(await contents(store)).toEqual(entries(3))
  })

  it('does not come at all: after the time-out the connection counts as lost', async () => {
    await openStore({ statementTimeoutMs: 300 })
    proxy.arm({ fault: 'noAnswer', ...write })
    await store.write([slot(2)])
    expect(store.counters()).toMatchObject({ unknown_commits: 1, unknown_commits_done: 1 })
    expect(await contents(store)).toEqual(entries(2))
  })

  it('while another process took the store over: fenced', async () => {
    await openStore()
    const other = postgresLogStore({ connectionString: database.connectionString })
    await other.open('n1')
    proxy.arm({ fault: 'lostStatement', ...write })
    await expect(store.write([slot(2)])).rejects.toMatchObject({ code: 'fenced' })
    await other.close()
  })

  it('and the server stays away: unavailable, once and for all', async () => {
    await openStore({ reconnectTimeoutMs: 300 })
    proxy.arm({ fault: 'lostStatement', ...write })
    const lost = store.write([slot(2)])
    proxy.close()
    const behind = store.write([slot(3)])
    const [first, second] = await Promise.allSettled([lost, behind])
    expect(first).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } })
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } })
    await expect(store.write([slot(4)])).rejects.toMatchObject({ code: 'unavailable' })
    await expect(contents(store)).rejects.toMatchObject({ code: 'unavailable' })
  })

  it('by a database that forgot what it had acknowledged: damaged', async () => {
    await openStore()
    await store.write([slot(2)])
    await run(database.connectionString, 'update synod_log.fence set write_sequence = write_sequence - 1')
    await expect(store.write([slot(3)])).rejects.toMatchObject({ code: 'damaged' })
    await expect(store.write([slot(3)])).rejects.toMatchObject({ code: 'damaged' })
  })
})

describe('a server that fails under load', () => {
  it('backends that are killed again and again: every write is there once, in order', async () => {
    await using database = await testDatabase()
    const store = postgresLogStore({ connectionString: database.connectionString })
    await store.open('n1')
    let kills = 0
    const killer = (async () => {
      while (kills < 15) {
        const rows = await run(
          database.connectionString,
          `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'synod-log%'`,
        )
        kills += rows.length > 0 ? 1 : 0
      }
    })()
    const written = await writeUntil(store, () => kills >= 15)
    await killer
    expect(await contents(store)).toEqual(entries(written))
    expect(store.counters().reconnects).toBeGreaterThan(0)
    await store.close()
  })

  it('a server that is killed and comes back: the writes under way wait, and none is lost or doubled', async () => {
    let server = await temporaryPostgres()
    const store = postgresLogStore({ connectionString: server.connectionString, reconnectTimeoutMs: 60_000 })
    await store.open('n1')
    let restarts = 0
    const breaker = (async () => {
      for (; restarts < 3; restarts++) {
        await store.write([]) // it works again
        await server.kill()
        server = await server.restart()
      }
    })()
    const written = await writeUntil(store, () => restarts >= 3)
    await breaker
    expect(await contents(store)).toEqual(entries(written))
    await store.close()
    const next = postgresLogStore({ connectionString: server.connectionString })
    const { epochs } = await next.open('n1')
    expect(epochs[0]?.window.length).toBe(written)
    await next.close()
    await server.remove()
  }, 120_000)

  it('a server that is killed for good: what was acknowledged is found by the next owner', async () => {
    let server = await temporaryPostgres()
    const store = postgresLogStore({ connectionString: server.connectionString, reconnectTimeoutMs: 200 })
    await store.open('n1')
    let acknowledged = 0
    const writes = Array.from({ length: 2000 }, async (_, at) => {
      await new Promise((resolve) => setTimeout(resolve, at / 4))
      await store.write([slot(at + 1)])
      acknowledged++
      if (acknowledged === 200) await server.kill()
    })
    const results = await Promise.allSettled(writes)
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'unavailable' } })
    await store.close()
    server = await server.restart()
    const next = postgresLogStore({ connectionString: server.connectionString })
    const { epochs, boot } = await next.open('n1')
    expect(boot).toBe(2)
    const found = epochs[0]?.window.map(({ index }) => index) ?? []
    expect(found.length).toBeGreaterThanOrEqual(acknowledged)
    expect(found).toEqual(found.map((_, at) => at + 1))
    await next.close()
    await server.remove()
  }, 120_000)
})

const countingTrigger = `
  create table written (index bigint);
  create function note() returns trigger language plpgsql as 'begin insert into written values (new.index); return new; end';
  create trigger note after insert or update on synod_log.slots_1 for each row execute function note()`

function throughProxy(database: TestDatabase, proxy: PostgresProxy): string {
  return database.connectionString.replace(`:${database.port}/`, `:${proxy.port}/`)
}

/** Ten writers, each waiting for its answer, until `isOver`; how many slots were acknowledged. */
async function writeUntil(store: LogStore, isOver: () => boolean): Promise<number> {
  let next = 1
  const writer = async (): Promise<void> => {
    while (!isOver()) await store.write([slot(next++)])
  }
  await Promise.all(Array.from({ length: 10 }, writer))
  return next - 1
}
