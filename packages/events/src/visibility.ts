/**
 * What retention hides; retention/retention-judge.ts decides it. An event is visible when its revision is at or above its
 * stream's first visible one and its position above what age has hidden there. Verdicts ask as of the command, readers as of
 * now; what is hidden never comes back.
 */
import type { StreamState } from './stream-state.ts'

export interface Hidden {
  /** Revisions below are hidden; one more than the last when all are. */
  readonly belowRevision: number
  /** Positions up to this are hidden. */
  readonly throughPosition: number
}

/** The one rule; undefined hides nothing. */
export function isShown(hidden: Hidden | undefined, revision: number, position: number): boolean {
  return hidden === undefined || (revision >= hidden.belowRevision && position > hidden.throughPosition)
}

export interface Visibility {
  /** No stream hides anything: the quick way out. */
  readonly hidesNothing: boolean
  hiddenIn(stream: StreamState): Hidden
  /** The same by name, for readers of all events; those that hide nothing may be left out. */
  hiddenInNamed(streams: ReadonlySet<string>): Promise<ReadonlyMap<string, Hidden>>
  /** The last revision as an expectation sees it: -1 when there is no such stream, or it was deleted and not used since. */
  lastRevision(stream: StreamState): number
  /** Nothing can be appended to it any more. */
  isTombstoned(stream: StreamState): boolean
}
