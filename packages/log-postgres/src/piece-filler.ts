/** When the next piece of an epoch begins: when the last one is full, behind every slot that was written, so that no row ever moves. */
import type { Epoch, Index } from '@synod/log'
import type { SlotRow } from './operation-merge.ts'
import type { PieceDirectory } from './piece-directory.ts'

/** Of the last piece of an epoch. */
export interface PieceFill {
  /** On disk, about. */
  readonly bytes: number
  /** The highest index that may have been written; 0 when none was. */
  readonly highest: Index
}

/** What a row takes beside its bytes. */
const rowBytes = 80

export class PieceFiller {
  readonly #directory: PieceDirectory
  readonly #fill: Map<Epoch, PieceFill>
  readonly #bytesMax: number

  constructor(directory: PieceDirectory, fill: ReadonlyMap<Epoch, PieceFill>, bytesMax: number) {
    this.#directory = directory
    this.#fill = new Map(fill)
    this.#bytesMax = bytesMax
  }

  /** Pieces to be added before these slots are written. */
  missing(slots: readonly SlotRow[]): readonly { readonly epoch: Epoch; readonly from: Index }[] {
    const missing = new Map<Epoch, Index>()
    for (const { epoch, index } of slots) {
      const last = this.#directory.last(epoch)
      const { bytes, highest } = this.#fill.get(epoch) ?? { bytes: 0, highest: 0 }
      if (last === undefined) missing.set(epoch, 1)
      else if (bytes >= this.#bytesMax && index > highest && highest >= last.from) missing.set(epoch, highest + 1)
    }
    return [...missing].map(([epoch, from]) => ({ epoch, from }))
  }

  onWritten(slots: readonly SlotRow[]): void {
    for (const { epoch, index, header, entry } of slots) {
      const { bytes, highest } = this.#fill.get(epoch) ?? { bytes: 0, highest: 0 }
      const isFirst = index > highest && this.#directory.last(epoch)?.from === highest + 1
      const added = rowBytes + header.length + entry.length
      this.#fill.set(epoch, { bytes: isFirst ? added : bytes + added, highest: Math.max(highest, index) })
    }
  }
}
