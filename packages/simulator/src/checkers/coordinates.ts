/**
 * Where an operation stands in the order of the log. Append p stands at 2p+1; between append p and the next one is 2p+2;
 * before everything is 0. A read that revealed the whole stands at a point, one that revealed a part of it in an interval.
 */
import type { AllRead, StreamRead } from './history.ts'
import type { Witness } from './witness.ts'

/** `low` inclusive, `high` exclusive. */
export interface Interval {
  readonly low: number
  readonly high: number
}

export function coordinateOfAppend(place: number): number {
  return 2 * place + 1
}

/** An empty interval (low ≥ high) says that no moment of the log is like this. */
export function intervalOf(read: AllRead | StreamRead, witness: Witness): Interval {
  const { low, high } = read.kind === 'readAll' ? ofHead(read.head, witness) : ofRevision(read.stream, read.revision, witness)
  return { low, high: Math.min(high, beforeHidden(read, witness)) }
}

/** What it showed was not hidden yet. */
function beforeHidden({ events }: AllRead | StreamRead, witness: Witness): number {
  if (events === undefined || !witness.hidesSome) return Infinity
  let after = Infinity
  for (const { position } of events) after = Math.min(after, witness.events[position - 1]?.hiddenAfter ?? Infinity)
  return untilPosition(after + 1, witness)
}

/** The interval in which a stream's last revision is exactly this one; -1: there is no stream. */
export function whileRevisionIs(stream: string, revision: number, witness: Witness): Interval {
  return { low: fromRevision(stream, revision, witness), high: untilRevision(stream, revision + 1, witness) }
}

function ofHead(head: AllRead['head'], witness: Witness): Interval {
  if ('atLeast' in head) return { low: fromPosition(head.atLeast, witness), high: untilPosition(head.below ?? Infinity, witness) }
  if ('below' in head) return { low: 0, high: untilPosition(head.below, witness) }
  return { low: fromPosition(head.is, witness), high: untilPosition(head.is + 1, witness) }
}

function ofRevision(stream: string, revision: StreamRead['revision'], witness: Witness): Interval {
  if ('is' in revision) return whileRevisionIs(stream, revision.is, witness)
  const high = revision.below === undefined ? Infinity : untilRevision(stream, revision.below, witness)
  return { low: fromRevision(stream, revision.atLeast, witness), high }
}

function fromPosition(position: number, witness: Witness): number {
  if (position <= 0) return 0
  return position > witness.events.length ? Infinity : 2 * witness.placeAt(position) + 2
}

function untilPosition(position: number, witness: Witness): number {
  return position > witness.events.length ? Infinity : coordinateOfAppend(witness.placeAt(Math.max(1, position)))
}

function fromRevision(stream: string, revision: number, witness: Witness): number {
  if (revision < 0) return 0
  const place = witness.placeOfRevision(stream, revision)
  return place === undefined ? Infinity : 2 * place + 2
}

function untilRevision(stream: string, revision: number, witness: Witness): number {
  const place = witness.placeOfRevision(stream, revision)
  return place === undefined ? Infinity : coordinateOfAppend(place)
}
