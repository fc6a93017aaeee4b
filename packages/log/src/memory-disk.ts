import { isDeepStrictEqual } from 'node:util'
import type { Bytes } from '@synod/codec'
import type { NodeId } from '@synod/transport'
import type { Genesis } from './configuration.ts'
import { checkKept } from './kept-slots.ts'
import {
  reclaimedError,
  requireOwner,
  StoreError,
  type KeptSlot,
  type Piece,
  type Recovered,
  type StoredSlot,
  type StoreOperation,
} from './log-store.ts'
import { cutKept, MemoryPieces, partOf } from './memory-pieces.ts'
import type { Epoch, Index } from './slot.ts'

interface EpochRecords {
  readonly meta: Map<string, Bytes>
  decidedThrough: Index
  readonly slots: Map<Index, StoredSlot>
  /** The keys of `slots`, ascending: nearly always appended to. */
  readonly indexes: Index[]
  readonly pieces: MemoryPieces
}

export interface MemoryDiskOptions {
  /** Bytes of headers and entries after which a new piece begins. Default 1 MiB. */
  readonly pieceBytes?: number
}

/**
 * What is durable, apart from the store that writes it: it outlives the store, so that a test closes or crashes one and
 * opens the next on the same disk. It can also be told to fail.
 */
export class MemoryDisk {
  #boot = 0
  #genesis: Genesis | undefined
  #crashes = 0
  #bytes = 0
  #failure: 'disk_full' | 'unavailable' | undefined
  readonly #epochs = new Map<Epoch, EpochRecords>()
  readonly #damaged = new Set<string>()
  readonly #pieceBytes: number

  constructor({ pieceBytes = 1024 * 1024 }: MemoryDiskOptions = {}) {
    this.#pieceBytes = pieceBytes
  }

  /** Power is cut: what is not yet durable is gone, and every store that is open on this disk is dead (`unavailable`). */
  crash(): void {
    this.#crashes++
  }

  /** Every write fails with this code, until `repair`. */
  fail(code: 'disk_full' | 'unavailable'): void {
    this.#failure = code
  }

  repair(): void {
    this.#failure = undefined
  }

  /** A bit of this slot flips: whoever reads it gets `damaged`, until it is overwritten. */
  damage(epoch: Epoch, index: Index): void {
    this.#damaged.add(`${epoch}/${index}`)
  }

  /** How often power was cut: a store compares it with what it was when it opened. */
  get crashes(): number {
    return this.#crashes
  }

  /** Bytes of headers, entries and values. */
  get bytes(): number {
    return this.#bytes
  }

  found(genesis: Genesis): void {
    if (this.#genesis !== undefined) {
      if (isDeepStrictEqual(this.#genesis, genesis)) return
      throw new StoreError(
        'already_founded',
        `this store belongs to node ${this.#genesis.node} of cluster ${this.#genesis.configuration.cluster}: use an empty one`,
      )
    }
    if (this.#epochs.size > 0) throw new StoreError('already_founded', 'this store holds records and no genesis: use an empty one')
    this.#genesis = structuredClone(genesis)
  }

  takeOver(self: NodeId, cluster: string | undefined): Recovered {
    requireOwner(this.#genesis, self, cluster)
    const epochs = [...this.#epochs.keys()]
      .toSorted((left, right) => left - right)
      .flatMap((epoch) => {
        const { meta, decidedThrough, pieces } = this.#epoch(epoch)
        const { reclaimedThrough } = pieces
        const window = this.slots(epoch, decidedThrough + 1, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
        const isEmpty = meta.size === 0 && decidedThrough === 0 && window.length === 0
        return isEmpty ? [] : [{ epoch, meta: new Map(meta), decidedThrough, window, ...(reclaimedThrough > 0 && { reclaimedThrough }) }]
      })
    this.#boot++
    return { boot: this.#boot, ...(this.#genesis && { genesis: structuredClone(this.#genesis) }), epochs }
  }

  /** One atomic, durable batch. */
  apply(boot: number, operations: readonly StoreOperation[]): void {
    this.#refuseUnwritable(boot)
    for (const operation of operations) this.#applyOne(operation)
  }

  pieces(epoch: Epoch, through: Index): readonly Piece[] {
    return this.#epochs.get(epoch)?.pieces.through(through) ?? []
  }

  /** As the LogStore's; at once and durable. Throws what that rejects with. */
  reclaim(boot: number, epoch: Epoch, piece: Piece, keep: readonly KeptSlot[]): void {
    this.#refuseUnwritable(boot)
    const records = this.#epoch(epoch)
    checkKept(piece, keep, 0)
    const kept = cutKept(keep, (index, offset, length) => this.part(epoch, index, offset, length) ?? undefined)
    if (kept === undefined) throw reclaimedError(epoch, piece.from)
    const before = records.pieces.keptBytes
    if (!records.pieces.reclaim(piece, new Map(kept)))
      throw new RangeError(`there is no piece from ${piece.from} to ${piece.to} in epoch ${epoch}`)
    this.#bytes += records.pieces.keptBytes - before
    const begin = firstAtLeast(records.indexes, piece.from)
    for (const index of records.indexes.splice(begin, firstAtLeast(records.indexes, piece.to + 1) - begin))
      this.#drop(epoch, records, index)
  }

  #refuseUnwritable(boot: number): void {
    if (boot !== this.#boot) {
      throw new StoreError(
        'fenced',
        `this store was opened as boot ${boot} and again as boot ${this.#boot}: one process may own it, stop this one`,
      )
    }
    if (this.#failure !== undefined) {
      throw new StoreError(this.#failure, this.#failure === 'disk_full' ? 'no space left on the memory disk' : 'the memory disk fails')
    }
  }

  /** Slots from `from` to `to` inclusive, ascending, as many as fit into `bytesMax`, at least one if there is one. Throws `reclaimed` where the first would be one. */
  slots(epoch: Epoch, from: Index, to: Index, bytesMax: number): StoredSlot[] {
    const records = this.#epochs.get(epoch)
    const found: StoredSlot[] = []
    if (records === undefined) return found
    const gone = records.pieces.nextReclaimed(from, to)
    let bytes = 0
    for (let at = firstAtLeast(records.indexes, from); at < records.indexes.length; at++) {
      const slot = records.slots.get(records.indexes[at] ?? 0)
      if (slot === undefined || slot.index > to || (gone !== undefined && slot.index > gone)) break
      bytes += slot.header.length + slot.entry.length
      if (found.length > 0 && bytes > bytesMax) break
      this.#refuseDamaged(epoch, slot.index)
      found.push(slot)
    }
    if (found.length === 0 && gone !== undefined) throw reclaimedError(epoch, gone)
    return found
  }

  /** Part of an entry. Undefined when it was reclaimed, null when it is not there. */
  part(epoch: Epoch, index: Index, offset: number, length: number): Bytes | undefined | null {
    this.#refuseDamaged(epoch, index)
    const records = this.#epochs.get(epoch)
    const reclaimed = records?.pieces.reclaimed(index)
    if (reclaimed !== undefined) return partOf(reclaimed.get(index), offset, length)
    const entry = records?.slots.get(index)?.entry
    if (entry === undefined || offset < 0 || length < 0 || offset + length > entry.length) return null
    return entry.subarray(offset, offset + length)
  }

  #refuseDamaged(epoch: Epoch, index: Index): void {
    if (this.#damaged.has(`${epoch}/${index}`)) {
      throw new StoreError('damaged', `slot ${index} of epoch ${epoch} fails its checksum: repair it from a peer`)
    }
  }

  #applyOne(operation: StoreOperation): void {
    const records = this.#epoch(operation.epoch)
    switch (operation.op) {
      case 'meta': {
        this.#bytes += operation.value.length - (records.meta.get(operation.key)?.length ?? 0)
        records.meta.set(operation.key, operation.value)
        return
      }
      case 'slot': {
        const { index, header, entry } = operation
        const former = records.slots.get(index)
        this.#bytes += header.length + entry.length - (former === undefined ? 0 : former.header.length + former.entry.length)
        this.#damaged.delete(`${operation.epoch}/${index}`)
        records.pieces.onWrite(index, header.length + entry.length)
        if (former === undefined) records.indexes.splice(firstAtLeast(records.indexes, index), 0, index)
        records.slots.set(index, { index, header, entry })
        return
      }
      case 'truncateFrom': {
        for (const index of records.indexes.splice(firstAtLeast(records.indexes, operation.index))) {
          this.#drop(operation.epoch, records, index)
        }
        return
      }
      case 'decidedThrough':
        records.decidedThrough = Math.max(records.decidedThrough, operation.index)
    }
  }

  #drop(epoch: Epoch, records: EpochRecords, index: Index): void {
    const former = records.slots.get(index)
    if (former !== undefined) this.#bytes -= former.header.length + former.entry.length
    records.slots.delete(index)
    this.#damaged.delete(`${epoch}/${index}`)
  }

  #epoch(epoch: Epoch): EpochRecords {
    let records = this.#epochs.get(epoch)
    if (records === undefined) {
      records = { meta: new Map(), decidedThrough: 0, slots: new Map(), indexes: [], pieces: new MemoryPieces(this.#pieceBytes) }
      this.#epochs.set(epoch, records)
    }
    return records
  }
}

/** The place of the first of these ascending numbers that is not below `wanted`. Most often asked for the end. */
function firstAtLeast(ascending: readonly number[], wanted: number): number {
  if ((ascending.at(-1) ?? 0) < wanted) return ascending.length
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ascending[middle] ?? 0) < wanted) low = middle + 1
    else high = middle
  }
  return low
}
