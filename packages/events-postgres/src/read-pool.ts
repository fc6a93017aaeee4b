/**
 * The connections that read: a bounded pool, each of whose connections looks at the mark before it is used first. A read whose
 * connection is lost is tried again on another: it changes nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ReadSideError } from '@synod/events'
import pg from 'pg'
import { checkMark, type OwnedMark } from './mark.ts'
import { isPassing, readSideErrorOf } from './postgres-failure.ts'
import type { CheckedOptions } from './postgres-read-side-options.ts'
import type { Row } from './row.ts'

export class ReadPool {
  readonly pool: pg.Pool
  readonly #settings: CheckedOptions
  /** As this process left it; undefined until it is opened. */
  left: OwnedMark | undefined
  /** Fenced, or a flush has failed: nothing may be read either, for what was flushed may be gone. The first one stays. */
  #failure: ReadSideError | undefined
  #isClosing = false
  readonly #counters = { read_side_queries: 0, read_side_retries: 0 }

  constructor(settings: CheckedOptions) {
    this.#settings = settings
    this.pool = new pg.Pool({
      connectionString: settings.connectionString,
      application_name: 'synod-events-read',
      max: settings.readConnectionsMax,
      connectionTimeoutMillis: settings.statementTimeoutMs,
      query_timeout: settings.statementTimeoutMs,
      keepAlive: true,
      verify: (client, done) => void this.#verify(client, done),
    })
    this.pool.on('error', () => {}) // an idle connection was cut: the pool makes another one
  }

  /** A prepared statement by its name. Rejects with a ReadSideError. */
  async query(name: string, statement: string, values: readonly unknown[]): Promise<readonly Row[]> {
    const deadline = performance.now() + this.#settings.reconnectTimeoutMs
    for (let pauseMs = 20; ; pauseMs = Math.min(500, pauseMs * 2)) {
      this.refuseClosed()
      this.#counters.read_side_queries++
      try {
        const { rows } = await this.pool.query<(string | number | Buffer | null)[]>({
          name,
          text: statement,
          values: [...values],
          rowMode: 'array',
        })
        return rows
      } catch (error) {
        if (error instanceof ReadSideError && error.code === 'fenced') this.failed(error)
        if (!isPassing(error) || performance.now() + pauseMs > deadline) throw readSideErrorOf(error)
        this.#counters.read_side_retries++
        await sleep(pauseMs)
      }
    }
  }

  /** Nothing is read any more. The error that was the first. */
  failed(error: unknown): ReadSideError {
    this.#failure ??= readSideErrorOf(error)
    return this.#failure
  }

  /** Throws the ReadSideError for which nothing may be read or flushed any more. */
  refuseClosed(): void {
    if (this.#isClosing) throw new ReadSideError('closed', 'the read side was closed')
    if (this.#failure !== undefined) throw this.#failure
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, read_side_connections: this.pool.totalCount, read_side_reads_waiting: this.pool.waitingCount }
  }

  /** From now on it refuses. */
  beginClosing(): void {
    this.#isClosing = true
  }

  end(): Promise<void> {
    return this.pool.end()
  }

  async #verify(client: pg.ClientBase, done: (error?: Error) => void): Promise<void> {
    let failure: Error | undefined
    try {
      if (this.left !== undefined) await checkMark(client, this.#settings.schema, this.left)
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error))
    }
    done(failure)
  }
}
