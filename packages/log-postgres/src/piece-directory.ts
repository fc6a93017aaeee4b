/**
 * Which slots lie in which table. The slots of an epoch are cut into pieces, side by side from index 1, and each piece is a
 * table of its own: `slots_<number>` while its slots are whole, `kept_<number>` with the parts that are left when it was
 * reclaimed, none when nothing is left. The last piece of an epoch has no end, so that every slot has its place. The store
 * names the table itself in what it asks; docs/decisions says why these are not partitions.
 *
 * Only this process changes the table `pieces` while it owns the store, so that this copy is exact; what another process did
 * in the meantime fails at the fence.
 */
import type { Epoch, Index, Piece } from '@synod/log'

export interface PieceRow {
  readonly epoch: Epoch
  readonly from: Index
  /** The table of whole slots; absent once the piece was reclaimed. */
  readonly slots?: number
  /** The table of what is left. */
  readonly kept?: number
  readonly keptBytes: number
}

export interface KnownPiece extends PieceRow {
  /** Infinity for the last one of its epoch. */
  readonly to: Index
}

export class PieceDirectory {
  readonly #epochs = new Map<Epoch, readonly KnownPiece[]>()

  load(rows: readonly PieceRow[]): void {
    this.#epochs.clear()
    for (const [epoch, own] of Map.groupBy(rows, ({ epoch }) => epoch)) this.#epochs.set(epoch, withEnds(own))
  }

  get epochs(): readonly Epoch[] {
    return [...this.#epochs.keys()]
  }

  of(epoch: Epoch): readonly KnownPiece[] {
    return this.#epochs.get(epoch) ?? []
  }

  /** The one a slot lies in; undefined when nothing of its epoch was ever written. */
  holding(epoch: Epoch, index: Index): KnownPiece | undefined {
    const pieces = this.of(epoch)
    let [low, high] = [0, pieces.length - 1]
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((pieces[middle]?.from ?? 0) <= index) low = middle
      else high = middle - 1
    }
    return pieces[low]
  }

  last(epoch: Epoch): KnownPiece | undefined {
    return this.of(epoch).at(-1)
  }

  reclaimedThrough(epoch: Epoch): Index {
    return this.of(epoch).findLast(({ slots }) => slots === undefined)?.to ?? 0
  }

  /** As the LogStore tells them. */
  through(epoch: Epoch, through: Index): readonly Piece[] {
    return this.of(epoch).flatMap(({ from, to, slots, keptBytes }) => {
      if (to > through) return []
      return slots === undefined ? [{ from, to, keptBytes }] : [{ from, to }]
    })
  }

  /** These pieces of one epoch have become those, which cover the same slots or add to the end. */
  replace(former: readonly PieceRow[], now: readonly PieceRow[]): void {
    const [epoch] = [...now, ...former].map((row) => row.epoch)
    if (epoch === undefined) return
    const left = this.of(epoch).filter(({ from }) => !former.some((row) => row.from === from))
    this.#epochs.set(epoch, withEnds([...left, ...now]))
  }
}

function withEnds(rows: readonly PieceRow[]): readonly KnownPiece[] {
  const sorted = rows.toSorted((one, other) => one.from - other.from)
  return sorted.map((row, at) => ({ ...row, to: (sorted[at + 1]?.from ?? Infinity) - 1 }))
}
