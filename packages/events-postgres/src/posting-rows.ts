/**
 * Where the events with a term stand, a row for what one flush brought of it, `postingsRowMax` positions at most: a flush of
 * thousands of events of a few types is a few rows. The key is (term, last position), so that the row that holds a position,
 * or the first one after it, is one step in the index; the rows of a term do not overlap.
 *
 *   positions = version u8 (1) · [varint, the position less the one before]…, the first one's left out, as `first` is a column;
 *   nothing after the version when they are all of first to last
 */
import type { Postings, ReadSideError, Term } from '@synod/events'
import { CopyBuffer } from './copy-buffer.ts'
import { damaged } from './row.ts'
import { VarintReader, varintBytesMax, writeVarint } from './varints.ts'

const version = 1
/** So that the row stays in its page, and whoever wants a few positions reads little: one to three bytes each, as a rule. */
export const postingsRowMax = 512
/** Terms of one COPY: about half a megabyte, when each stands once. */
const copyTermsMax = 8192
/** A row without its positions. */
const rowBytes = 62

/** In the order of the index's key, which costs Postgres a third when they are many; about `copyTermsMax` terms at a time. */
export function* postingRows(postings: readonly Postings[]): Iterable<CopyBuffer> {
  let some: Postings[] = []
  for (const share of shares(postings)) {
    some.push(...share.sort((a, b) => (a.term < b.term ? -1 : 1)))
    if (some.length < copyTermsMax) continue
    yield rowsOf(some)
    some = []
  }
  if (some.length > 0) yield rowsOf(some)
}

/** By the first byte when they are many: terms are hashes, so a share is small and sorting it is short. */
function shares(postings: readonly Postings[]): Postings[][] {
  if (postings.length <= copyTermsMax) return [postings.slice()]
  const shares: Postings[][] = Array.from({ length: 256 }, () => [])
  for (const each of postings) shares[each.term.charCodeAt(0)]!.push(each)
  return shares
}

function rowsOf(postings: readonly Postings[]): CopyBuffer {
  const rows = new CopyBuffer(postings.reduce((sum, { positions }) => sum + rowBytes + positions.length * 2, 0))
  const bytes = new Uint8Array(1 + postingsRowMax * varintBytesMax)
  bytes[0] = version
  const term = new Uint8Array(16)
  for (const { term: text, positions } of postings) {
    for (let byte = 0; byte < 16; byte++) term[byte] = text.charCodeAt(byte)
    for (let from = 0; from < positions.length; from += postingsRowMax) {
      const end = Math.min(positions.length, from + postingsRowMax)
      const [first, last] = [positions[from]!, positions[end - 1]!]
      let at = 1
      if (last - first !== end - from - 1)
        for (let next = from + 1; next < end; next++) at = writeVarint(bytes, at, positions[next]! - positions[next - 1]!)
      rows.row(5)
      rows.bigint(last)
      rows.bigint(first)
      rows.integer(end - from)
      rows.bytes(term)
      rows.bytes(bytes.subarray(0, at))
    }
  }
  return rows
}

/** One row as it is read: ascending. */
export interface PostingRow {
  readonly first: number
  readonly last: number
  readonly count: number
  readonly positions: Uint8Array
}

/** Ascending. Throws a ReadSideError `damaged`. */
export function positionsOf(term: Term, row: PostingRow): number[] {
  const { first, last, count, positions: bytes } = row
  if (bytes[0] !== version || count < 1 || count > postingsRowMax) throw doesNotDecode(term, row)
  const positions = [first]
  if (bytes.length === 1) {
    for (let next = first + 1; next <= last && positions.length < count; next++) positions.push(next)
  } else {
    const reader = new VarintReader(bytes, 1)
    for (let position = first; positions.length < count; positions.push(position)) {
      const step = reader.next()
      if (!(step > 0)) throw doesNotDecode(term, row)
      position += step
    }
    if (reader.at !== bytes.length) throw doesNotDecode(term, row)
  }
  if (positions.length !== count || positions.at(-1) !== last) throw doesNotDecode(term, row)
  return positions
}

export function doesNotDecode(term: Term, { first, last }: PostingRow): ReadSideError {
  const hex = Buffer.from(term, 'latin1').toString('hex')
  return damaged(`the row of term ${hex} with positions ${first} to ${last} does not decode`)
}
