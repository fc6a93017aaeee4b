/**
 * A ReadSide on one Postgres database, in a schema of its own. Flushes are bulk COPY on one connection (flush-connection.ts),
 * reads are prepared statements on a bounded pool (read-pool.ts).
 */
import {
  ReadSideError,
  type Cell,
  type EventRow,
  type Flush,
  type KeyRow,
  type PostingsQuestion,
  type ReadSide,
  type ReadSideFactory,
  type ReadSideMark,
  type SlotRow,
  type StreamName,
  type StreamRow,
} from '@synod/events'
import type { Slot } from '@synod/log'
import { Kysely, PostgresDialect } from 'kysely'
import { endOfPrefix } from './cell-rows.ts'
import { findPostings } from './find-postings.ts'
import { FlushConnection } from './flush-connection.ts'
import { markColumns, markOf } from './mark.ts'
import { migrate } from './migrations.ts'
import { readSideErrorOf } from './postgres-failure.ts'
import { ReadPool } from './read-pool.ts'
import { bytes, damaged, text, type Row } from './row.ts'
import { eventsOfRun } from './runs.ts'
import { checkOptions, type CheckedOptions, type PostgresReadSideOptions } from './postgres-read-side-options.ts'

/** Throws a ReadSideError `invalid_options`; touches nothing until `open`. */
export function postgresReadSide(options: PostgresReadSideOptions): ReadSide {
  return new PostgresReadSide(checkOptions(options))
}

export const readSide: ReadSideFactory = {
  name: '@synod/events-postgres',
  create: ({ options }) => new PostgresReadSide(checkOptions(options)),
}

class PostgresReadSide implements ReadSide {
  readonly #settings: CheckedOptions
  readonly #reads: ReadPool
  #flusher: FlushConnection | undefined
  #closing: Promise<void> | undefined
  #running: Promise<void> = Promise.resolve()
  readonly #counters = { read_side_flushes: 0, read_side_rows: 0, read_side_flush_ms: 0 }

  constructor(settings: CheckedOptions) {
    this.#settings = settings
    this.#reads = new ReadPool(settings)
  }

  async open(settings: string): Promise<ReadSideMark> {
    this.#reads.refuseClosed()
    if (this.#reads.left !== undefined) throw new ReadSideError('fenced', 'this read side is open already: make another one')
    const { schema } = this.#settings
    try {
      await migrate(new Kysely({ dialect: new PostgresDialect({ pool: this.#reads.pool }) }), schema)
      const { rows } = await this.#reads.pool.query(
        `update ${schema}.mark set boot = boot + 1, settings = coalesce(settings, $1) where settings is null or settings = $1 returning ${markColumns}`,
        [settings],
      )
      if (rows.length === 0) throw await this.#otherSettings(settings)
      this.#reads.left = markOf(rows[0])
      this.#flusher = new FlushConnection(this.#settings, this.#reads.left.boot)
      return this.#reads.left.mark
    } catch (error) {
      throw readSideErrorOf(error)
    }
  }

  async flush(batch: Flush): Promise<void> {
    this.#reads.refuseClosed()
    const [flusher, left] = [this.#flusher, this.#reads.left]
    if (flusher === undefined || left === undefined) throw new ReadSideError('closed', 'the read side is not open')
    const begun = performance.now()
    const running = flusher.flush(batch)
    this.#running = running.catch(() => {}) // `close` waits for it, whatever comes of it
    try {
      await running
    } catch (error) {
      throw this.#reads.failed(error)
    }
    this.#reads.left = { boot: left.boot, mark: batch.to }
    this.#counters.read_side_flushes++
    this.#counters.read_side_rows += batch.to.position - batch.from.position
    this.#counters.read_side_flush_ms += Math.round(performance.now() - begun)
  }

  /** A commit that waits for its WAL has waited for that of all before it. */
  async sync(): Promise<void> {
    const { schema } = this.#settings
    const rows = await this.#query(
      'synod_sync',
      `update ${schema}.mark set boot = boot where boot = $1::bigint and set_config('synchronous_commit', 'on', true) = 'on' returning boot`,
      [this.#reads.left?.boot ?? 0],
    )
    if (rows.length === 0) throw new ReadSideError('fenced', `another process has taken the read side ${schema} over: stop this one`)
  }

  async streamsNamed(names: readonly string[]): Promise<readonly StreamRow[]> {
    const { schema } = this.#settings
    const rows = await this.#query(
      'synod_streams_named',
      `select s.number, s.name,
          (select r.revision + r.count - 1 from ${schema}.runs r where r.stream = s.number order by r.revision desc limit 1)
        from ${schema}.streams s where s.name = any($1::bytea[])`,
      [names.map((name) => Buffer.from(name))],
    )
    return rows.map(([number, name, revision]) => {
      if (revision === null) throw damaged(`stream ${Number(number)} has a row and no events`)
      return { number: Number(number), name: text(name), revision: Number(revision) }
    })
  }

  async streamsNumbered(numbers: readonly number[]): Promise<readonly StreamName[]> {
    const rows = await this.#query(
      'synod_streams_numbered',
      `select number, name from ${this.#settings.schema}.streams where number = any($1::integer[])`,
      [numbers],
    )
    if (rows.length < new Set(numbers).size) {
      const there = new Set(rows.map(([number]) => Number(number)))
      throw damaged(`stream ${numbers.find((number) => !there.has(number))} has no row`)
    }
    return rows.map(([number, name]) => ({ number: Number(number), name: text(name) }))
  }

  async streamEvents(streamNumber: number, from: number, to: number): Promise<readonly EventRow[]> {
    const { schema } = this.#settings
    const rows = await this.#query(
      'synod_stream_events',
      `select revision, count, places from ${schema}.runs where stream = $1::integer and revision <= $3::bigint
        and revision >= coalesce((select max(revision) from ${schema}.runs where stream = $1::integer and revision <= $2::bigint), 0)
        order by revision`,
      [streamNumber, from, to],
    )
    const events = rows
      .flatMap(([revision, count, places]) => eventsOfRun(streamNumber, Number(revision), Number(count), bytes(places)))
      .filter(({ revision }) => revision >= from && revision <= to)
    const gap = events.findIndex(({ revision }, at) => revision !== from + at)
    if (gap >= 0 || events.length !== to - from + 1)
      throw damaged(`stream ${streamNumber} lacks revision ${from + (gap >= 0 ? gap : events.length)}`)
    return events
  }

  async slotsHolding(from: number, to: number): Promise<readonly SlotRow[]> {
    const { schema } = this.#settings
    const rows = await this.#query(
      'synod_slots_holding',
      `select slot, first_position, count, index from ${schema}.slots
        where first_position between (select max(first_position) from ${schema}.slots where first_position <= $1::bigint) and $2::bigint
        order by first_position`,
      [from, to],
    )
    const slots = rows.map(slotOf)
    let next = slots[0]?.firstPosition ?? Infinity
    if (next > from) throw damaged(`no slot's row holds position ${from}`)
    for (const { slot, firstPosition, count } of slots) {
      if (firstPosition !== next)
        throw damaged(`the row of slot ${slot} begins at position ${firstPosition}, and the one before ends at ${next - 1}`)
      next += count
    }
    if (next <= to) throw damaged(`no slot's row holds position ${next}`)
    return slots
  }

  async slotsAt(positions: readonly number[]): Promise<readonly SlotRow[]> {
    const { schema } = this.#settings
    const rows = await this.#query(
      'synod_slots_at',
      `select slot, first_position, count, index from ${schema}.slots
        where first_position in (select (select max(first_position) from ${schema}.slots where first_position <= p) from unnest($1::bigint[]) p)
        order by first_position`,
      [positions],
    )
    const slots = rows.map(slotOf)
    let at = 0
    for (const position of positions) {
      while (at < slots.length && slots[at]!.firstPosition + slots[at]!.count <= position) at++
      if ((slots[at]?.firstPosition ?? Infinity) > position) throw damaged(`no slot's row holds position ${position}`)
    }
    return slots
  }

  async slots(from: Slot, to: Slot, limit: number): Promise<readonly SlotRow[]> {
    const rows = await this.#query(
      'synod_slots',
      `select slot, first_position, count, index from ${this.#settings.schema}.slots
        where slot between $1::bigint and $2::bigint order by slot limit $3::bigint`,
      [from, to, limit],
    )
    return rows.map(slotOf)
  }

  async keys(above: number, limit: number): Promise<readonly KeyRow[]> {
    const rows = await this.#query(
      'synod_keys',
      `select sequence, principal, key, digest, answer from ${this.#settings.schema}.keys where sequence > $1::bigint order by sequence limit $2::bigint`,
      [above, limit],
    )
    return rows.map(([sequence, principal, key, digest, answer]) => ({
      sequence: Number(sequence),
      principal: text(principal),
      key: text(key),
      digest: bytes(digest),
      answer: bytes(answer),
    }))
  }

  postingsOf(questions: readonly PostingsQuestion[]): Promise<readonly (readonly number[])[]> {
    return findPostings(questions, this.#settings.schema, (name, statement, values) => this.#query(name, statement, values))
  }

  async cellsNamed(keys: readonly string[]): Promise<readonly Cell[]> {
    const rows = await this.#query(
      'synod_cells_named',
      `select key, value from ${this.#settings.schema}.cells where key = any($1::bytea[])`,
      [keys.map((key) => Buffer.from(key))],
    )
    return rows.map(cellOf)
  }

  async cells(prefix: string, after: string, limit: number): Promise<readonly Cell[]> {
    const rows = await this.#query(
      'synod_cells',
      `select key, value from ${this.#settings.schema}.cells where key >= $1::bytea and key < $2::bytea and key > $3::bytea order by key limit $4::bigint`,
      [Buffer.from(prefix), endOfPrefix(prefix), Buffer.from(after), limit],
    )
    return rows.map(cellOf)
  }

  counters(): Readonly<Record<string, number>> {
    return {
      ...this.#counters,
      ...this.#reads.counters(),
      read_side_flush_retries: this.#flusher?.retries ?? 0,
    }
  }

  close(): Promise<void> {
    this.#reads.beginClosing()
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#running
    await this.#flusher?.close()
    await this.#reads.end()
  }

  #query(name: string, statement: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return this.#reads.query(name, statement, values)
  }

  async #otherSettings(settings: string): Promise<ReadSideError> {
    const { rows } = await this.#reads.pool.query<{ settings: string }>(`select settings from ${this.#settings.schema}.mark`)
    return new ReadSideError(
      'other_settings',
      `the read side was founded with ${rows[0]?.settings} and cannot be opened with ${settings}: these are the same on every node and never change`,
    )
  }
}

function slotOf([slot, firstPosition, count, index]: Row): SlotRow {
  return { slot: Number(slot), firstPosition: Number(firstPosition ?? 0), count: Number(count), index: bytes(index) }
}

function cellOf([key, value]: Row): Cell {
  return { key: text(key), value: bytes(value) }
}
