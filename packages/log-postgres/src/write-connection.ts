import { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { CheckedOptions } from './postgres-log-store-options.ts'
import { refuseUnsafeSettings } from './safe-settings.ts'

/** One connection of known settings, that can be cut at once, whatever it waits for. */
export interface WriteConnection {
  readonly client: pg.Client
  /** Nothing is waited for, and nothing is known about a statement that was under way. */
  cut(): void
  /** Takes leave of the server, for at most a second. */
  end(): Promise<void>
}

/**
 * What the session must not inherit from the server, the database or the role. A plan that was made for an empty table would
 * scan or sort a large one: hence nothing but index scans, which read in order and stop early.
 */
export const sessionSettings: Readonly<Record<string, string>> = {
  synchronous_commit: 'on',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  statement_timeout: '0',
  lock_timeout: '0',
  transaction_timeout: '0',
  idle_session_timeout: '0',
  idle_in_transaction_session_timeout: '60s',
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
  jit: 'off',
  bytea_output: 'hex',
}

/** Settings that this version of Postgres does not have are left out. */
export async function applySessionSettings(client: pg.ClientBase): Promise<void> {
  await client.query(
    `select set_config(given.name, given.value, false)
     from unnest($1::text[], $2::text[]) as given (name, value) join pg_settings s on s.name = given.name`,
    [Object.keys(sessionSettings), Object.values(sessionSettings)],
  )
}

/** Throws what pg throws, or a StoreError `unsafe_settings`. */
export async function connectForWriting(
  options: Pick<CheckedOptions, 'connectionString' | 'statementTimeoutMs'>,
  warn: (message: string) => void,
): Promise<WriteConnection> {
  const socket = new Socket()
  const client = new pg.Client({
    connectionString: options.connectionString,
    application_name: 'synod-log-write',
    connectionTimeoutMillis: options.statementTimeoutMs,
    query_timeout: options.statementTimeoutMs,
    keepAlive: true,
    stream: () => socket,
  })
  client.on('error', () => {}) // the statement under way, or the next one, is told too
  const cut = (): void => {
    socket.destroy()
  }
  try {
    await client.connect()
    await refuseUnsafeSettings(client, warn)
    await applySessionSettings(client)
    const end = async (): Promise<void> => {
      await Promise.race([client.end().catch(() => {}), sleep(1000, undefined, { ref: false })]) // cut in any case
      cut()
    }
    return { client, cut, end }
  } catch (error) {
    cut()
    throw error
  }
}
