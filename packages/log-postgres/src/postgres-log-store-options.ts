import { StoreError } from '@synod/log'

export interface PostgresLogStoreOptions {
  /** `postgres://user:password@host:port/database`. The user must be allowed to create the schema. */
  readonly connectionString: string
  /** The schema that holds this store and nothing else; made if absent. Default `synod_log`. */
  readonly schema?: string
  /** Connections for reading; one more is for writing. From 2, default 4. Readers beyond wait for a free one. */
  readonly readConnectionsMax?: number
  /** Bytes of headers, entries and values that merge into one transaction; a single larger write goes alone. Default 8 MiB. */
  readonly transactionBytesMax?: number
  /** Bytes called for and not yet durable. Beyond, the disk does not keep up with a bounded log: the store dies as `unavailable`. Default 512 MiB. */
  readonly outstandingBytesMax?: number
  /** Bytes of headers and entries in one batch of `read`, or in one query of `slices`, unless a single one has more. Default 4 MiB. */
  readonly readBatchBytesMax?: number
  /** Bytes on disk after which the next piece of the log begins: what is given back is given back by pieces. Default 256 MiB. */
  readonly pieceBytes?: number
  /** How long a lost connection is tried again before a write or a read is `unavailable`, in milliseconds. Default 20,000. */
  readonly reconnectTimeoutMs?: number
  /** How long one statement may take before its connection is taken for lost, in milliseconds. Default 30,000. */
  readonly statementTimeoutMs?: number
}

export type CheckedOptions = Required<PostgresLogStoreOptions>

const defaults = {
  schema: 'synod_log',
  readConnectionsMax: 4,
  transactionBytesMax: 8 * 1024 * 1024,
  outstandingBytesMax: 512 * 1024 * 1024,
  readBatchBytesMax: 4 * 1024 * 1024,
  pieceBytes: 256 * 1024 * 1024,
  reconnectTimeoutMs: 20_000,
  statementTimeoutMs: 30_000,
}

/** Throws a StoreError `invalid_options` that names the option. */
export function checkOptions(given: unknown): CheckedOptions {
  if (typeof given !== 'object' || given === null) throw invalid('options', 'an object with a connectionString')
  const { connectionString, ...rest } = given as Record<string, unknown>
  if (typeof connectionString !== 'string' || !/^postgres(ql)?:\/\//.test(connectionString)) {
    throw invalid('connectionString', 'postgres://user:password@host:port/database') // never quoted: it holds a password
  }
  for (const [name, value] of Object.entries(rest)) {
    if (!(name in defaults)) throw invalid(name, `one of connectionString, ${Object.keys(defaults).join(', ')}`)
    if (value === undefined) continue
    if (name === 'schema') {
      if (typeof value !== 'string' || !/^[a-z_][a-z0-9_]{0,47}$/.test(value) || value.startsWith('pg_')) {
        throw invalid(name, 'lower-case letters, digits and _, at most 48 of them')
      }
    } else {
      const min = name === 'readConnectionsMax' ? 2 : 1
      if (!Number.isSafeInteger(value) || Number(value) < min) throw invalid(name, `a whole number from ${min}`)
    }
  }
  const set = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined))
  return { ...defaults, ...set, connectionString }
}

function invalid(name: string, wanted: string): StoreError {
  return new StoreError('invalid_options', `the Postgres log store's option ${name} is wrong: wanted is ${wanted}`)
}
