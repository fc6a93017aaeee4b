/**
 * Reading, on connections of its own, so that a long catch-up does not hold up a write. Nothing is kept between two batches:
 * neither a connection nor a snapshot, so a reader that pauses for an hour costs nothing.
 *
 * A row that is read whole is held against its checksum. A slice is not: only a part of the row is read, and what protects
 * it are the page checksums of Postgres and, above, the hash of the event.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bytes } from '@synod/codec'
import { StoreError, type Epoch, type Index, type Slice, type StoredSlot } from '@synod/log'
import pg from 'pg'
import { slotChecksum } from './checksum.ts'
import { isPassing, storeErrorOf } from './postgres-failure.ts'
import type { CheckedOptions } from './postgres-log-store-options.ts'
import { applySessionSettings } from './write-connection.ts'

const rowsMax = 1024
const slicesMax = 4096

interface SlotColumns {
  readonly index: string
  readonly checksum: number
  readonly header: Buffer
  readonly entry: Buffer
}

export class SlotReader {
  readonly pool: pg.Pool
  readonly #settings: CheckedOptions
  readonly #counters = { rows_read: 0, slices_read: 0, bytes_read: 0, read_retries: 0 }

  constructor(settings: CheckedOptions) {
    this.#settings = settings
    this.pool = new pg.Pool({
      connectionString: settings.connectionString,
      application_name: 'synod-log-read',
      max: settings.readConnectionsMax,
      connectionTimeoutMillis: settings.statementTimeoutMs,
      query_timeout: settings.statementTimeoutMs,
      keepAlive: true,
      // oxlint-disable-next-line typescript/no-misused-promises -- pg-pool waits for it, though its type does not say so
      onConnect: (client) => applySessionSettings(client),
    })
    this.pool.on('error', () => {}) // an idle connection was cut: the pool makes another one
  }

  /** Slots from `from` to `to`, ascending: as many as fit, at least one if there is one. */
  async batch(epoch: Epoch, from: Index, to: Index): Promise<StoredSlot[]> {
    const { schema, readBatchBytesMax } = this.#settings
    const rows = await this.#query<SlotColumns>({
      name: 'synod_read',
      // octet_length of an entry that lies outside its row is known without reading it.
      text: `select index, checksum, header, entry from (
          select index, checksum, header, entry,
            sum(octet_length(header) + octet_length(entry)) over (order by index rows between unbounded preceding and 1 preceding) as before
          from (select * from "${schema}".slots where epoch = $1::bigint and index between $2::bigint and $3::bigint order by index limit ${rowsMax}) first
        ) counted
        where before is null or before + octet_length(header) + octet_length(entry) <= $4::bigint order by index`,
      values: [epoch, from, to, readBatchBytesMax],
    })
    return rows.map((row) => this.#checked(epoch, row))
  }

  /** In the order asked for. Throws a StoreError `missing`. */
  async slices(requests: readonly Slice[]): Promise<Bytes[]> {
    const found: Bytes[] = []
    for (const group of this.#groups(requests)) found.push(...(await this.#sliceGroup(group)))
    return found
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, read_connections: this.pool.totalCount, reads_waiting: this.pool.waitingCount }
  }

  async close(): Promise<void> {
    await this.pool.end()
  }

  async #sliceGroup(group: readonly Slice[]): Promise<Bytes[]> {
    const column = (name: keyof Slice): string => `{${group.map((slice) => slice[name]).join(',')}}`
    const rows = await this.#query<{ part: Buffer | null }>({
      name: 'synod_slices',
      text: `select case when t.start + t.length <= octet_length(s.entry) then substring(s.entry from t.start + 1 for t.length) end as part
        from unnest($1::bigint[], $2::bigint[], $3::integer[], $4::integer[]) with ordinality as t (epoch, index, start, length, place)
        left join "${this.#settings.schema}".slots s on s.epoch = t.epoch and s.index = t.index order by t.place`,
      values: [column('epoch'), column('index'), column('offset'), column('length')],
    })
    return group.map((slice, at) => {
      const part = rows[at]?.part
      if (part === null || part === undefined) throw missing(slice)
      this.#counters.slices_read++
      this.#counters.bytes_read += part.length
      return part
    })
  }

  *#groups(requests: readonly Slice[]): Iterable<readonly Slice[]> {
    let group: Slice[] = []
    let bytes = 0
    for (const slice of requests) {
      const isPossible =
        [slice.epoch, slice.index].every(Number.isSafeInteger) &&
        [slice.offset, slice.length].every((n) => Number.isInteger(n) && n >= 0 && n < 2 ** 30)
      if (!isPossible) throw missing(slice)
      if (group.length > 0 && (group.length === slicesMax || bytes + slice.length > this.#settings.readBatchBytesMax)) {
        yield group
        group = []
        bytes = 0
      }
      group.push(slice)
      bytes += slice.length
    }
    if (group.length > 0) yield group
  }

  #checked(epoch: Epoch, { index: digits, checksum, header, entry }: SlotColumns): StoredSlot {
    const index = Number(digits)
    if (slotChecksum(epoch, index, header, entry) !== checksum) {
      throw new StoreError('damaged', `slot ${index} of epoch ${epoch} fails its checksum: repair it from a peer`)
    }
    this.#counters.rows_read++
    this.#counters.bytes_read += header.length + entry.length
    return { index, header, entry }
  }

  /** Reading changes nothing, so it is tried again on another connection, for as long as a write would be. */
  async #query<R extends pg.QueryResultRow>(query: pg.QueryConfig): Promise<R[]> {
    const deadline = performance.now() + this.#settings.reconnectTimeoutMs
    for (let pauseMs = 10; ; pauseMs = Math.min(pauseMs * 2, 500)) {
      try {
        return (await this.pool.query<R>(query)).rows
      } catch (error) {
        if (!isPassing(error) || this.pool.ending || performance.now() + pauseMs > deadline) throw storeErrorOf(error)
      }
      this.#counters.read_retries++
      await sleep(pauseMs)
    }
  }
}

function missing({ epoch, index, offset, length }: Slice): StoreError {
  return new StoreError(
    'missing',
    `bytes ${offset} to ${offset + length} of slot ${index} in epoch ${epoch} are not here: fetch the slot from a peer`,
  )
}
