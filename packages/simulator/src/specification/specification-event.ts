/**
 * What happens in a run of the core, in the words of the specification: 1a, 1b, 2a, 2b for each slot, and what was learned. A 1b
 * and a 2b happen when the acceptor's write is durable, sent or not: a message that was never sent is one that was lost.
 */
import { ByteReader, bytesToHex, type Bytes } from '@synod/codec'
import type { Effect } from '@synod/consensus'
import { decodeSlotHeader, type Ballot, type PaxosMessage } from '@synod/consensus-paxos'
import type { Index, StoreOperation } from '@synod/log'
import type { NodeId } from '@synod/transport'

/** An acceptor's vote, as a promise reports it; entries are hexadecimal. */
export interface ReportedVote {
  readonly index: Index
  readonly ballot: Ballot
  readonly value: string
}

/** What a promise says of the slots it covers: decided ones, votes, and nothing at all the others. */
export interface Report {
  readonly decidedThrough: Index
  readonly decided: readonly Index[]
  readonly votes: readonly ReportedVote[]
}

export type SpecificationEvent =
  /** Covers one slot, or with `scope: 'suffix'` every slot from `index` on. */
  | { readonly kind: '1a'; readonly ballot: Ballot; readonly scope: 'suffix' | 'slot'; readonly index: Index }
  /** For the slots of the 1a, which may be this one alone. Without a report it says what the acceptor holds. */
  | { readonly kind: '1b'; readonly node: NodeId; readonly ballot: Ballot; readonly index?: Index; readonly report?: Report }
  | { readonly kind: '2a'; readonly ballot: Ballot; readonly index: Index; readonly value: string }
  /** Without a value: that of the 2a. */
  | { readonly kind: '2b'; readonly node: NodeId; readonly ballot: Ballot; readonly index: Index; readonly value?: string }
  | { readonly kind: 'learned'; readonly node: NodeId; readonly index: Index; readonly value: string }

/** Of one write, once it is durable. */
export function eventsOfWrite(node: NodeId, operations: readonly StoreOperation[], members: readonly NodeId[]): SpecificationEvent[] {
  const events: SpecificationEvent[] = []
  let promised: Ballot | undefined
  for (const operation of operations) {
    if (operation.op === 'meta') promised = readPromise(operation.value, members)
    if (operation.op !== 'slot') continue
    const { index } = operation
    const header = decodeSlotHeader(operation.header, members)
    // A decision that was learned from somebody is no vote.
    if (header.decided) continue
    const value = bytesToHex(operation.entry)
    if (sameBallot(header.accepted, header.promised)) {
      // The promise that rides with a vote is part of the vote.
      if (promised !== undefined && sameBallot(promised, header.accepted)) promised = undefined
      events.push({ kind: '2b', node, ballot: header.accepted, index, value })
    } else {
      const votes = header.accepted.round === 0 ? [] : [{ index, ballot: header.accepted, value }]
      events.push({ kind: '1b', node, ballot: header.promised, index, report: { decidedThrough: 0, decided: [], votes } })
    }
  }
  return promised === undefined ? events : [{ kind: '1b', node, ballot: promised }, ...events]
}

/** Of a message when it leaves. */
export function eventsOfMessage(node: NodeId, message: PaxosMessage): SpecificationEvent[] {
  switch (message.kind) {
    case 'prepare':
      return [{ kind: '1a', ballot: message.ballot, scope: message.scope, index: message.index }]
    case 'promise': {
      const { ballot, decidedThrough, slots } = message
      const decided = slots.filter((slot) => slot.decided).map(({ index }) => index)
      const votes = slots
        .filter((slot) => !slot.decided)
        .map((slot) => ({ index: slot.index, ballot: slot.ballot, value: bytesToHex(slot.entry) }))
      return [{ kind: '1b', node, ballot, report: { decidedThrough, decided, votes } }]
    }
    case 'accept':
      return message.slots.map(({ index, entry }) => ({ kind: '2a', ballot: message.ballot, index, value: bytesToHex(entry) }))
    case 'accepted':
      return message.indexes.map((index) => ({ kind: '2b', node, ballot: message.ballot, index }))
    default:
      return []
  }
}

export function eventOfDecision(node: NodeId, { index, entry }: Extract<Effect<PaxosMessage>, { kind: 'decide' }>): SpecificationEvent {
  return { kind: 'learned', node, index, value: bytesToHex(entry) }
}

export function sameBallot(left: Ballot, right: Ballot): boolean {
  return left.round === right.round && left.node === right.node && left.boot === right.boot
}

/** By round, then node, then boot. */
export function compareBallots(left: Ballot, right: Ballot): number {
  if (left.round !== right.round) return left.round - right.round
  if (left.node !== right.node) return left.node < right.node ? -1 : 1
  return left.boot - right.boot
}

export function ballotText({ round, node, boot }: Ballot): string {
  return `${round}.${node}.${boot}`
}

/** The promise for every slot, as Multi-Paxos stores it: round u53 · (when not 0) member u16 · boot u53. */
function readPromise(value: Bytes, members: readonly NodeId[]): Ballot {
  const reader = new ByteReader(value)
  const round = reader.u53()
  if (round === 0) throw new Error('a promise of no ballot was stored')
  const place = reader.u16()
  const node = members[place]
  if (node === undefined) throw new Error(`a promise to member ${place} of ${members.length} was stored`)
  const ballot = { round, node, boot: reader.u53() }
  reader.end()
  return ballot
}
