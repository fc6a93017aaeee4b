import type { Expected } from './event-store.ts'

/** What an operation can end in. `code` is stable, the message is for people and says what to do. */
export class EventStoreError extends Error {
  readonly code:
    | 'wrong_expected_revision'
    | 'stream_not_found'
    | 'invalid_argument'
    | 'too_large'
    | 'event_id_conflict'
    | 'idempotency_key_reused'
    | 'condition_failed'
    | 'condition_too_broad'
    | 'stream_tombstoned'
    | 'group_not_found'
    | 'group_exists'
    | 'unavailable'
    | 'busy'
    | 'aborted'
  constructor(code: EventStoreError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'EventStoreError'
    this.code = code
  }
}

/** What an append found otherwise than it asked for. */
export type AppendViolation =
  | {
      readonly kind: 'revision'
      readonly stream: string
      readonly expected: Expected
      /** The stream's last revision, or `noStream`. */
      readonly actual: number | 'noStream'
    }
  /** The newest event that matches, of those that count. */
  | { readonly kind: 'condition'; readonly position: number }

/** Nothing was written: a stream was not as expected. */
export class WrongExpectedRevisionError extends EventStoreError {
  readonly stream: string
  readonly expected: Expected
  /** The stream's last revision, or `noStream`. */
  readonly actual: number | 'noStream'
  /** All that was violated, in the order of writes and checks; the condition, if it was, is the last. The first is told above, too. */
  readonly violations: readonly AppendViolation[]
  constructor(
    stream: string,
    expected: Expected,
    actual: number | 'noStream',
    violations: readonly AppendViolation[] = [{ kind: 'revision', stream, expected, actual }],
  ) {
    super(
      'wrong_expected_revision',
      `stream ${JSON.stringify(stream)} was expected at ${expected} and is at ${actual}: read it again and decide anew`,
    )
    this.name = 'WrongExpectedRevisionError'
    this.stream = stream
    this.expected = expected
    this.actual = actual
    this.violations = violations
  }
}

/** Nothing was written: an event matches the condition, and every stream was as expected. */
export class ConditionFailedError extends EventStoreError {
  /** Of the newest event that matches, of those that count. */
  readonly position: number
  readonly violations: readonly AppendViolation[]
  constructor(position: number) {
    super(
      'condition_failed',
      `the event at position ${position} matches the condition: nothing was written; read again, decide anew, and give an \`after\` of at least ${position} if it still holds`,
    )
    this.name = 'ConditionFailedError'
    this.position = position
    this.violations = [{ kind: 'condition', position }]
  }
}

/** For whoever reads or changes a stream that was deleted for ever. */
export function tombstoned(stream: string): EventStoreError {
  return new EventStoreError('stream_tombstoned', `stream ${JSON.stringify(stream)} was deleted for ever: use another name`)
}
