import type { KeptSlot, Piece } from './log-store.ts'
import type { Index } from './slot.ts'

/** Of a slot that was reclaimed: by offset, the parts that are left. */
type KeptParts = ReadonlyMap<number, Uint8Array>

interface MemoryPiece {
  readonly from: Index
  kept: Map<Index, KeptParts> | undefined
}

/** How the slots of one epoch lie in pieces, and what is left of those that were reclaimed. */
export class MemoryPieces {
  readonly #bytesMax: number
  readonly #pieces: MemoryPiece[] = [{ from: 1, kept: undefined }]
  #bytes = 0
  #highest: Index = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** A slot is written: when the last piece is full, the next one begins behind everything that was written. */
  onWrite(index: Index, bytes: number): void {
    const last = this.#pieces.at(-1)
    if (this.#bytes >= this.#bytesMax && index > this.#highest && last !== undefined && this.#highest >= last.from) {
      this.#pieces.push({ from: this.#highest + 1, kept: undefined })
      this.#bytes = 0
    }
    this.#bytes += bytes
    this.#highest = Math.max(this.#highest, index)
  }

  /** The one a slot lies in, when it was reclaimed. */
  reclaimed(index: Index): ReadonlyMap<Index, KeptParts> | undefined {
    return this.#pieces.findLast(({ from }) => from <= index)?.kept
  }

  /** The first index from `from` to `to` that lies in a reclaimed piece. */
  nextReclaimed(from: Index, to: Index): Index | undefined {
    if (from > to) return undefined
    const at = Math.max(
      0,
      this.#pieces.findLastIndex((piece) => piece.from <= from),
    )
    const next = this.#pieces.slice(at).find(({ kept }) => kept !== undefined)
    return next === undefined || next.from > to ? undefined : Math.max(from, next.from)
  }

  get keptBytes(): number {
    return this.#pieces.reduce((sum, { kept }) => sum + (kept === undefined ? 0 : bytesOf(kept)), 0)
  }

  get reclaimedThrough(): Index {
    const at = this.#pieces.findLastIndex(({ kept }) => kept !== undefined)
    return at < 0 ? 0 : (this.#pieces[at + 1]?.from ?? 1) - 1
  }

  through(last: Index): readonly Piece[] {
    return this.#pieces.slice(0, -1).flatMap(({ from, kept }, at) => {
      const to = (this.#pieces[at + 1]?.from ?? 0) - 1
      if (to > last) return []
      return kept === undefined ? [{ from, to }] : [{ from, to, keptBytes: bytesOf(kept) }]
    })
  }

  /** False when there is no such piece. */
  reclaim({ from, to }: Piece, kept: Map<Index, KeptParts>): boolean {
    const at = this.#pieces.findIndex((piece) => piece.from === from)
    const [piece, next] = [this.#pieces[at], this.#pieces[at + 1]]
    if (piece === undefined || next?.from !== to + 1) return false
    piece.kept = kept
    // Neighbours of which nothing is left are one, so that a long log is not a long list.
    const before = this.#pieces[at - 1]
    if (kept.size === 0 && before?.kept?.size === 0) this.#pieces.splice(at, 1)
    return true
  }
}

/** Cut out of what is there now; undefined when a part is not. */
export function cutKept(batch: readonly KeptSlot[], part: (index: Index, offset: number, length: number) => Uint8Array | undefined) {
  const cut: [Index, KeptParts][] = []
  for (const { index, parts } of batch) {
    const found = new Map<number, Uint8Array>()
    for (const { offset, length } of parts) {
      const bytes = part(index, offset, length)
      if (bytes === undefined) return undefined
      found.set(offset, bytes.slice())
    }
    if (found.size > 0) cut.push([index, found])
  }
  return cut
}

/** The bytes at an offset, when they lie within one of the parts. */
export function partOf(kept: KeptParts | undefined, offset: number, length: number): Uint8Array | undefined {
  for (const [from, bytes] of kept ?? []) {
    if (from <= offset && offset + length <= from + bytes.length) return bytes.subarray(offset - from, offset - from + length)
  }
  return undefined
}

function bytesOf(kept: ReadonlyMap<Index, KeptParts>): number {
  let sum = 0
  for (const parts of kept.values()) for (const { length } of parts.values()) sum += length
  return sum
}
