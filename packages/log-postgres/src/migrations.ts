import { StoreError } from '@synod/log'
import { sql, type Kysely } from 'kysely'
import { Migrator, type Migration } from 'kysely/migration'
import type { Schema } from './schema.ts'

/**
 * Every row is small but a slot's: an entry is stored as it is (`external`: no compression, and a part can be read alone),
 * inside the row while that fits into a page. Rows that are overwritten all the time leave room in their page, so that an
 * update touches no index. One plain table for the slots, and not yet partitions: docs/decisions says why.
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
