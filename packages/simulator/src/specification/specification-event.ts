/**
 * What happens in a run of the core, in the words of the specification. Steps: 1a, 1b, 2a, 2b for each slot, and what was learned
 * and applied. A 1b and a 2b happen when the acceptor's write is durable, sent or not: a message that was never sent is one that
 * was lost. And claims, which are no steps: what a node says of its promises, votes and decisions, and what it has after a restart.
 */
import { ByteReader, bytesToHex, type Bytes } from '@synod/codec'
import type { Effect } from '@synod/consensus'
import { decodeSlotHeader, type Ballot, type PaxosMessage } from '@synod/consensus-paxos'
import type { Index, RecoveredEpoch, StoreOperation } from '@synod/log'
import type { NodeId } from '@synod/transport'
import { hash } from 'node:crypto'

/** An acceptor's vote, as a promise reports it. Values are as of `valueOf`. */
export interface ReportedVote {
  readonly index: Index
  readonly ballot: Ballot
  readonly value: string
}

/** What a promise says of the slots it covers: decided ones, votes, and nothing at all the others. */
export interface Report {
  readonly decidedThrough: Index
  readonly decided: readonly { readonly index: Index; readonly value: string }[]
  readonly votes: readonly ReportedVote[]
}

/** What a disk holds of a slot above its decided prefix. Ballots are undefined where there is none. */
export interface HeldSlot {
  readonly index: Index
  readonly promised: Ballot | undefined
  readonly accepted: Ballot | undefined
  readonly isDecided: boolean
  readonly value: string
}

export type SpecificationEvent =
  /** Covers one slot, or with `scope: 'suffix'` every slot from `index` on. */
  | { readonly kind: '1a'; readonly ballot: Ballot; readonly scope: 'suffix' | 'slot'; readonly index: Index }
  /** For the slots of the 1a. With a report where the write has one: the vote of its slot. */
  | { readonly kind: '1b'; readonly node: NodeId; readonly ballot: Ballot; readonly index?: Index; readonly report?: Report }
  | { readonly kind: '2a'; readonly ballot: Ballot; readonly index: Index; readonly value: string }
  | { readonly kind: '2b'; readonly node: NodeId; readonly ballot: Ballot; readonly index: Index; readonly value: string }
  | { readonly kind: 'learned'; readonly node: NodeId; readonly index: Index; readonly value: string }
  | { readonly kind: 'applied'; readonly node: NodeId; readonly index: Index }
  /** A promise as it was sent. */
  | { readonly kind: 'says1b'; readonly node: NodeId; readonly ballot: Ballot; readonly report: Report }
  /** A vote as it was sent; where it knows the decision it says so without a write. */
  | { readonly kind: 'says2b'; readonly node: NodeId; readonly ballot: Ballot; readonly index: Index }
  /** Every slot up to this one is decided. */
  | { readonly kind: 'saysDecided'; readonly node: NodeId; readonly through: Index }
  /** What was proposed there under this ballot is decided. */
  | { readonly kind: 'saysChosen'; readonly node: NodeId; readonly ballot: Ballot; readonly index: Index }
  | {
      readonly kind: 'restarts'
      readonly node: NodeId
      /** For every slot; undefined where there is none. */
      readonly promised: Ballot | undefined
      readonly decidedThrough: Index
      /** Above it. */
      readonly slots: readonly HeldSlot[]
    }

const wholeBytesMax = 64
const shownBytes = 16

/** The entry in hexadecimal; a long one by its beginning and its hash. */
export function valueOf(entry: Bytes): string {
  if (entry.length <= wholeBytesMax) return bytesToHex(entry)
  return `${bytesToHex(entry.subarray(0, shownBytes))}…${hash('sha1', entry)}`
}

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
    const value = valueOf(operation.entry)
    if (sameBallot(header.accepted, header.promised)) {
      events.push({ kind: '2b', node, ballot: header.accepted, index, value })
    } else {
      const votes = header.accepted.round === 0 ? [] : [{ index, ballot: header.accepted, value }]
      events.push({ kind: '1b', node, ballot: header.promised, index, report: { decidedThrough: 0, decided: [], votes } })
    }
  }
  // A promise for every slot that rides with a vote is one too.
  return promised === undefined ? events : [{ kind: '1b', node, ballot: promised }, ...events]
}

/** Of a message when it leaves. */
export function eventsOfMessage(node: NodeId, message: PaxosMessage): SpecificationEvent[] {
  switch (message.kind) {
    case 'prepare':
      return [{ kind: '1a', ballot: message.ballot, scope: message.scope, index: message.index }]
    case 'promise': {
      const { ballot, decidedThrough, slots } = message
      const decided = slots.filter((slot) => slot.decided).map(({ index, entry }) => ({ index, value: valueOf(entry) }))
      const votes = slots
        .filter((slot) => !slot.decided)
        .map((slot) => ({ index: slot.index, ballot: slot.ballot, value: valueOf(slot.entry) }))
      return [{ kind: 'says1b', node, ballot, report: { decidedThrough, decided, votes } }]
    }
    case 'accept':
      return message.slots.map(({ index, entry }) => ({ kind: '2a', ballot: message.ballot, index, value: valueOf(entry) }))
    case 'accepted':
      return message.indexes.map((index) => ({ kind: 'says2b', node, ballot: message.ballot, index }))
    case 'chosen':
      return [{ kind: 'saysChosen', node, ballot: message.ballot, index: message.index }]
    case 'decision':
      return [{ kind: 'learned', node, index: message.index, value: valueOf(message.entry) }]
    default:
      return []
  }
}

/** The decided prefix that a message tells of, 0 where it tells of none. */
export function prefixOfMessage(message: PaxosMessage): Index {
  if ('decidedThrough' in message) return message.decidedThrough
  return 'commit' in message ? message.commit : 0
}

export function eventOfDecision(node: NodeId, { index, entry }: Extract<Effect<PaxosMessage>, { kind: 'decide' }>): SpecificationEvent {
  return { kind: 'learned', node, index, value: valueOf(entry) }
}

/** Of a node that starts from its disk, or from an empty one. */
export function eventOfRestart(node: NodeId, recovered: RecoveredEpoch, members: readonly NodeId[]): SpecificationEvent {
  const promises = [...recovered.meta.values()].map((value) => readPromise(value, members))
  const some = (ballot: Ballot): Ballot | undefined => (ballot.round === 0 ? undefined : ballot)
  const slots = recovered.window
    .filter(({ index }) => index > recovered.decidedThrough)
    .map(({ index, header, entry }) => {
      const { promised, accepted, decided } = decodeSlotHeader(header, members)
      return { index, promised: some(promised), accepted: some(accepted), isDecided: decided, value: valueOf(entry) }
    })
  return { kind: 'restarts', node, promised: promises[0], decidedThrough: recovered.decidedThrough, slots }
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
