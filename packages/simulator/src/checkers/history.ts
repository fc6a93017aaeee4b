/**
 * What is checked: what clients did and saw, and the witness, which is the final log. Both may come from a simulation or
 * from real processes. Times only order: stamps of a counter, or milliseconds of one monotonic clock. What has the same
 * time counts as concurrent.
 */

/** As of the event store: a number is the stream's last revision. */
export type Expected = 'any' | 'noStream' | 'streamExists' | number

/** An event as somebody saw it. */
export interface SeenEvent {
  readonly position: number
  readonly stream: string
  readonly revision: number
  /** Which append it belongs to: the same for all tries of one append, for instance the first event's id or a part of the data. */
  readonly identity: string
  /** Its place in that append, from 0. */
  readonly ordinal: number
  /** What filters look at; absent where nobody filters. */
  readonly type?: string
  readonly tags?: readonly string[]
}

/** What a read asked for. `from` is inclusive; absent, it is the beginning, or the end when backward. */
export interface PageAsked {
  readonly consistency: 'linearizable' | 'local'
  readonly direction: 'forward' | 'backward'
  readonly from?: number
  readonly limit: number
}

interface Operation {
  readonly client: string
  readonly call: number
  /** Infinity: the client never heard. */
  readonly returned: number
  /** Which life of which node answered, for instance `n1/3`: what sessions are checked in. */
  readonly session?: string
}

/** All tries of one append are one operation, from the first call to the last return. */
export interface AppendOperation extends Operation {
  readonly kind: 'append'
  readonly identity: string
  readonly stream: string
  readonly expected: Expected
  /** How many events. */
  readonly count: number
  readonly outcome:
    | { readonly kind: 'appended'; readonly revision: number; readonly position: number }
    /** Not as expected: the stream's last revision was `actual`, -1 when there was none. */
    | { readonly kind: 'rejected'; readonly actual: number }
    | { readonly kind: 'unknown' }
  /** Several tries, and nothing that remembers a refusal (no key): one try may be refused and another one take effect. */
  readonly mayFollowRefusal?: boolean
}

/** What a read revealed of the order of all events. */
export interface AllRead extends Operation {
  readonly kind: 'readAll'
  readonly consistency: 'linearizable' | 'local'
  /** The head was exactly here (0: empty) · at least here · below here. */
  readonly head: { readonly is: number } | { readonly atLeast: number; readonly below?: number } | { readonly below: number }
  readonly events?: readonly SeenEvent[]
  /** Where events may be hidden: what it revealed then follows from this, the events, and what is hidden in the end (among-hidden.ts). */
  readonly page?: PageAsked
}

/** What a read revealed of one stream, by its last revision; -1 is no stream. */
export interface StreamRead extends Operation {
  readonly kind: 'readStream'
  readonly consistency: 'linearizable' | 'local'
  readonly stream: string
  /** `atLeast` and `below` together: it exists and ends before. */
  readonly revision: { readonly is: number } | { readonly atLeast: number; readonly below?: number }
  readonly events?: readonly SeenEvent[]
  /** As above. */
  readonly page?: PageAsked
}

export type HistoryOperation = AppendOperation | AllRead | StreamRead

/** An event of the final order. */
export interface WitnessEvent extends Omit<SeenEvent, 'position'> {
  /** Retention hides it at the end, and to whoever has seen a position above this one. Hidden events of a stream are its first ones. */
  readonly hiddenAfter?: number
  /** No node had hidden it at this time; -Infinity when nobody knows. */
  readonly hiddenSince?: number
  /** The first one after its stream was deleted: an expectation saw no stream. */
  readonly isReborn?: boolean
}

/** All events, hidden ones included; `position` is the index plus one. */
export type WitnessEvents = readonly WitnessEvent[]

export function isAsExpected(expected: Expected, revision: number): boolean {
  if (expected === 'any') return true
  if (expected === 'noStream') return revision < 0
  if (expected === 'streamExists') return revision >= 0
  return expected === revision
}
