/**
 * Reading, on connections of its own, so that a long catch-up does not hold up a write. Nothing is kept between two batches:
 * neither a connection nor a snapshot, so a reader that pauses for an hour costs nothing.
 *
 * A row that is read whole is held against its checksum. A slice is not: only a part of the row is read, and what protects
 * it are the page checksums of Postgres and, above, the hash of the event.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bytes } from '@synod/codec'
import { reclaimedError, StoreError, type Epoch, type Index, type Slice, type StoredSlot } from '@synod/log'
import pg from 'pg'
import { slotChecksum } from './checksum.ts'
import type { KnownPiece, PieceDirectory } from './piece-directory.ts'
import { isPassing, isTableGone, storeErrorOf } from './postgres-failure.ts'
import type { CheckedOptions } from './postgres-log-store-options.ts'
import { applySessionSettings } from './write-connection.ts'

const rowsMax = 1024
const slicesMax = 4096
/** The newest pieces, which are read with prepared statements of their own. */
const namedPieces = 32
/** Connections are renewed, so that the prepared statements of pieces that are old by now go. */
const connectionSecondsMax = 3600

/** A part asked for, and its place among all of them. */
interface Place {
  readonly slice: Slice
  readonly place: number
}

interface SlotColumns {
  readonly index: string
  readonly checksum: number
  readonly header: Buffer
  readonly entry: Buffer
}

export class SlotReader {
  readonly pool: pg.Pool
  readonly #settings: CheckedOptions
  readonly #directory: PieceDirectory
  readonly #counters = { rows_read: 0, slices_read: 0, bytes_read: 0, read_retries: 0 }

  constructor(settings: CheckedOptions, directory: PieceDirectory) {
    this.#settings = settings
    this.#directory = directory
    this.pool = new pg.Pool({
      connectionString: settings.connectionString,
      application_name: 'synod-log-read',
      max: settings.readConnectionsMax,
      connectionTimeoutMillis: settings.statementTimeoutMs,
      query_timeout: settings.statementTimeoutMs,
      keepAlive: true,
      maxLifetimeSeconds: connectionSecondsMax,
      // oxlint-disable-next-line typescript/no-misused-promises -- pg-pool waits for it, though its type does not say so
      onConnect: (client) => applySessionSettings(client),
    })
    this.pool.on('error', () => {}) // an idle connection was cut: the pool makes another one
  }

  /** Slots from `from` to `to`, ascending: as many as fit, at least one if there is one. Throws a StoreError `reclaimed` where the first would be one. */
  async batch(epoch: Epoch, from: Index, to: Index): Promise<StoredSlot[]> {
    for (let next = Math.max(1, from); next <= to;) {
      const piece = this.#directory.holding(epoch, next)
      if (piece === undefined) return []
      if (piece.slots === undefined) throw reclaimedError(epoch, next)
      const rows = await this.#whilePieceStands(piece, () => this.#rows(piece, next, Math.min(to, piece.to)))
      if (rows === undefined) continue
      if (rows.length > 0) return rows.map((row) => this.#checked(epoch, row))
      next = piece.to + 1
    }
    return []
  }

  /** In the order asked for; undefined for what was reclaimed. Throws a StoreError `missing`. */
  async slices(requests: readonly Slice[]): Promise<(Bytes | undefined)[]> {
    const found: (Bytes | undefined)[] = Array.from({ length: requests.length })
    const places = requests.map((slice, place) => ({ slice, place }))
    for (let left = places; left.length > 0;) {
      const again: Place[] = []
      for (const [piece, own] of Map.groupBy(left, ({ slice }) => this.#pieceOf(slice))) {
        for (const group of this.#groups(own)) {
          const parts = await this.#whilePieceStands(piece, () => this.#parts(piece, group))
          if (parts === undefined) again.push(...group)
          else group.forEach(({ place }, at) => (found[place] = parts[at]))
        }
      }
      left = again
    }
    return found
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, read_connections: this.pool.totalCount, reads_waiting: this.pool.waitingCount }
  }

  async close(): Promise<void> {
    await this.pool.end()
  }

  async #rows({ epoch, slots }: KnownPiece, from: Index, to: Index): Promise<SlotColumns[]> {
    const { schema, readBatchBytesMax } = this.#settings
    return this.#query<SlotColumns>({
      ...this.#named('read', slots),
      // octet_length of an entry that lies outside its row is known without reading it.
      text: `select index, checksum, header, entry from (
          select index, checksum, header, entry,
            sum(octet_length(header) + octet_length(entry)) over (order by index rows between unbounded preceding and 1 preceding) as before
          from (select * from "${schema}".slots_${slots} where epoch = $1::bigint and index between $2::bigint and $3::bigint order by index limit ${rowsMax}) first
        ) counted
        where before is null or before + octet_length(header) + octet_length(entry) <= $4::bigint order by index`,
      values: [epoch, from, Math.min(to, Number.MAX_SAFE_INTEGER), readBatchBytesMax],
    })
  }

  async #parts(piece: KnownPiece, group: readonly Place[]): Promise<(Bytes | undefined)[]> {
    const { slots, kept, epoch } = piece
    if (slots === undefined && kept === undefined) return group.map(() => undefined)
    const { schema } = this.#settings
    const column = (name: 'index' | 'offset' | 'length'): string => `{${group.map(({ slice }) => slice[name]).join(',')}}`
    const asked = `unnest($1::bigint[], $2::integer[], $3::integer[]) with ordinality as t (index, start, length, place)`
    const values = [column('index'), column('offset'), column('length')]
    const rows = await this.#query<{ part: Buffer | null }>(
      slots === undefined
        ? {
            ...this.#named('kept', kept),
            text: `select case when t.start + t.length <= k.start + octet_length(k.bytes) then substring(k.bytes from t.start - k.start + 1 for t.length) end as part
              from ${asked} left join lateral (select start, bytes from "${schema}".kept_${kept} where index = t.index and start <= t.start
                order by start desc limit 1) k on true order by t.place`,
            values,
          }
        : {
            ...this.#named('slices', slots),
            text: `select case when t.start + t.length <= octet_length(s.entry) then substring(s.entry from t.start + 1 for t.length) end as part
              from ${asked} left join "${schema}".slots_${slots} s on s.epoch = $4::bigint and s.index = t.index order by t.place`,
            values: [...values, epoch],
          },
    )
    return group.map(({ slice }, at) => {
      const part = rows[at]?.part ?? undefined
      if (part === undefined && slots !== undefined) throw missing(slice)
      this.#counters.slices_read++
      this.#counters.bytes_read += part?.length ?? 0
      return part
    })
  }

  /** A prepared statement for a piece that is read often; an old one would leave its own behind in every connection. */
  #named(kind: string, table: number | undefined): { readonly name?: string } {
    const newest = Math.max(0, ...this.#directory.epochs.map((epoch) => this.#directory.last(epoch)?.slots ?? 0))
    return table !== undefined && table > newest - namedPieces ? { name: `synod_${kind}_${table}` } : {}
  }

  /** Undefined when the piece was reclaimed meanwhile: the directory knows its place then. */
  async #whilePieceStands<T>(piece: KnownPiece, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read()
    } catch (error) {
      const { slots, kept } = this.#directory.holding(piece.epoch, piece.from) ?? piece
      if (isTableGone(error) && (slots !== piece.slots || kept !== piece.kept)) return undefined
      throw storeErrorOf(error)
    }
  }

  #pieceOf(slice: Slice): KnownPiece {
    const isPossible =
      [slice.epoch, slice.index].every(Number.isSafeInteger) &&
      [slice.offset, slice.length].every((n) => Number.isInteger(n) && n >= 0 && n < 2 ** 30)
    const piece = isPossible ? this.#directory.holding(slice.epoch, slice.index) : undefined
    if (piece === undefined || slice.index < piece.from) throw missing(slice)
    return piece
  }

  *#groups(places: readonly Place[]): Iterable<readonly Place[]> {
    let group: Place[] = []
    let bytes = 0
    for (const place of places) {
      const { length } = place.slice
      if (group.length > 0 && (group.length === slicesMax || bytes + length > this.#settings.readBatchBytesMax)) {
        yield group
        group = []
        bytes = 0
      }
      group.push(place)
      bytes += length
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
        if (!isPassing(error) || this.pool.ending || performance.now() + pauseMs > deadline)
          throw isTableGone(error) ? error : storeErrorOf(error)
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
