/**
 * What can go wrong, a class for each thing a caller can act on. `code` is stable; the message says what to do next. An aborted
 * signal is none of these: the operation rejects with the signal's own reason.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Expected } from './client.ts'

export type ClientErrorCode =
  | 'wrong_expected_revision'
  | 'condition_failed'
  | 'condition_too_broad'
  | 'too_many_conflicts'
  | 'stream_tombstoned'
  | 'group_not_found'
  | 'group_exists'
  | 'stream_not_found'
  | 'invalid_argument'
  | 'too_large'
  | 'event_id_conflict'
  | 'unavailable'
  | 'busy'
  | 'schema_mismatch'
  | 'client_closed'
  | 'protocol_violation'

/** All errors of this package. */
export abstract class ClientError extends Error {
  abstract readonly code: ClientErrorCode
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
  }
}

/** What an append met where it expected something else. All of them are told at once. */
export type Violation =
  /** A stream was not as expected; `actual` is its last revision, or `noStream`. */
  | { readonly kind: 'revision'; readonly stream: string; readonly expected: Expected; readonly actual: bigint | 'noStream' }
  /** The event at this position matches the condition. */
  | { readonly kind: 'condition'; readonly position: bigint }

/** Nothing was written: a stream was not as expected. */
export class WrongExpectedRevisionError extends ClientError {
  readonly code = 'wrong_expected_revision'
  /** The first one that was not as expected. */
  readonly stream: string
  readonly expected: Expected
  /** The stream's last revision, or `noStream`. */
  readonly actual: bigint | 'noStream'
  /** Every check of an atomic append that was violated, its condition among them; of any other append the one. */
  readonly violations: readonly Violation[]
  constructor(stream: string, expected: Expected, actual: bigint | 'noStream', violations?: readonly Violation[]) {
    const others = (violations?.length ?? 1) - 1
    const more = others === 0 ? '' : ` (and ${others} more checks failed: see violations)`
    super(`stream ${JSON.stringify(stream)} was expected at ${expected} and is at ${actual}${more}: read it again and decide anew`)
    this.stream = stream
    this.expected = expected
    this.actual = actual
    this.violations = violations ?? [{ kind: 'revision', stream, expected, actual }]
  }
}

/** Nothing was written: an event matches the query of the append's condition. */
export class ConditionFailedError extends ClientError {
  readonly code = 'condition_failed'
  /** Of the event that matches. */
  readonly position: bigint
  readonly violations: readonly Violation[]
  constructor(position: bigint) {
    super(`the event at position ${position} matches the append's condition: read the query again and decide anew`)
    this.position = position
    this.violations = [{ kind: 'condition', position }]
  }
}

/** Nothing was written: too many events would have to be looked at. Make the query narrower, or `after` higher. */
export class ConditionTooBroadError extends ClientError {
  readonly code = 'condition_too_broad'
}

/** `decide` read, decided and was overtaken as often as it may; nothing was written. `cause` is the last conflict. */
export class TooManyConflictsError extends ClientError {
  readonly code = 'too_many_conflicts'
  readonly attempts: number
  constructor(attempts: number, cause: WrongExpectedRevisionError | ConditionFailedError) {
    super(
      `others were faster in each of ${attempts} attempts, and nothing was written: decide again a little later, allow more (attemptsMax), or decide on less (last: ${cause.message})`,
      { cause },
    )
    this.attempts = attempts
  }
}

/** The stream was deleted for ever: nothing is ever appended to it again. Use another name. */
export class StreamTombstonedError extends ClientError {
  readonly code = 'stream_tombstoned'
}

/** There is no such consumer group: make it with `groups.put`. */
export class GroupNotFoundError extends ClientError {
  readonly code = 'group_not_found'
  readonly group: string
  constructor(group: string) {
    super(`there is no consumer group ${JSON.stringify(group)}: make it with groups.put`)
    this.group = group
  }
}

/** The group is there, and what cannot change of it differs. Delete it first, or use another name. */
export class GroupExistsError extends ClientError {
  readonly code = 'group_exists'
}

/** The stream has no events. */
export class StreamNotFoundError extends ClientError {
  readonly code = 'stream_not_found'
  readonly stream: string
  constructor(stream: string) {
    super(`there is no stream ${JSON.stringify(stream)}: it begins with the first event appended to it`)
    this.stream = stream
  }
}

/** The caller's mistake; nothing was written. */
export class InvalidArgumentError extends ClientError {
  readonly code = 'invalid_argument'
}

/** More than a node takes; nothing was written. The message says which limit, and docs/limits.md what it is. */
export class TooLargeError extends ClientError {
  readonly code = 'too_large'
}

/** Nothing was written: some of the ids stand in the store already, but it is not the same append. */
export class EventIdConflictError extends ClientError {
  readonly code = 'event_id_conflict'
}

/** No node gave an answer in time. */
export class UnavailableError extends ClientError {
  readonly code = 'unavailable'
  /** True: what was asked for may have happened, or may still happen. False: it has not and will not. False for reads. */
  readonly outcomeUnknown: boolean
  /** Of an append: append the same events with these ids again, at any time soon, and it happens once. */
  readonly eventIds: readonly string[]
  constructor(
    message: string,
    details: { readonly outcomeUnknown?: boolean; readonly eventIds?: readonly string[] } = {},
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.outcomeUnknown = details.outcomeUnknown ?? false
    this.eventIds = details.eventIds ?? []
  }
}

/** Too much under way, here or at the nodes; nothing was written. Try again a little later, with less at a time. */
export class BusyError extends ClientError {
  readonly code = 'busy'
}

/** An event is not of the shape that was declared for its type, or its type was not declared. */
export class SchemaError extends ClientError {
  readonly code = 'schema_mismatch'
  readonly type: string
  readonly issues: readonly StandardSchemaV1.Issue[]
  /** Where the event stands when it was read; an iteration may be begun again behind it. Absent: it was to be appended, nothing was written. */
  readonly at: { readonly stream: string; readonly revision: bigint; readonly position: bigint } | undefined
  constructor(message: string, type: string, issues: readonly StandardSchemaV1.Issue[], at?: SchemaError['at']) {
    super(message)
    this.type = type
    this.issues = issues
    this.at = at
  }
}

/** `close()` was called. */
export class ClientClosedError extends ClientError {
  readonly code = 'client_closed'
  constructor() {
    super('this client is closed: connect() again')
  }
}

/** A node said what it must not say: events out of order, or bytes that are no event. Report it; another node may do better. */
export class ProtocolViolationError extends ClientError {
  readonly code = 'protocol_violation'
}
