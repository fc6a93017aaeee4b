import type { ProtocolOptions } from '@synod/consensus'
import type { Bytes } from '@synod/codec'
import type { Index } from '@synod/log'
import type { NodeId } from '@synod/transport'
import type { Acceptor } from './acceptor.ts'
import type { Learner } from './learner.ts'
import type { PaxosMessage } from './messages.ts'
import type { Clock, Outbox } from './outbox.ts'
import type { RandomState } from './random.ts'
import type { ReadRounds } from './read-rounds.ts'
import type { Settings } from './settings.ts'
import type { SlotWindow } from './slot-window.ts'

/** What both modes stand on. */
export interface Core {
  readonly options: ProtocolOptions
  readonly settings: Settings
  readonly clock: Clock
  readonly random: RandomState
  readonly outbox: Outbox
  readonly window: SlotWindow
  readonly acceptor: Acceptor
  readonly learner: Learner
  readonly reads: ReadRounds
}

export interface Role {
  readonly role: 'leader' | 'follower' | 'candidate' | 'replica'
  readonly leader?: NodeId
  readonly available: boolean
  readonly why?: string
}

/** What the two modes do differently. */
export interface Mode {
  onFirstTick(): void
  onTick(): void
  onMessage(from: NodeId, message: PaxosMessage): void
  onOffer(id: number, entry: Bytes): void
  onBarrier(id: number): void
  onWant(to: Index): void
  onStepDown(): void
  onLearned(index: Index, entry: Bytes): void
  /** At the end of every step, and again after each answer to itself. */
  settle(): void
  role(): Role
}
