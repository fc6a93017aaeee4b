/**
 * The Loglet port: one epoch. It orders entries, and nothing else (Balakrishnan et al., "Virtual Consensus in Delos",
 * OSDI 2020). A hosted protocol core is a loglet, and so is an external sequencer.
 */
import type { Bytes } from '@synod/codec'
import type { NodeId, Scheduler } from '@synod/transport'
import type { Configuration } from './configuration.ts'
import type { LogStore, RecoveredEpoch } from './log-store.ts'
import type { PeerNetwork } from './peer-network.ts'
import type { Index } from './slot.ts'

/** What a loglet really promises. Declared, tested by the conformance suite, printed in every benchmark line. */
export interface Capabilities {
  readonly leader: boolean
  readonly anyNodeProposes: boolean
  readonly linearizableRead: 'barrier' | 'readIndex' | 'lease'
  readonly durability: 'quorumDisk' | 'external'
}

export interface DecidedEntry {
  readonly index: Index
  /** The protocol's own (a ballot, a term); opaque here. */
  readonly header: Bytes
  readonly entry: Bytes
}

export interface LogletStatus {
  /** `leader`, `follower`, `candidate`, or `replica` where there are no leaders. */
  readonly role: string
  readonly leader?: NodeId
  /** A quorum answers as far as this node can tell, so that an offer now has a fair chance. Never needed for safety. */
  readonly available: boolean
  /** For people: what is wrong when it is not available, where that is not simply the quorum. */
  readonly why?: string
  /** The highest index known to be decided, in order or not: how far behind this node is. */
  readonly decidedHigh: Index
}

export interface Loglet {
  readonly capabilities: Capabilities
  /**
   * Asks that the entry be decided at some index.
   * - `offered`: decided; it was or will be delivered.
   * - `refused`: it was sent nowhere and never will be.
   * - `abandoned`: it may be decided yet, or never; whoever needs to know offers its commands again.
   */
  offer(entry: Bytes): Promise<'offered' | 'refused' | 'abandoned'>
  /** A linearization point: everything that was acknowledged anywhere before the call is at or below the index. Rejects with a LogError `unavailable`. */
  barrier(): Promise<Index>
  /** Decided entries in order, each once, without end; each is durable in this node's own store when it is delivered. Ends at `close`. One reader at a time. */
  decided(from: Index): AsyncIterable<readonly DecidedEntry[]>
  status(): LogletStatus
  /** Called after a change of `status()`. */
  onStatus(listener: () => void): void
  /** Prefers that another node orders, before a shutdown. Resolves when it is so, or when it was tried for a moment. */
  stepDown(): Promise<void>
  counters(): Readonly<Record<string, number>>
  close(): Promise<void>
}

export interface LogletOptions {
  readonly self: NodeId
  readonly configuration: Configuration
  readonly store: LogStore
  readonly boot: number
  readonly recovered: RecoveredEpoch
  readonly network: PeerNetwork
  readonly scheduler: Scheduler
  /** For randomised time-outs only. */
  readonly seed: number
  /** A broken invariant or a dead store: this node must stop. Called at most once. */
  readonly onFailure: (error: Error) => void
}

export interface LogletFactory {
  readonly name: string
  /** What the cluster's protocol options say, for people; for instance `multi`. */
  readonly mode: string
  readonly capabilities: Capabilities
  open(options: LogletOptions): Loglet
}
