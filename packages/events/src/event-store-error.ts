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

/** Nothing was written: the stream was not as expected. */
export class WrongExpectedRevisionError extends EventStoreError {
  readonly stream: string
  readonly expected: Expected
  /** The stream's last revision, or `noStream`. */
  readonly actual: number | 'noStream'
  constructor(stream: string, expected: Expected, actual: number | 'noStream') {
    super(
      'wrong_expected_revision',
      `stream ${JSON.stringify(stream)} was expected at ${expected} and is at ${actual}: read it again and decide anew`,
    )
    this.name = 'WrongExpectedRevisionError'
    this.stream = stream
    this.expected = expected
    this.actual = actual
  }
}
