import { MalformedError, type ByteReader, type ByteWriter } from '@synod/codec'
import type { NodeId } from '@synod/transport'

/**
 * A proposal number. The boot is in it so that none is used twice: a node that restarts and lost the memory of a round
 * may draw the same round again, but never the same ballot. Ordered by round, then node, then boot.
 */
export interface Ballot {
  readonly round: number
  readonly node: NodeId
  readonly boot: number
}

/** Below every ballot; the only one whose round is 0. */
export const noBallot: Ballot = { round: 0, node: '', boot: 0 }

/** Negative, zero or positive, like a sort function. */
export function compareBallots(left: Ballot, right: Ballot): number {
  if (left.round !== right.round) return left.round - right.round
  if (left.node !== right.node) return left.node < right.node ? -1 : 1
  return left.boot - right.boot
}

export function sameBallot(left: Ballot, right: Ballot): boolean {
  return compareBallots(left, right) === 0
}

/** For traces and failed invariants. */
export function ballotText(ballot: Ballot): string {
  return ballot.round === 0 ? 'none' : `${ballot.round}.${ballot.node}.${ballot.boot}`
}

/** ballot = round u53 · (when not 0) member u16 · boot u53; a node is its place among the epoch's members, which never change. */
export function writeBallot(writer: ByteWriter, ballot: Ballot, members: readonly NodeId[]): void {
  writer.u53(ballot.round)
  if (ballot.round === 0) return
  writer.u16(members.indexOf(ballot.node)).u53(ballot.boot)
}

/** Throws a MalformedError, also for a node that is no member. */
export function readBallot(reader: ByteReader, members: readonly NodeId[]): Ballot {
  const round = reader.u53()
  if (round === 0) return noBallot
  const place = reader.u16()
  const node = members[place]
  if (node === undefined) throw new MalformedError(`a ballot of member ${place} of ${members.length}`)
  return { round, node, boot: reader.u53() }
}
