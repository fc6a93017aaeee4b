/**
 * A part of the machine: the commands of one kind, the state that they change, and the rules by which. Parts share the
 * streams and the builder of the slot, and nothing else. What holds for the machine holds for each part: a verdict depends on
 * the commands applied before, in log order, and on nothing else.
 */
import type { ByteReader } from '@synod/codec'
import type { CommandAt, Envelope } from '@synod/log'
import type { StreamWrite } from './append-command.ts'
import type { ReadSideMark } from './read-side.ts'
import type { Verdict } from './verdict.ts'

export interface Judged {
  readonly verdict: Verdict
  /** Absent when it appended nothing. */
  readonly wrote?: readonly StreamWrite[]
}

/** Commands that are applied together, as far as the log does not leave some out. */
export interface PrefetchedBatch {
  readonly commands: readonly Envelope[]
  /** Those that its commands name. */
  streams(): ReadonlySet<string>
}

export interface CommandPart<C> {
  /** Loads what was flushed up to the mark; the commands after it will come. */
  open?(mark: ReadSideMark): Promise<void>
  /** The body after its kind. Throws a MalformedError; whether it does is the same on every node. */
  decode(reader: ByteReader, blobs: number): C
  /** The streams whose state the verdict needs, known or not. */
  streamsOf(command: C): Iterable<string>
  /**
   * What else the verdicts of these commands need and memory does not have; called when their streams are there. No effect
   * on the state. Undefined when there is nothing to wait for. Plain appends need nothing else, and are not told. What was
   * loaded for the batch before is not needed any more.
   */
  prefetch?(commands: readonly C[], batch: PrefetchedBatch): Promise<void> | undefined
  /** Synchronous and total. */
  judge(envelope: Envelope, command: C, at: CommandAt): Judged
  /** Everything up to the mark is in the read side now: what was kept in memory until then may go. Called before the postings go. */
  flushed?(mark: ReadSideMark): void
}
