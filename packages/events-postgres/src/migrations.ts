import { ReadSideError } from '@synod/events'
import { sql, type Kysely } from 'kysely'
import { Migrator, type Migration } from 'kysely/migration'
import { readSideErrorOf } from './postgres-failure.ts'

/**
 * Rows are only ever added, but for the mark's and the cells', which leave room in their pages so that an update touches no
 * index. Names are bytes: any name can be stored, a zero too, and nothing depends on a collation. Columns stand in the order
 * that needs no padding.
 */
function migrations(schema: string): Record<string, Migration> {
  return {
    '0001_events': {
      async up(db) {
        const to = (table: string) => sql.table(`${schema}.${table}`)
        await sql`create table ${to('mark')} (
          id boolean primary key default true check (id),
          boot bigint not null, slot bigint not null, position bigint not null, streams bigint not null,
          settings text) with (fillfactor = 20)`.execute(db)
        await sql`insert into ${to('mark')} (boot, slot, position, streams) values (0, 0, 0, 0)`.execute(db)
        await sql`create table ${to('streams')} (number integer primary key, name bytea not null unique)`.execute(db)
        await sql`create table ${to('events')} (
          revision bigint not null, position bigint not null, slot bigint not null,
          stream integer not null, start integer not null, length integer not null,
          primary key (stream, revision))`.execute(db)
        await sql`create table ${to('slots')} (
          slot bigint primary key, first_position bigint unique, count integer not null,
          index bytea storage external not null)`.execute(db)
        await sql`create table ${to('keys')} (
          sequence bigint primary key, principal bytea not null, key bytea not null, digest bytea not null, answer bytea not null)`.execute(
          db,
        )
      },
    },
    /** docs/decisions/0021-runs-in-the-read-side.md. What was there is built again from the log, as the mark then says. */
    '0002_runs': {
      async up(db) {
        const to = (table: string) => sql.table(`${schema}.${table}`)
        await sql`drop table ${to('events')}`.execute(db)
        await sql`create table ${to('runs')} (
          stream integer not null, count integer not null, revision bigint not null, places bytea storage main not null,
          primary key (stream, revision)) with (toast_tuple_target = 8160)`.execute(db)
        await sql`truncate ${to('streams')}, ${to('slots')}, ${to('keys')}`.execute(db)
        await sql`alter table ${to('slots')} alter column index set storage main, set (toast_tuple_target = 8160)`.execute(db)
        await sql`update ${to('mark')} set slot = 0, position = 0, streams = 0`.execute(db)
      },
    },
    /** Emptied as well: what was flushed has no postings, and the settings that are remembered gain a member. Cells are updated in place: room in the page. */
    '0003_postings_and_cells': {
      async up(db) {
        const to = (table: string) => sql.table(`${schema}.${table}`)
        await sql`create table ${to('postings')} (
          last bigint not null, first bigint not null, count integer not null, term bytea not null,
          positions bytea storage main not null,
          primary key (term, last)) with (toast_tuple_target = 8160)`.execute(db)
        await sql`create table ${to('cells')} (key bytea primary key, value bytea not null) with (fillfactor = 50)`.execute(db)
        await sql`truncate ${to('streams')}, ${to('runs')}, ${to('slots')}, ${to('keys')}`.execute(db)
        await sql`update ${to('mark')} set slot = 0, position = 0, streams = 0, settings = null`.execute(db)
      },
    },
  }
}

const table = 'migration'

/** Brings the schema up to date, in one transaction, one process at a time. Throws a ReadSideError `unknown_version`. */
export async function migrate(db: Kysely<unknown>, schema: string): Promise<void> {
  const known = migrations(schema)
  await refuseNewer(db, schema, Object.keys(known))
  const migrator = new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve(known) },
    migrationTableName: table,
    migrationLockTableName: 'migration_lock',
    migrationTableSchema: schema,
  })
  const { error } = await migrator.migrateToLatest()
  if (error === undefined) return
  await refuseNewer(db, schema, Object.keys(known)) // another process, newer than this one, may have been faster
  throw readSideErrorOf(error)
}

async function refuseNewer(db: Kysely<unknown>, schema: string, known: readonly string[]): Promise<void> {
  const { rows: tables } = await sql<{ there: boolean }>`select to_regclass(${`${schema}.${table}`}) is not null as there`.execute(db)
  if (tables[0]?.there !== true) return
  const { rows } = await sql<{ name: string }>`select name from ${sql.table(`${schema}.${table}`)} order by name`.execute(db)
  const newer = rows.filter(({ name }) => !known.includes(name)).map(({ name }) => name)
  if (newer.length > 0) {
    throw new ReadSideError(
      'unknown_version',
      `the schema ${schema} was brought to ${newer.join(', ')} by a newer build; this one knows ${known.join(', ')}: start the newer build`,
    )
  }
}
