import { StoreError } from '@synod/log'
import { sql, type Kysely } from 'kysely'
import { Migrator, type Migration } from 'kysely/migration'
import { createSlotsTable } from './piece-tables.ts'
import type { Schema } from './schema.ts'

/**
 * Every row is small but a slot's (piece-tables.ts). Rows that are overwritten all the time leave room in their page, so that
 * an update touches no index.
 */
function migrations(schema: string): Record<string, Migration> {
  return {
    '0001_log': {
      async up(db) {
        const to = (table: string) => sql.table(`${schema}.${table}`)
        await sql`create table ${to('fence')} (
          id boolean primary key default true check (id),
          boot bigint not null, write_sequence bigint not null) with (fillfactor = 20)`.execute(db)
        await sql`insert into ${to('fence')} (boot, write_sequence) values (0, 0)`.execute(db)
        await sql`create table ${to('genesis')} (
          id boolean primary key default true check (id),
          record text not null, checksum integer not null)`.execute(db)
        await sql`create table ${to('meta')} (
          epoch bigint not null, key text collate "C" not null, value bytea not null, checksum integer not null,
          primary key (epoch, key)) with (fillfactor = 50)`.execute(db)
        await sql`create table ${to('epochs')} (
          epoch bigint primary key, decided_through bigint not null) with (fillfactor = 20)`.execute(db)
        await sql`create table ${to('slots')} (
          epoch bigint not null, index bigint not null, checksum integer not null,
          header bytea storage main not null, entry bytea storage external not null,
          primary key (epoch, index)) with (fillfactor = 100, toast_tuple_target = 8160)`.execute(db)
      },
    },
    /** docs/decisions/0028: the one table becomes the first piece, as it is. */
    '0002_pieces': {
      async up(db) {
        const to = (table: string) => sql.table(`${schema}.${table}`)
        await sql`create table ${to('pieces')} (
          epoch bigint not null, from_index bigint not null, slots bigint, kept bigint, kept_bytes bigint not null default 0,
          primary key (epoch, from_index))`.execute(db)
        await sql`create sequence ${to('piece_numbers')} start 2`.execute(db)
        await sql`alter table ${to('slots')} rename to slots_1`.execute(db)
        await sql`alter index ${to('slots_pkey')} rename to slots_1_pkey`.execute(db)
        await sql`insert into ${to('pieces')} (epoch, from_index, slots) values (1, 1, 1)`.execute(db)
        await moveLaterEpochs(db, schema)
      },
    },
  }
}

/** A table holds slots of one epoch. There was no more than one so far; what a test or a later build left is moved. */
async function moveLaterEpochs(db: Kysely<unknown>, schema: string): Promise<void> {
  for (let after = 1; ;) {
    const { rows } = await sql<{ epoch: string }>`select epoch from ${sql.table(`${schema}.slots_1`)}
      where epoch > ${String(after)}::bigint order by epoch limit 1`.execute(db)
    if (rows[0] === undefined) return
    after = Number(rows[0].epoch)
    const { rows: numbers } = await sql<{ number: string }>`select nextval(${`"${schema}".piece_numbers`}) as number`.execute(db)
    const number = Number(numbers[0]?.number)
    await sql.raw(createSlotsTable(schema, number)).execute(db)
    await sql`with moved as (delete from ${sql.table(`${schema}.slots_1`)} where epoch = ${String(after)}::bigint returning *)
      insert into ${sql.table(`${schema}.slots_${number}`)} (epoch, index, checksum, header, entry)
      select epoch, index, checksum, header, entry from moved`.execute(db)
    await sql`insert into ${sql.table(`${schema}.pieces`)} (epoch, from_index, slots) values (${after}, 1, ${number})`.execute(db)
  }
}

const table = 'migration'
const lockTable = 'migration_lock'

/** Brings the schema up to date, in one transaction, one process at a time. Throws a StoreError `newer_schema`. */
export async function migrate(db: Kysely<Schema>, schema: string): Promise<void> {
  const known = migrations(schema)
  await refuseNewer(db, schema, Object.keys(known))
  const migrator = new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve(known) },
    migrationTableName: table,
    migrationLockTableName: lockTable,
    migrationTableSchema: schema,
  })
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) {
    await refuseNewer(db, schema, Object.keys(known)) // another process, newer than this one, may have been faster
    throw error instanceof Error ? error : new Error('a migration failed', { cause: error })
  }
}

async function refuseNewer(db: Kysely<Schema>, schema: string, known: readonly string[]): Promise<void> {
  const { rows: tables } = await sql<{ there: boolean }>`select to_regclass(${`"${schema}".${table}`}) is not null as there`.execute(db)
  if (tables[0]?.there !== true) return
  const { rows } = await sql<{ name: string }>`select name from ${sql.table(`${schema}.${table}`)} order by name`.execute(db)
  const newer = rows.filter(({ name }) => !known.includes(name)).map(({ name }) => name)
  if (newer.length > 0) {
    throw new StoreError(
      'newer_schema',
      `the schema ${schema} was brought to ${newer.join(', ')} by a newer build; this one knows ${known.join(', ')}: start the newer build`,
    )
  }
}
