import type { KeptSlot, Piece } from './log-store.ts'

/**
 * What every LogStore asks of the slots to be kept of a piece, batch by batch: ascending, within it, their parts too. Throws a
 * RangeError that quotes what is wrong. Returns the index of the last one, to be given with the next batch.
 */
export function checkKept({ from, to }: Piece, batch: readonly KeptSlot[], last: number): number {
  let before = last
  for (const { index, parts } of batch) {
    if (!Number.isSafeInteger(index) || index < from || index > to || index <= before)
      throw new RangeError(`slot ${index} cannot be kept after slot ${before} in a piece from ${from} to ${to}`)
    before = index
    let end = 0
    for (const { offset, length } of parts) {
      const isSound = Number.isInteger(offset) && Number.isInteger(length) && offset >= end && length > 0 && offset + length < 2 ** 30
      if (!isSound) throw new RangeError(`${length} bytes at ${offset} of slot ${index} cannot be kept after its byte ${end}`)
      end = offset + length
    }
  }
  return before
}
