/**
 * A LogStore on one Postgres database: the fence row, the slots and a few small values, in a schema of their own.
 *
 * What it does not see: a database that was rolled back, or lost the tail of its WAL, while no process had it open. Postgres
 * starts on such a thing without an error; knowing better takes a witness outside of it.
 */
import type { Bytes } from '@synod/codec'
import {
  StoreError,
  StoreOperationChecker,
  type Epoch,
  type Genesis,
  type Index,
  type KeptSlot,
  type LogStore,
  type LogStoreFactory,
  type LogStoreOptions,
  type Piece,
  type Recovered,
  type Slice,
  type StoredSlot,
  type StoreOperation,
} from '@synod/log'
import { Kysely, PostgresDialect, sql } from 'kysely'
import { FencedWriter } from './fenced-writer.ts'
import { migrate } from './migrations.ts'
import { PieceDirectory } from './piece-directory.ts'
import { dropUnnamedTables, PieceReclaimer } from './piece-reclaimer.ts'
import type { PieceFill } from './piece-filler.ts'
import { storeErrorOf } from './postgres-failure.ts'
import { checkOptions, type CheckedOptions, type PostgresLogStoreOptions } from './postgres-log-store-options.ts'
import type { Schema } from './schema.ts'
import { SlotReader } from './slot-reader.ts'
import { foundStore, takeOver } from './store-records.ts'
import { connectForWriting } from './write-connection.ts'

const storageBytesAgeMs = 10_000

/** Throws a StoreError `invalid_options`; touches nothing until `found` or `open`. */
export function postgresLogStore(options: PostgresLogStoreOptions, warn?: LogStoreOptions['warn']): LogStore {
  return new PostgresLogStore(checkOptions(options), warn)
}

export const store: LogStoreFactory = {
  name: '@synod/log-postgres',
  create: ({ options, warn, onCommit }) => new PostgresLogStore(checkOptions(options), warn, onCommit),
}

class PostgresLogStore implements LogStore {
  readonly #settings: CheckedOptions
  readonly #warn: NonNullable<LogStoreOptions['warn']>
  readonly #onCommit: NonNullable<LogStoreOptions['onCommit']>
  readonly #directory = new PieceDirectory()
  readonly #reader: SlotReader
  /** All but the hot path. On the reader's connections. */
  readonly #db: Kysely<Schema>
  #state: 'new' | 'opening' | 'open' | 'closed' = 'new'
  #writer: FencedWriter | undefined
  #reclaimer: PieceReclaimer | undefined
  #checker = new StoreOperationChecker([])
  #dead: StoreError | undefined
  #closing: Promise<void> | undefined
  #storage = { bytes: 0, askedAt: -Infinity }

  constructor(settings: CheckedOptions, warn: LogStoreOptions['warn'] = () => {}, onCommit: LogStoreOptions['onCommit'] = () => {}) {
    this.#settings = settings
    this.#warn = warn
    this.#onCommit = onCommit
    this.#reader = new SlotReader(settings, this.#directory)
    this.#db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: this.#reader.pool }) })
  }

  async found(genesis: Genesis): Promise<void> {
    this.#refuseClosed()
    if (this.#state !== 'new') throw new StoreError('already_founded', 'a store is founded before it is opened')
    try {
      const connection = await connectForWriting(this.#settings, this.#warn)
      await connection.end()
      await migrate(this.#db, this.#settings.schema)
      await foundStore(this.#db.withSchema(this.#settings.schema), genesis)
    } catch (error) {
      throw storeErrorOf(error)
    }
  }

  async open(self: Genesis['node'], cluster?: string): Promise<Recovered> {
    this.#refuseClosed()
    if (this.#state !== 'new') throw new StoreError('fenced', 'this store is open already: make another one')
    this.#state = 'opening'
    try {
      const recovered = await this.#open(self, cluster)
      this.#state = this.#closing === undefined ? 'open' : 'closed'
      return recovered
    } catch (error) {
      this.#state = this.#closing === undefined ? 'new' : 'closed'
      throw storeErrorOf(error)
    }
  }

  async write(operations: readonly StoreOperation[]): Promise<void> {
    const writer = this.#usable()
    this.#checker.check(operations)
    return writer.write(operations)
  }

  async *read(epoch: Epoch, from: Index, to: Index): AsyncIterable<readonly StoredSlot[]> {
    for (let next = from; next <= to;) {
      this.#usable()
      const batch = await this.#reader.batch(epoch, next, to)
      const last = batch.at(-1)
      if (last === undefined) return
      yield batch
      next = last.index + 1
    }
  }

  async slices(requests: readonly Slice[]): Promise<(Bytes | undefined)[]> {
    this.#usable()
    return this.#reader.slices(requests)
  }

  pieces(epoch: Epoch, through: Index): readonly Piece[] {
    this.#usable()
    return this.#directory.through(epoch, through)
  }

  async reclaim(epoch: Epoch, piece: Piece, keep: AsyncIterable<readonly KeptSlot[]>): Promise<void> {
    this.#usable()
    this.#checker.beginReclaim(epoch, piece)
    await this.#reclaimer?.reclaim(epoch, piece, keep)
  }

  counters(): Readonly<Record<string, number>> {
    if (this.#state === 'open' && performance.now() - this.#storage.askedAt > storageBytesAgeMs) void this.#measureStorage()
    return { storage_bytes: this.#storage.bytes, ...this.#writer?.counters(), ...this.#reader.counters(), ...this.#reclaimer?.counters() }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #open(self: Genesis['node'], cluster: string | undefined): Promise<Recovered> {
    const connection = await connectForWriting(this.#settings, this.#warn)
    try {
      await migrate(this.#db, this.#settings.schema)
      const { recovered, sequence } = await takeOver(
        this.#db.withSchema(this.#settings.schema),
        self,
        cluster,
        this.#directory,
        (epoch, from) => this.#readAll(epoch, from),
      )
      await dropUnnamedTables(connection.client, this.#settings.schema, this.#directory)
      this.#reclaimer = new PieceReclaimer(this.#settings, recovered.boot, this.#directory)
      this.#checker = new StoreOperationChecker(recovered.epochs)
      this.#writer = new FencedWriter({
        settings: this.#settings,
        boot: recovered.boot,
        sequence,
        connection,
        directory: this.#directory,
        fill: await this.#lastFill(),
        onCommit: this.#onCommit,
        onDeath: (error) => {
          this.#dead = error
        },
      })
      await this.#measureStorage()
      return recovered
    } catch (error) {
      await connection.end()
      throw error
    }
  }

  async #readAll(epoch: Epoch, from: Index): Promise<StoredSlot[]> {
    const found: StoredSlot[] = []
    for (let next = from; ;) {
      const batch = await this.#reader.batch(epoch, next, Number.MAX_SAFE_INTEGER)
      const last = batch.at(-1)
      if (last === undefined) return found
      found.push(...batch)
      next = last.index + 1
    }
  }

  /** How full the last piece of each epoch is. */
  async #lastFill(): Promise<ReadonlyMap<Epoch, PieceFill>> {
    const fill = new Map<Epoch, PieceFill>()
    for (const epoch of this.#directory.epochs) {
      const { slots, from } = this.#directory.last(epoch) ?? {}
      if (slots === undefined || from === undefined) continue
      const { schema } = this.#settings
      const { rows } = await sql<{ bytes: string; highest: string | null }>`
        select pg_total_relation_size(${`"${schema}".slots_${slots}`}::regclass) as bytes,
          (select index from ${sql.table(`${schema}.slots_${slots}`)} where epoch = ${epoch}::bigint order by index desc limit 1) as highest`.execute(
        this.#db,
      )
      const [row] = rows
      fill.set(epoch, { bytes: Number(row?.bytes), highest: Number(row?.highest ?? from - 1) })
    }
    return fill
  }

  async #measureStorage(): Promise<void> {
    this.#storage.askedAt = performance.now()
    try {
      const { rows } = await sql<{ bytes: string }>`
        select coalesce(sum(pg_total_relation_size(c.oid)), 0) as bytes
        from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = ${this.#settings.schema} and c.relkind = 'r'`.execute(
        this.#db,
      )
      this.#storage.bytes = Number(rows[0]?.bytes)
    } catch {
      // A figure for an operator: the old one stands until the next time it is asked for.
    }
  }

  async #close(): Promise<void> {
    if (this.#state !== 'opening') this.#state = 'closed'
    await this.#reclaimer?.close()
    await this.#writer?.close()
    await this.#reader.close()
  }

  #refuseClosed(): void {
    if (this.#closing !== undefined) throw new StoreError('closed', 'the store is closed: open another one on the same database')
  }

  #usable(): FencedWriter {
    this.#refuseClosed()
    if (this.#dead !== undefined) throw this.#dead
    if (this.#writer === undefined || this.#state !== 'open') throw new StoreError('closed', 'the store is not open yet')
    return this.#writer
  }
}
