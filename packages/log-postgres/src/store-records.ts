import { isDeepStrictEqual } from 'node:util'
import {
  requireOwner,
  StoreError,
  type Epoch,
  type Genesis,
  type Index,
  type Recovered,
  type RecoveredEpoch,
  type StoredSlot,
} from '@synod/log'
import { sql, type Kysely, type Transaction } from 'kysely'
import { genesisChecksum, metaChecksum } from './checksum.ts'
import type { PieceDirectory } from './piece-directory.ts'
import { pieceRow } from './piece-tables.ts'
import type { Schema } from './schema.ts'

/** Durable for certain, and no waiting for ever behind a process that hangs with the fence row's lock in its hand. */
const careful = sql`select set_config('synchronous_commit', 'on', true), set_config('lock_timeout', '20s', true)`

/** Writes the genesis record into an empty store. */
export async function foundStore(db: Kysely<Schema>, genesis: Genesis): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    await careful.execute(transaction)
    const fence = await lockFence(transaction)
    const former = await readGenesis(transaction)
    if (former !== undefined) {
      if (isDeepStrictEqual(former, genesis)) return
      throw new StoreError(
        'already_founded',
        `this store belongs to node ${former.node} of cluster ${former.configuration.cluster}: use an empty database`,
      )
    }
    if (fence.sequence > 0)
      throw new StoreError('already_founded', `this store holds ${fence.sequence} writes and no genesis: use an empty database`)
    const record = JSON.stringify(genesis)
    await transaction
      .insertInto('genesis')
      .values({ record, checksum: genesisChecksum(record) })
      .execute()
  })
}

/**
 * Takes the store over and reads what it holds, in one transaction: while it has the fence row's lock nobody else writes,
 * and afterwards no former owner does. `readSlots` may therefore use another connection.
 */
export async function takeOver(
  db: Kysely<Schema>,
  self: Genesis['node'],
  cluster: string | undefined,
  directory: PieceDirectory,
  readSlots: (epoch: Epoch, from: Index) => Promise<StoredSlot[]>,
): Promise<{ readonly recovered: Recovered; readonly sequence: number }> {
  return db.transaction().execute(async (transaction) => {
    await careful.execute(transaction)
    const fence = await lockFence(transaction)
    const genesis = await readGenesis(transaction)
    requireOwner(genesis, self, cluster)
    const boot = fence.boot + 1
    await transaction.updateTable('fence').set({ boot }).execute()
    directory.load((await transaction.selectFrom('pieces').selectAll().execute()).map(pieceRow))
    const epochs: RecoveredEpoch[] = []
    for (const epoch of await readEpochs(transaction, directory)) {
      const meta = await readMeta(transaction, epoch)
      const row = await transaction.selectFrom('epochs').select('decided_through').where('epoch', '=', String(epoch)).executeTakeFirst()
      const decidedThrough = Number(row?.decided_through ?? 0)
      const window = await readSlots(epoch, decidedThrough + 1)
      const reclaimedThrough = directory.reclaimedThrough(epoch)
      if (meta.size === 0 && decidedThrough === 0 && window.length === 0) continue
      epochs.push({ epoch, meta, decidedThrough, window, ...(reclaimedThrough > 0 && { reclaimedThrough }) })
    }
    return { recovered: { boot, ...(genesis && { genesis }), epochs }, sequence: fence.sequence }
  })
}

async function lockFence(db: Transaction<Schema>): Promise<{ readonly boot: number; readonly sequence: number }> {
  const row = await db.selectFrom('fence').select(['boot', 'write_sequence']).forUpdate().executeTakeFirst()
  if (row === undefined)
    throw new StoreError('damaged', 'the fence row is gone: this database is not what Synod left; repair this node from its peers')
  return { boot: Number(row.boot), sequence: Number(row.write_sequence) }
}

async function readGenesis(db: Transaction<Schema>): Promise<Genesis | undefined> {
  const row = await db.selectFrom('genesis').select(['record', 'checksum']).executeTakeFirst()
  if (row === undefined) return undefined
  if (genesisChecksum(row.record) !== row.checksum)
    throw new StoreError('damaged', 'the genesis record fails its checksum: repair this node from its peers')
  return JSON.parse(row.record) as Genesis
}

async function readMeta(db: Transaction<Schema>, epoch: Epoch): Promise<ReadonlyMap<string, Buffer>> {
  const rows = await db.selectFrom('meta').select(['key', 'value', 'checksum']).where('epoch', '=', String(epoch)).orderBy('key').execute()
  for (const { key, value, checksum } of rows) {
    if (metaChecksum(epoch, key, value) !== checksum) {
      throw new StoreError('damaged', `the value ${key} of epoch ${epoch} fails its checksum: repair this node from its peers`)
    }
  }
  return new Map(rows.map(({ key, value }) => [key, value]))
}

/** Every epoch of which something may be stored. */
async function readEpochs(db: Transaction<Schema>, directory: PieceDirectory): Promise<Epoch[]> {
  const found = new Set<Epoch>(directory.epochs)
  for (const { epoch } of await db.selectFrom('meta').select('epoch').distinct().execute()) found.add(Number(epoch))
  for (const { epoch } of await db.selectFrom('epochs').select('epoch').execute()) found.add(Number(epoch))
  return [...found].toSorted((left, right) => left - right)
}
