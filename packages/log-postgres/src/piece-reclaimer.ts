/**
 * Gives the space of pieces back, one after the other, on a connection of its own. What is kept is copied into a table of
 * parts, in small transactions that nobody waits for; then one short transaction says in the directory what the piece is now,
 * and what the next boot finds is the one or the other. It locks nothing that a write or a read uses. Then the former table
 * goes.
 *
 * Parts are added to the table of the neighbour below as long as that is small, so that a log of which little is visible is
 * few tables. What a copy that did not end left there lies above the end of the piece: it is never read, and deleted before
 * the next one. A table that no piece names is dropped at the next opening.
 */
import { checkKept, reclaimedError, StoreError, type Epoch, type KeptSlot, type Piece } from '@synod/log'
import type { ClientBase } from 'pg'
import type { KnownPiece, PieceDirectory, PieceRow } from './piece-directory.ts'
import { createKeptTable, lockFenceFor, nextNumber, pieceColumns, pieceRow, type PieceColumns } from './piece-tables.ts'
import { storeErrorOf } from './postgres-failure.ts'
import type { CheckedOptions } from './postgres-log-store-options.ts'
import { connectForWriting } from './write-connection.ts'

/** Of one transaction of the copy. */
const copyPartsMax = 2048
const copyBytesMax = 1024 * 1024

interface PartRow {
  readonly index: number
  readonly offset: number
  readonly length: number
}

/** What a piece, and perhaps its neighbour with it, becomes. */
interface Change {
  readonly former: readonly PieceRow[]
  readonly now: PieceRow
}

export class PieceReclaimer {
  readonly #settings: CheckedOptions
  readonly #boot: number
  readonly #directory: PieceDirectory
  #running: Promise<void> = Promise.resolve()
  #closed = false
  readonly #counters = { pieces_reclaimed: 0, parts_kept: 0, bytes_kept: 0 }

  constructor(settings: CheckedOptions, boot: number, directory: PieceDirectory) {
    this.#settings = settings
    this.#boot = boot
    this.#directory = directory
  }

  /** One at a time. Rejects with a StoreError, or a RangeError. */
  reclaim(epoch: Epoch, piece: Piece, keep: AsyncIterable<readonly KeptSlot[]>): Promise<void> {
    const running = this.#running.then(() => this.#reclaim(epoch, piece, keep))
    this.#running = running.catch(() => {}) // whoever called is told
    return running
  }

  counters(): Readonly<Record<string, number>> {
    return this.#counters
  }

  /** Resolves when nothing is under way; a copy ends at its next batch. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#running
  }

  async #reclaim(epoch: Epoch, { from, to }: Piece, keep: AsyncIterable<readonly KeptSlot[]>): Promise<void> {
    this.#refuseClosed()
    const pieces = this.#directory.of(epoch)
    const at = pieces.findIndex((piece) => piece.from === from && piece.to === to)
    const piece = pieces[at]
    if (piece === undefined) throw new RangeError(`there is no piece from ${from} to ${to} in epoch ${epoch}`)
    try {
      const connection = await connectForWriting(this.#settings, () => {}) // warned when the store was opened
      try {
        await connection.client.query(`set synchronous_commit = off; set lock_timeout = '2s'`)
        await this.#reclaimOn(connection.client, piece, pieces[at - 1], keep)
      } finally {
        await connection.end()
      }
    } catch (error) {
      throw error instanceof RangeError ? error : storeErrorOf(error)
    }
  }

  async #reclaimOn(
    client: ClientBase,
    piece: KnownPiece,
    below: KnownPiece | undefined,
    keep: AsyncIterable<readonly KeptSlot[]>,
  ): Promise<void> {
    if (await this.#adoptChange(client, piece, below)) return
    const isWhole = piece.slots !== undefined
    const joined =
      below !== undefined && below.slots === undefined && isWhole && below.keptBytes < this.#settings.pieceBytes ? below : undefined
    const copied = await this.#copy(client, piece, joined, keep)
    const { epoch } = piece
    const kept = copied.table ?? joined?.kept
    const now: PieceRow = {
      epoch,
      from: joined?.from ?? piece.from,
      ...(kept !== undefined && { kept }),
      keptBytes: copied.bytes + (joined?.keptBytes ?? 0),
    }
    await this.#change(client, { former: joined === undefined ? [piece] : [joined, piece], now })
    this.#counters.pieces_reclaimed++
    await this.#dropUnused(client, piece)
  }

  /** Into a new table, made with the first part, or into that of the neighbour. */
  async #copy(
    client: ClientBase,
    piece: KnownPiece,
    joined: KnownPiece | undefined,
    keep: AsyncIterable<readonly KeptSlot[]>,
  ): Promise<{ readonly table: number | undefined; readonly bytes: number }> {
    const { schema } = this.#settings
    let table = joined?.kept
    let bytes = 0
    let last = 0
    if (joined?.kept !== undefined) await client.query(`delete from "${schema}".kept_${joined.kept} where index > $1::bigint`, [joined.to])
    for await (const batch of keep) {
      this.#refuseClosed()
      last = checkKept(piece, batch, last)
      for (const parts of chunks(batch)) {
        if (table === undefined) {
          table = await nextNumber(client, schema)
          await client.query(createKeptTable(schema, table))
        }
        await this.#copyParts(client, piece, table, parts)
        this.#counters.parts_kept += parts.length
        bytes += parts.reduce((sum, { length }) => sum + length, 0)
      }
    }
    this.#counters.bytes_kept += bytes
    return { table, bytes }
  }

  async #copyParts(client: ClientBase, { epoch, slots, kept }: KnownPiece, table: number, parts: readonly PartRow[]): Promise<void> {
    const { schema } = this.#settings
    const column = (name: keyof PartRow): string => `{${parts.map((part) => part[name]).join(',')}}`
    const asked = `unnest($1::bigint[], $2::integer[], $3::integer[]) as t (index, start, length)`
    const values: unknown[] = [column('index'), column('offset'), column('length')]
    let rowCount: number | null = 0
    if (slots !== undefined) {
      const text = `insert into "${schema}".kept_${table} (index, start, bytes)
        select t.index, t.start, substring(s.entry from t.start + 1 for t.length)
        from ${asked} join "${schema}".slots_${slots} s on s.epoch = $4::bigint and s.index = t.index
        where t.start + t.length <= octet_length(s.entry)`
      ;({ rowCount } = await client.query(text, [...values, epoch]))
    } else if (kept !== undefined) {
      const text = `insert into "${schema}".kept_${table} (index, start, bytes)
        select t.index, t.start, substring(k.bytes from t.start - k.start + 1 for t.length)
        from ${asked} cross join lateral (select start, bytes from "${schema}".kept_${kept} where index = t.index and start <= t.start
          order by start desc limit 1) k
        where t.start + t.length <= k.start + octet_length(k.bytes)`
      ;({ rowCount } = await client.query(text, values))
    }
    const [first] = parts
    if (rowCount !== parts.length && first !== undefined) throw reclaimedError(epoch, first.index)
  }

  /** Durable when it resolves. */
  async #change(client: ClientBase, { former, now }: Change): Promise<void> {
    const { schema } = this.#settings
    await client.query(`begin; select set_config('synchronous_commit', 'on', true)`)
    await lockFenceFor(client, schema, this.#boot, 'key share')
    for (const { epoch, from, slots, kept } of former) {
      const { rowCount } = await client.query(
        `delete from "${schema}".pieces where epoch = $1::bigint and from_index = $2::bigint
          and slots is not distinct from $3::bigint and kept is not distinct from $4::bigint`,
        [epoch, from, slots ?? null, kept ?? null],
      )
      if (rowCount !== 1)
        throw new StoreError(
          'damaged',
          `the piece of the log from slot ${from} is not what this store left: repair this node from its peers`,
        )
    }
    await client.query(
      `insert into "${schema}".pieces (epoch, from_index, kept, kept_bytes) values ($1::bigint, $2::bigint, $3::bigint, $4::bigint)`,
      [now.epoch, now.from, now.kept ?? null, now.keptBytes],
    )
    await client.query('commit')
    this.#directory.replace(former, [now])
  }

  /** An attempt before may have ended without an answer: what it did is taken over here. True when it had done its work. */
  async #adoptChange(client: ClientBase, piece: KnownPiece, below: KnownPiece | undefined): Promise<boolean> {
    const { rows } = await client.query<PieceColumns>(
      `select ${pieceColumns} from "${this.#settings.schema}".pieces where epoch = $1::bigint and from_index between $2::bigint and $3::bigint order by from_index`,
      [piece.epoch, below?.from ?? piece.from, piece.from],
    )
    const found = rows.map(pieceRow)
    const known = below === undefined ? [piece] : [below, piece]
    const isAsKnown =
      found.length === known.length && found.every(({ slots, kept }, at) => slots === known[at]?.slots && kept === known[at]?.kept)
    if (isAsKnown) return false
    this.#directory.replace(known, found)
    await this.#dropUnused(client, piece)
    return true
  }

  /** Its readers come first. Nothing is lost when it does not succeed: the next opening drops it. */
  async #dropUnused(client: ClientBase, { slots, kept }: PieceRow): Promise<void> {
    const table = slots === undefined ? `kept_${kept}` : `slots_${slots}`
    try {
      await client.query(`drop table if exists "${this.#settings.schema}".${table}`)
    } catch {
      // Said above.
    }
  }

  #refuseClosed(): void {
    if (this.#closed) throw new StoreError('closed', 'the store is closed: nothing more is reclaimed')
  }
}

/** The tables of pieces that no piece names: what a reclaim left that was cut short. */
export async function dropUnnamedTables(client: ClientBase, schema: string, directory: PieceDirectory): Promise<void> {
  const pieces = directory.epochs.flatMap((epoch) => directory.of(epoch))
  const named = new Set(pieces.flatMap(({ slots, kept }) => [`slots_${slots}`, `kept_${kept}`]))
  const { rows } = await client.query<{ name: string }>(
    `select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relkind = 'r' and c.relname ~ '^(slots|kept)_[0-9]+$'`,
    [schema],
  )
  for (const { name } of rows) if (!named.has(name)) await client.query(`drop table if exists "${schema}".${name}`)
}

function* chunks(batch: readonly KeptSlot[]): Iterable<readonly PartRow[]> {
  let chunk: PartRow[] = []
  let bytes = 0
  for (const { index, parts } of batch) {
    for (const { offset, length } of parts) {
      if (chunk.length > 0 && (chunk.length === copyPartsMax || bytes + length > copyBytesMax)) {
        yield chunk
        chunk = []
        bytes = 0
      }
      chunk.push({ index, offset, length })
      bytes += length
    }
  }
  if (chunk.length > 0) yield chunk
}
