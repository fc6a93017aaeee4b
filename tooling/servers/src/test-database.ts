import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import type { TemporaryPostgres } from './temporary-postgres.ts'
import { temporaryPostgres } from './temporary-postgres.ts'

export interface TestDatabase extends AsyncDisposable {
  readonly connectionString: string
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** Cuts its connections and drops it. Not needed at the end of a test file: the server goes with the process. */
  drop(): Promise<void>
}

// A test runner loads modules anew for every test file, perhaps in the same process: the server is kept beside the modules.
const shared = globalThis as { synodTestPostgres?: Promise<TemporaryPostgres> }

/** A new, empty database on a real Postgres that all tests of this process share; the first call starts it (0.6 s). */
export async function testDatabase(): Promise<TestDatabase> {
  shared.synodTestPostgres ??= temporaryPostgres({ settings: { max_connections: '200', shared_buffers: '64MB' } })
  const server = await shared.synodTestPostgres
  const database = `test_${randomBytes(6).toString('hex')}`
  await administer(server, `create database ${database}`)
  const drop = (): Promise<void> => administer(server, `drop database if exists ${database} with (force)`)
  const { host, port, user, password } = server
  const connectionString = `postgres://${user}:${password}@${host}:${port}/${database}`
  return { connectionString, host, port, user, password, database, drop, [Symbol.asyncDispose]: drop }
}

async function administer(server: TemporaryPostgres, statement: string): Promise<void> {
  const client = new Client({ connectionString: server.connectionString })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
