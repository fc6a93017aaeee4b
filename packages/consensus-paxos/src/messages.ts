/** What nodes say to each other. `docs/protocol.md` tells the story; nothing here is trusted further than its sender could know it. */
import type { Bytes } from '@synod/codec'
import type { Index } from '@synod/log'
import type { Ballot } from './ballot.ts'

/** What an acceptor reports in a promise. */
export interface ReportedSlot {
  readonly index: Index
  /** The ballot it was accepted at; meaningless when it is decided. */
  readonly ballot: Ballot
  readonly decided: boolean
  readonly entry: Bytes
}

export interface ProposedSlot {
  readonly index: Index
  readonly entry: Bytes
}

export type PaxosMessage =
  // Phase 1. A promise of scope `suffix` covers every index from `index` on, of scope `slot` that index alone.
  | { readonly kind: 'prepare'; readonly ballot: Ballot; readonly scope: 'suffix' | 'slot'; readonly index: Index }
  | {
      readonly kind: 'promise'
      readonly ballot: Ballot
      readonly index: Index
      readonly decidedThrough: Index
      readonly slots: readonly ReportedSlot[]
    }
  // Phase 2. `commit` is the decided prefix of the leader; 0 where there is none. Indexes ascend.
  | { readonly kind: 'accept'; readonly ballot: Ballot; readonly commit: Index; readonly slots: readonly ProposedSlot[] }
  | { readonly kind: 'accepted'; readonly ballot: Ballot; readonly indexes: readonly Index[] }
  /** `ballot` was refused because of `promised`. */
  | { readonly kind: 'nack'; readonly ballot: Ballot; readonly index: Index; readonly promised: Ballot }
  // Decisions. `chosen` is for those who accepted at this ballot, `decision` for all, `ahead` says where to ask.
  | { readonly kind: 'chosen'; readonly ballot: Ballot; readonly index: Index }
  | { readonly kind: 'decision'; readonly index: Index; readonly entry: Bytes }
  | { readonly kind: 'ahead'; readonly decidedThrough: Index }
  // With a leader.
  | { readonly kind: 'preVote'; readonly boot: number; readonly nonce: number; readonly decidedThrough: Index }
  | {
      readonly kind: 'preVoteReply'
      readonly boot: number
      readonly nonce: number
      readonly granted: boolean
      readonly promised: Ballot
      readonly decidedThrough: Index
    }
  | { readonly kind: 'heartbeat'; readonly ballot: Ballot; readonly sequence: number; readonly commit: Index }
  | { readonly kind: 'heartbeatAck'; readonly ballot: Ballot; readonly sequence: number; readonly decidedThrough: Index }
  | { readonly kind: 'commit'; readonly ballot: Ballot; readonly commit: Index }
  | { readonly kind: 'offer'; readonly boot: number; readonly id: number; readonly entry: Bytes }
  | {
      readonly kind: 'offerReply'
      readonly boot: number
      readonly id: number
      readonly offered: boolean
      readonly ballot: Ballot
      readonly commit: Index
    }
  | { readonly kind: 'read'; readonly boot: number; readonly id: number }
  | { readonly kind: 'readReply'; readonly boot: number; readonly id: number; readonly index?: Index }
  | { readonly kind: 'takeOver'; readonly ballot: Ballot }
  // Without one. `high` is the highest index seen accepted or decided.
  | { readonly kind: 'status'; readonly boot: number; readonly sequence: number; readonly decidedThrough: Index }
  | { readonly kind: 'statusAck'; readonly boot: number; readonly sequence: number; readonly decidedThrough: Index; readonly high: Index }
