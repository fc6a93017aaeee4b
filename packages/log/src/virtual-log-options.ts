import type { Scheduler, Transport, NodeId } from '@synod/transport'
import type { LogletFactory } from './loglet.ts'
import type { LogStore } from './log-store.ts'
import type { StateMachine } from './state-machine.ts'

export interface VirtualLogLimits {
  /** Commands in one slot, at most. */
  readonly batchCommandsMax: number
  /** Bytes of one slot's entry; a single command may fill it. A larger command is refused as `tooLarge`. */
  readonly batchBytesMax: number
  /** Entries that this node has offered and not yet seen decided. */
  readonly offersMax: number
  /** Commands waiting in this node for a slot; beyond, `busy`. */
  readonly pendingCommandsMax: number
  readonly pendingBytesMax: number
  /** Linearizable reads waiting in this node; beyond, `busy`. */
  readonly readsMax: number
  /**
   * Sessions remembered; beyond, the least recently used by log index goes. The bounds on sessions change verdicts, so they
   * are the same on every node and never change: the log saves them, and refuses to open with others.
   */
  readonly sessionsMax: number
  /** Answers remembered per session; beyond, the oldest goes and its sequence is refused. More than may be pending in a node. */
  readonly sessionAnswersMax: number
  /** Answers remembered in all; beyond, the least recently used sessions go. */
  readonly answersMax: number
  /** Slots and bytes between two saves of the session table: how much is read again at a start. */
  readonly saveSlotsMax: number
  readonly saveBytesMax: number
  /** Frames of one message under reassembly, in bytes, per peer. */
  readonly assemblyBytesMax: number
}

export interface VirtualLogOptions<O> {
  readonly self: NodeId
  readonly store: LogStore
  readonly transport: Transport
  /** Finds the consensus package that the configuration names. */
  readonly loadLoglet: (protocol: string, protocolOptions: string) => Promise<LogletFactory>
  readonly machine: StateMachine<O>
  readonly scheduler: Scheduler
  /** Drawn anew by every process: seeds time-outs and tells two processes of one store apart. 0 to 2^53 - 1. */
  readonly nonce: number
  readonly limits?: Partial<VirtualLogLimits>
  /** The node takes no part when the store belongs to another one. */
  readonly cluster?: string
  /** Told of every entry that this node offers: its commands, and the bytes of the entry. Default: nobody. */
  readonly onBatch?: (batch: { readonly commands: number; readonly bytes: number }) => void
  /** A broken invariant or a dead store. The log has stopped by itself; the process should end. Called at most once. */
  readonly onFailure: (error: Error) => void
}
