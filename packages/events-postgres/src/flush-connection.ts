/**
 * The one connection that writes. `synchronous_commit` is off on it, and only on it: what a crash loses is in the log, and
 * the mark, in the same transaction, says from where.
 *
 * A connection that is lost at COMMIT leaves open whether it happened. The next one takes the mark's row lock first, which
 * waits for the end of the former transaction, and then reads what is there.
 */
import { finished } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { ReadSideError, type Flush } from '@synod/events'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { writeCells } from './cell-rows.ts'
import { flushRows } from './flush-rows.ts'
import { fenced, isSameMark, markColumns, markOf } from './mark.ts'
import { isPassing, readSideErrorOf } from './postgres-failure.ts'
import type { CheckedOptions } from './postgres-read-side-options.ts'

export class FlushConnection {
  readonly #settings: CheckedOptions
  readonly #boot: number
  #client: pg.Client | undefined
  #closed = false
  retries = 0

  constructor(settings: CheckedOptions, boot: number) {
    this.#settings = settings
    this.#boot = boot
  }

  /** Rejects with a ReadSideError. */
  async flush(flush: Flush): Promise<void> {
    const deadline = performance.now() + this.#settings.reconnectTimeoutMs
    for (let pauseMs = 20; ; pauseMs = Math.min(500, pauseMs * 2)) {
      try {
        await this.#attempt(await this.#connected(), flush)
        return
      } catch (error) {
        await this.#drop()
        if (this.#closed || !isPassing(error) || performance.now() + pauseMs > deadline) throw readSideErrorOf(error)
        this.retries++
        await sleep(pauseMs)
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#drop()
  }

  async #attempt(client: pg.Client, flush: Flush): Promise<void> {
    const { from, to, keysForgotten, cells } = flush
    const { schema } = this.#settings
    const begun: unknown = await client.query(`begin; select ${markColumns} from ${schema}.mark for update`)
    const found = markOf((begun as readonly pg.QueryResult[])[1]?.rows[0])
    if (found.boot === this.#boot && isSameMark(found.mark, to) && !isSameMark(from, to)) {
      await client.query('rollback') // an earlier attempt was committed, and its answer was lost
      return
    }
    const expected = { boot: this.#boot, mark: from }
    if (found.boot !== this.#boot || !isSameMark(found.mark, from)) throw fenced(schema, found, expected)
    for (const { table, rows: buffer } of flushRows(flush)) {
      if (buffer.rows === 0) continue
      const copy = client.query(copyFrom(`copy ${schema}.${table} from stdin (format binary)`))
      copy.end(buffer.finish())
      await finished(copy)
    }
    await writeCells(client, schema, cells)
    // Numbers only; several statements are one message.
    await client.query(`delete from ${schema}.keys where sequence <= ${keysForgotten};
      update ${schema}.mark set slot = ${to.slot}, position = ${to.position}, streams = ${to.streams};
      commit`)
  }

  async #connected(): Promise<pg.Client> {
    if (this.#closed) throw new ReadSideError('closed', 'the read side was closed')
    if (this.#client !== undefined) return this.#client
    const { connectionString, statementTimeoutMs } = this.#settings
    const client = new pg.Client({
      connectionString,
      application_name: 'synod-events-flush',
      connectionTimeoutMillis: statementTimeoutMs,
      query_timeout: statementTimeoutMs,
      keepAlive: true,
    })
    // The query under way fails as well, and an idle connection is looked at when it is used next.
    client.on('error', () => {
      if (this.#client === client) this.#client = undefined
    })
    await client.connect()
    await client.query('set synchronous_commit = off')
    this.#client = client
    return client
  }

  async #drop(): Promise<void> {
    const client = this.#client
    this.#client = undefined
    // A connection that is broken already has nothing to end.
    await client?.end().catch(() => {})
  }
}
