import { StoreError, type LogStore } from '@synod/log'
import { postgresLogStore, store as factory } from '@synod/log-postgres'
import { freePort, temporaryPostgres, testDatabase, type TestDatabase } from '@synod/servers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { contents, entries, run, slot } from './store-fixture.ts'

const genesis = {
  node: 'n1',
  incarnation: 'a'.repeat(32),
  configuration: {
    cluster: 'c'.repeat(32),
    epoch: 1,
    protocol: 'p',
    protocolOptions: '{}',
    voters: [{ node: 'n1', incarnation: 'a'.repeat(32) }],
  },
}

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const opened: LogStore[] = []
async function openOn(connectionString: string, options: { outstandingBytesMax?: number; schema?: string } = {}): Promise<LogStore> {
  const store = postgresLogStore({ connectionString, ...options })
  opened.push(store)
  await store.open('n1')
  return store
}
afterAll(() => Promise.all(opened.map((store) => store.close())))

describe('unsafe settings', () => {
  it.each(['fsync', 'full_page_writes', 'synchronous_commit'])(
    '%s off in the server is refused, by name and with the remedy',
    async (name) => {
      await using server = await temporaryPostgres({ settings: { [name]: 'off' } })
      await expect(openOn(server.connectionString)).rejects.toMatchObject({
        name: 'StoreError',
        code: 'unsafe_settings',
        message: expect.stringMatching(new RegExp(`${name} = off.*Set ${name} = on in postgresql.conf`)),
      })
      const unfounded = postgresLogStore({ connectionString: server.connectionString })
      await expect(unfounded.found(genesis)).rejects.toMatchObject({ code: 'unsafe_settings' })
      await unfounded.close()
    },
  )

  it('damage that reads as nothing is refused', async () => {
    await using server = await temporaryPostgres({ settings: { data_sync_retry: 'on' } })
    await expect(openOn(server.connectionString)).rejects.toThrow(/data_sync_retry = on/)
  })

  it.each([
    ['synchronous_commit', 'off', 'database'],
    ['synchronous_commit', 'off', 'role'],
    ['synchronous_commit', 'off', 'role in database'],
    ['zero_damaged_pages', 'on', 'database'],
    ['ignore_checksum_failure', 'true', 'role'],
  ])('%s = %s set by the %s is refused', async (name, value, by) => {
    const role = `r${Math.random().toString(36).slice(2)}`
    await run(database.connectionString, `create role ${role} superuser login password 'p'`)
    const connectionString = `postgres://${role}:p@${database.host}:${database.port}/${database.database}`
    const on =
      by === 'database' ? `database ${database.database}` : by === 'role' ? `role ${role}` : `role ${role} in database ${database.database}`
    await run(database.connectionString, `alter ${on} set ${name} = ${value}`)
    await expect(openOn(connectionString)).rejects.toMatchObject({
      code: 'unsafe_settings',
      message: expect.stringMatching(new RegExp(`${name} = .*RESET ${name}`)),
    })
    // Even where the session itself is told otherwise: the next one may not be.
    await expect(openOn(`${connectionString}?options=-c%20${name}%3D${value === 'off' ? 'on' : 'off'}`)).rejects.toMatchObject({
      code: 'unsafe_settings',
    })
    await run(database.connectionString, `alter ${on} reset ${name}`)
    await openOn(connectionString, { schema: role })
  })

  it('synchronous_commit off in the connection string is refused', async () => {
    await expect(openOn(`${database.connectionString}?options=-c%20synchronous_commit%3Doff`)).rejects.toThrow(/connection string/)
  })

  it('a session that is told otherwise under way still commits synchronously', async () => {
    await using mine = await testDatabase()
    const store = await openOn(mine.connectionString)
    await run(
      mine.connectionString,
      `create table seen (value text);
       create function note() returns trigger language plpgsql as $$ begin
         insert into seen values (current_setting('synchronous_commit'));
         perform set_config('synchronous_commit', 'off', false);
         return new;
       end $$;
       create trigger note after insert on synod_log.slots_1 for each row execute function note()`,
    )
    await store.write([slot(1)])
    await store.write([slot(2)])
    expect(await run(mine.connectionString, 'select value from seen')).toEqual([{ value: 'on' }, { value: 'on' }])
    await store.close()
  })

  it.each(['fsync', 'full_page_writes'])('%s switched off under way: nothing more is written or acknowledged', async (name) => {
    await using mine = await testDatabase()
    // The test server has its settings on the command line, where no reload changes them: what the session sees does change.
    await run(
      mine.connectionString,
      `create schema fake;
       create table fake.settings (name text, value text);
       create function fake.current_setting(wanted text) returns text language sql volatile
         as $$ select coalesce((select value from fake.settings where name = wanted), pg_catalog.current_setting(wanted)) $$;
       create view fake.pg_settings as select name, fake.current_setting(name) as setting, source from pg_catalog.pg_settings where source <> 'default'`,
    )
    await run(mine.connectionString, `alter database ${mine.database} set search_path = fake, pg_catalog`)
    const store = await openOn(mine.connectionString)
    await store.write([slot(1)])
    await run(mine.connectionString, `insert into fake.settings values ('${name}', 'off')`)
    const refused = { code: 'unsafe_settings', message: expect.stringContaining(`${name} = off`) }
    await expect(store.write([slot(2)])).rejects.toMatchObject(refused)
    await expect(store.write([slot(3)])).rejects.toMatchObject(refused)
    await run(mine.connectionString, 'delete from fake.settings')
    expect(await contents(await openOn(mine.connectionString))).toEqual(entries(1))
    await Promise.all(opened.splice(0).map((each) => each.close()))
  })

  it('warns where pages have no checksums, and opens', async () => {
    await using mine = await testDatabase()
    // A server without them would take an initdb of its own; this database's settings say so.
    await run(
      mine.connectionString,
      `create schema fake; create view fake.pg_settings as select name, case name when 'data_checksums' then 'off' else setting end as setting, source from pg_catalog.pg_settings`,
    )
    await run(mine.connectionString, `alter database ${mine.database} set search_path = fake, pg_catalog`)
    const warnings: string[] = []
    const store = factory.create({ options: { connectionString: mine.connectionString }, warn: (message) => warnings.push(message) })
    await store.open('n1')
    expect(warnings).toEqual([expect.stringContaining('pg_checksums --enable')])
    await store.close()
    const quiet = factory.create({
      options: { connectionString: database.connectionString, schema: 'quiet' },
      warn: (message) => warnings.push(message),
    })
    await quiet.open('n1')
    expect(warnings.length).toBe(1)
    await quiet.close()
  })
})

describe('damage', () => {
  it.each([
    ['an entry', `update s.slots_1 set entry = 'x' where index = 2`],
    ['a header', `update s.slots_1 set header = 'x' where index = 2`],
    ['a row in the wrong place', `update s.slots_1 set index = 4 where index = 2`],
  ])('%s that changed is never served', async (_, statement) => {
    const schema = `damaged_${Math.random().toString(36).slice(2)}`
    const store = await openOn(database.connectionString, { schema })
    await store.write([slot(1), slot(2), slot(3)])
    await run(database.connectionString, statement.replace('s.slots_1', `${schema}.slots_1`))
    await expect(contents(store)).rejects.toMatchObject({ name: 'StoreError', code: 'damaged' })
    await store.write([slot(2), { op: 'truncateFrom', epoch: 1, index: 4 }, slot(3)])
    expect(await contents(store)).toEqual(entries(3))
    await run(database.connectionString, statement.replace('s.slots_1', `${schema}.slots_1`))
    await expect(openOn(database.connectionString, { schema })).rejects.toMatchObject({ code: 'damaged' })
  })

  it.each([
    ['a value', `update s.meta set value = 'x'`],
    ['the genesis record', `update s.genesis set record = replace(record, 'n1', 'n2')`],
    ['the fence row', 'delete from s.fence'],
  ])('%s that changed stops the next opening', async (_, statement) => {
    const schema = `damaged_${Math.random().toString(36).slice(2)}`
    const unfounded = postgresLogStore({ connectionString: database.connectionString, schema })
    await unfounded.found(genesis)
    await unfounded.close()
    const store = await openOn(database.connectionString, { schema })
    await store.write([{ op: 'meta', epoch: 1, key: 'promised', value: new Uint8Array([1]) }])
    await run(database.connectionString, statement.replace('s.', `${schema}.`))
    await expect(openOn(database.connectionString, { schema })).rejects.toMatchObject({ code: 'damaged' })
  })
})

describe('other refusals', () => {
  it('bug 6: a full disk: the store is dead, and what it holds is whole', async () => {
    const schema = 'full' // a word of SQL, too
    const store = await openOn(database.connectionString, { schema })
    await store.write([slot(1)])
    await run(
      database.connectionString,
      `create function fill() returns trigger language plpgsql as 'begin if new.index = 3 then raise exception ''could not extend file'' using errcode = ''53100''; end if; return new; end';
       create trigger fill before insert on "full".slots_1 for each row execute function fill()`,
    )
    await expect(store.write([slot(2), slot(3)])).rejects.toMatchObject({ name: 'StoreError', code: 'disk_full' })
    await expect(store.write([slot(4)])).rejects.toMatchObject({ code: 'disk_full' })
    const next = await openOn(database.connectionString, { schema })
    expect(await contents(next)).toEqual(entries(1))
  })

  it('a schema of a newer build', async () => {
    const schema = 'newer'
    await openOn(database.connectionString, { schema })
    await run(database.connectionString, `insert into newer.migration (name, timestamp) values ('0999_future', '')`)
    await expect(openOn(database.connectionString, { schema })).rejects.toMatchObject({
      code: 'newer_schema',
      message: expect.stringContaining('0999_future'),
    })
  })

  it('more outstanding bytes than the bound', async () => {
    const store = await openOn(database.connectionString, { schema: 'bounded', outstandingBytesMax: 1000 })
    const writes = await Promise.allSettled(Array.from({ length: 20 }, (_, at) => store.write([slot(at + 1, 'x'.repeat(100))])))
    expect(writes.at(-1)).toMatchObject({
      status: 'rejected',
      reason: { code: 'unavailable', message: expect.stringContaining('outstandingBytesMax') },
    })
    await expect(store.write([slot(1)])).rejects.toMatchObject({ code: 'unavailable' })
  })

  it('no server, a wrong password, no such database', async () => {
    const nobody = `postgres://u:p@127.0.0.1:${await freePort()}/d`
    await expect(openOn(nobody)).rejects.toMatchObject({ name: 'StoreError', code: 'unavailable' })
    await expect(openOn(database.connectionString.replace(database.password, 'wrong'))).rejects.toMatchObject({ code: 'unavailable' })
    await expect(openOn(`${database.connectionString}_not`)).rejects.toMatchObject({ code: 'unavailable' })
  })

  it.each([
    [undefined, 'options'],
    [{}, 'connectionString'],
    [{ connectionString: 'mysql://x' }, 'connectionString'],
    [{ connectionString: 'postgres://x', colour: 'red' }, 'colour'],
    [{ connectionString: 'postgres://x', schema: 'Robert"); drop table' }, 'schema'],
    [{ connectionString: 'postgres://x', readConnectionsMax: 1 }, 'readConnectionsMax'],
    [{ connectionString: 'postgres://x', transactionBytesMax: 0.5 }, 'transactionBytesMax'],
  ])('options %j: names %s', (options, named) => {
    expect(() => factory.create({ options })).toThrow(StoreError)
    expect(() => factory.create({ options })).toThrow(
      expect.objectContaining({ code: 'invalid_options', message: expect.stringContaining(named) }),
    )
  })

  it('many processes that open an empty database at once get a boot each', async () => {
    await using mine = await testDatabase()
    const stores = Array.from({ length: 5 }, () => postgresLogStore({ connectionString: mine.connectionString }))
    const boots = (await Promise.all(stores.map((store) => store.open('n1')))).map(({ boot }) => boot)
    expect(boots.toSorted((left, right) => left - right)).toEqual([1, 2, 3, 4, 5])
    await Promise.all(stores.map((store) => store.close()))
  })
})

it('writes called together share a transaction', async () => {
  const store = await openOn(database.connectionString, { schema: 'grouped' })
  await Promise.all(Array.from({ length: 64 }, (_, at) => store.write([slot(at + 1)])))
  expect(store.counters()).toMatchObject({ writes: 64, transactions: 1, rows_written: 64 })
  expect(store.counters().storage_bytes).toBeGreaterThan(0)
})
