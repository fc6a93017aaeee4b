/**
 * Settings with which Postgres acknowledges what it may lose, or serves what it knows to be damaged. Measured: with `fsync`
 * off a power cut takes everything, without an error; with `synchronous_commit` off the last second. Looked at is what is in
 * force in the session, before this package sets anything, and what the database and the role would set for the next one.
 */
import { StoreError } from '@synod/log'
import type { ClientBase } from 'pg'

const unsafe: Readonly<Record<string, { readonly value: string; readonly danger: string }>> = {
  fsync: { value: 'off', danger: 'a power cut loses acknowledged writes' },
  synchronous_commit: { value: 'off', danger: 'a crash loses acknowledged writes' },
  full_page_writes: { value: 'off', danger: 'a power cut leaves torn pages' },
  zero_damaged_pages: { value: 'on', danger: 'a damaged page reads as an empty one' },
  ignore_checksum_failure: { value: 'on', danger: 'a damaged page is served' },
  data_sync_retry: { value: 'on', danger: 'an fsync that failed is taken for done when it is tried again' },
}

interface Found {
  readonly name: string
  readonly value: string
  /** Where it was set: `configuration file`, `database`, `user`, `role synod`… */
  readonly source: string
}

const query = `
  select name, setting as value, source from pg_settings where name = any($1)
  union all
  select split_part(entry, '=', 1), split_part(entry, '=', 2),
    concat_ws(' of ', case when s.setrole <> 0 then 'role ' || current_user end, case when s.setdatabase <> 0 then 'database ' || current_database() end)
  from pg_db_role_setting s, unnest(s.setconfig) as entry
  where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
    and s.setrole in (0, (select oid from pg_roles where rolname = session_user), (select oid from pg_roles where rolname = current_user))
    and split_part(entry, '=', 1) = any($1)`

/** Throws a StoreError `unsafe_settings` that names the setting and the remedy. Warns where pages have no checksums. */
export async function refuseUnsafeSettings(client: ClientBase, warn: (message: string) => void): Promise<void> {
  const { rows } = await client.query<Found>(query, [[...Object.keys(unsafe), 'data_checksums']])
  for (const { name, value, source } of rows) {
    const rule = unsafe[name]
    if (rule !== undefined && spoken(value) === rule.value) {
      throw new StoreError(
        'unsafe_settings',
        `Postgres runs with ${name} = ${value} (set by: ${source}): ${rule.danger}. ${remedy(name, rule.value === 'off' ? 'on' : 'off', source)}`,
      )
    }
    if (name === 'data_checksums' && value === 'off') {
      warn(
        'this Postgres keeps no data checksums, so that a damaged page may be served as a sound one. Stop it and run: pg_checksums --enable -D <data folder>',
      )
    }
  }
}

/** A boolean can be written in many ways in a role's or a database's settings. */
function spoken(value: string): string {
  const lower = value.toLowerCase()
  if (/^(off|0|f|fa|fal|fals|false|n|no)$/.test(lower)) return 'off'
  return /^(on|1|t|tr|tru|true|y|ye|yes)$/.test(lower) ? 'on' : lower
}

function remedy(name: string, wanted: string, source: string): string {
  if (source === 'client') return `Take ${name} out of the connection string.`
  const ofDatabase = source.includes('database')
  const ofRole = source.includes('user') || source.includes('role')
  if (ofDatabase && ofRole) return `Run: ALTER ROLE <role> IN DATABASE <database> RESET ${name}; and connect again.`
  if (ofRole) return `Run: ALTER ROLE <role> RESET ${name}; and connect again.`
  if (ofDatabase) return `Run: ALTER DATABASE <database> RESET ${name}; and connect again.`
  return `Set ${name} = ${wanted} in postgresql.conf (or on the command line) and restart Postgres.`
}
