/**
 * What can go wrong, a class for each thing a caller can act on. `code` is stable; the message says what to do next. An aborted
 * signal is none of these: the operation rejects with the signal's own reason.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Expected } from './client.ts'

export type ClientErrorCode =
  | 'wrong_expected_revision'
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

/** Nothing was written: the stream was not as expected. */
export class WrongExpectedRevisionError extends ClientError {
  readonly code = 'wrong_expected_revision'
  readonly stream: string
  readonly expected: Expected
  /** The stream's last revision, or `noStream`. */
  readonly actual: bigint | 'noStream'
  constructor(stream: string, expected: Expected, actual: bigint | 'noStream') {
    super(`stream ${JSON.stringify(stream)} was expected at ${expected} and is at ${actual}: read it again and decide anew`)
    this.stream = stream
    this.expected = expected
    this.actual = actual
  }
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
  /** True: the append may have happened, or may still happen. False: it has not and will not. False for reads. */
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
