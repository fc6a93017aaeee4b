/** The tables of the pieces (piece-directory.ts): their columns, and the statements that read and add them. */
import { StoreError, type Epoch, type Index } from '@synod/log'
import type { ClientBase } from 'pg'
import type { PieceRow } from './piece-directory.ts'

/**
 * An entry is stored as it is (`external`: no compression, and a part can be read alone), inside the row while that fits into
 * a page.
 */
export function createSlotsTable(schema: string, number: number): string {
  return `create table "${schema}".slots_${number} (
    epoch bigint not null, index bigint not null, checksum integer not null,
    header bytea storage main not null, entry bytea storage external not null,
    primary key (epoch, index)) with (fillfactor = 100, toast_tuple_target = 8160)`
}

/** A row is a part of an entry, by where it began there. */
export function createKeptTable(schema: string, number: number): string {
  return `create table "${schema}".kept_${number} (
    index bigint not null, start integer not null, bytes bytea storage external not null,
    primary key (index, start)) with (fillfactor = 100, toast_tuple_target = 8160)`
}

export const pieceColumns = 'epoch, from_index, slots, kept, kept_bytes'

/** As pg gives them: a bigint is text. */
export interface PieceColumns {
  readonly epoch: string
  readonly from_index: string
  readonly slots: string | null
  readonly kept: string | null
  readonly kept_bytes: string
}

export function pieceRow({ epoch, from_index: from, slots, kept, kept_bytes: keptBytes }: PieceColumns): PieceRow {
  return {
    epoch: Number(epoch),
    from: Number(from),
    ...(slots !== null && { slots: Number(slots) }),
    ...(kept !== null && { kept: Number(kept) }),
    keptBytes: Number(keptBytes),
  }
}

/** Inside a transaction: waits for a former transaction that holds the fence, and refuses unless the store is this boot's. */
export async function lockFenceFor(client: ClientBase, schema: string, boot: number, strength: 'update' | 'key share'): Promise<void> {
  const { rows } = await client.query<{ boot: string }>(`select boot from "${schema}".fence for ${strength}`)
  if (Number(rows[0]?.boot) === boot) return
  throw new StoreError(
    'fenced',
    `this store was opened as boot ${boot} and then as boot ${rows[0]?.boot}: one process may own it, stop this one`,
  )
}

/** Adds the piece that begins at `from`, or finds that an attempt before did. One transaction. */
export async function addPiece(client: ClientBase, schema: string, boot: number, epoch: Epoch, from: Index): Promise<PieceRow> {
  await client.query(`begin; select set_config('synchronous_commit', 'on', true)`)
  await lockFenceFor(client, schema, boot, 'update')
  const found = await client.query<PieceColumns>(
    `select ${pieceColumns} from "${schema}".pieces where epoch = $1::bigint and from_index = $2::bigint`,
    [epoch, from],
  )
  if (found.rows[0] !== undefined) {
    await client.query('rollback')
    return pieceRow(found.rows[0])
  }
  const number = await nextNumber(client, schema)
  await client.query(createSlotsTable(schema, number))
  await client.query(`insert into "${schema}".pieces (epoch, from_index, slots) values ($1::bigint, $2::bigint, $3::bigint)`, [
    epoch,
    from,
    number,
  ])
  await client.query('commit')
  return { epoch, from, slots: number, keptBytes: 0 }
}

/** Never given twice, not even when the transaction fails. */
export async function nextNumber(client: ClientBase, schema: string): Promise<number> {
  const { rows } = await client.query<{ number: string }>(`select nextval('"${schema}".piece_numbers') as number`)
  return Number(rows[0]?.number)
}
