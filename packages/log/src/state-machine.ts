/**
 * The StateMachine port: what is replicated. `apply` is a function of the state and the command alone: no clock, no
 * randomness, no I/O, so that every node is the same machine (Schneider, "Implementing Fault-Tolerant Services Using the
 * State Machine Approach", 1990).
 */
import type { Bytes } from '@synod/codec'
import type { Envelope } from './envelope.ts'
import type { Slot } from './slot.ts'

export interface CommandAt {
  readonly slot: Slot
  /** The command's place in its slot's batch, from 0. */
  readonly index: number
  /** The encoded entry that the command's blobs are views of. */
  readonly entry: Bytes
}

export interface StateMachine<O> {
  /** Loads what was flushed and returns its slot; the log delivers from the one after it. */
  open(): Promise<Slot>
  /**
   * Brings into memory what the verdicts of these commands need, and waits when too much is applied and not yet flushed.
   * No effect on the state. Undefined when there is nothing to wait for.
   */
  prefetch(commands: readonly Envelope[]): Promise<void> | undefined
  /** Synchronous, total and deterministic. A version that it does not know throws, and the node halts: it is never skipped. */
  apply(command: Envelope, at: CommandAt): O
  /**
   * What `apply` answered in slots `from` to `to` inclusive, all of them flushed, ascending, by the command's index in its
   * slot; slots in which nothing was applied may be left out. The log saves its session table less often than the machine
   * flushes, and asks for these at a start, so that a retry gets its answer after a crash too. Answers are flushed with
   * the slot's effects, refusals included.
   */
  answers(from: Slot, to: Slot): AsyncIterable<{ readonly slot: Slot; readonly outputs: ReadonlyMap<number, O> }>
  /** Everything of this slot was applied. Called for every slot, those without commands included. */
  slotApplied(slot: Slot): void
  /** Everything up to here is stored without the log; it survives a crash once it is synced. */
  flushed(): Slot
  /** Makes durable what is flushed when it is called. Absent: a flush is durable when it counts as flushed. */
  sync?(): Promise<void>
  /** False when so much waits to be flushed that new commands must be refused as `busy`. */
  accepting(): boolean
  /** Answers are kept in the session table, encoded. */
  readonly outputs: { encode(output: O): Bytes; decode(bytes: Bytes): O }
  /** Flushes and syncs what it can. */
  close(): Promise<void>
}
