import { ReadSideError } from '@synod/events'

export interface PostgresReadSideOptions {
  /** `postgres://user:password@host:port/database`. The user must be allowed to create the schema. May be the log's database. */
  readonly connectionString: string
  /** The schema that holds this read side and nothing else; made if absent. Default `synod_events`. */
  readonly schema?: string
  /** Connections for reading; one more is for flushing. Default 4. Readers beyond wait for a free one. */
  readonly readConnectionsMax?: number
  /** How long a lost connection is tried again before a flush or a read is `unavailable`, in milliseconds. Default 20,000. */
  readonly reconnectTimeoutMs?: number
  /** How long one statement may take before its connection is taken for lost, in milliseconds. Default 30,000. */
  readonly statementTimeoutMs?: number
}

export type CheckedOptions = Required<PostgresReadSideOptions>

const defaults = { schema: 'synod_events', readConnectionsMax: 4, reconnectTimeoutMs: 20_000, statementTimeoutMs: 30_000 }

/** Throws a ReadSideError `invalid_options` that names the option. */
export function checkOptions(given: unknown): CheckedOptions {
  if (typeof given !== 'object' || given === null) throw invalid('options', 'an object with a connectionString')
  const { connectionString, ...rest } = given as Record<string, unknown>
  if (typeof connectionString !== 'string' || !/^postgres(ql)?:\/\//.test(connectionString)) {
    throw invalid('connectionString', 'postgres://user:password@host:port/database') // never quoted: it holds a password
  }
  const set = Object.entries(rest).filter(([, value]) => value !== undefined)
  for (const [name, value] of set) {
    if (!(name in defaults)) throw invalid(name, `one of connectionString, ${Object.keys(defaults).join(', ')}`)
    if (name === 'schema') {
      if (typeof value !== 'string' || !/^[a-z_][a-z0-9_]{0,47}$/.test(value) || value.startsWith('pg_'))
        throw invalid(name, 'lower-case letters, digits and _, at most 48 of them')
    } else if (!Number.isSafeInteger(value) || Number(value) < 1) throw invalid(name, 'a whole number from 1')
  }
  return { ...defaults, ...Object.fromEntries(set), connectionString }
}

function invalid(name: string, wanted: string): ReadSideError {
  return new ReadSideError('invalid_options', `the Postgres read side's option ${name} is wrong: wanted is ${wanted}`)
}
