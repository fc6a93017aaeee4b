import { ConditionFailedError, EventStoreError, WrongExpectedRevisionError } from '@synod/events'
import { HttpError, invalidArgument, tooLarge, unavailable } from './http-error.ts'

const statusOf: Readonly<Record<EventStoreError['code'], number>> = {
  wrong_expected_revision: 409,
  stream_not_found: 404,
  invalid_argument: 400,
  too_large: 413,
  event_id_conflict: 409,
  idempotency_key_reused: 409,
  unavailable: 503,
  busy: 503,
  aborted: 503,
  condition_failed: 409,
  condition_too_broad: 400,
  stream_tombstoned: 410,
  group_not_found: 404,
  group_exists: 409,
}

/** What to answer for whatever was thrown; undefined for what nobody foresaw: that is a 500, and belongs into the log. */
export function toHttpError(error: unknown): HttpError | undefined {
  if (error instanceof HttpError) return error
  if (error instanceof WrongExpectedRevisionError) {
    const { stream, expected, actual } = error
    return new HttpError(409, error.code, error.message, { stream, expected, actual })
  }
  if (error instanceof EventStoreError) {
    // Whoever asked is gone, or the deadline passed: to a client both are "no answer here, now".
    const code = error.code === 'aborted' ? 'unavailable' : error.code
    return new HttpError(statusOf[error.code], code, error.message)
  }
  return fromFramework(error)
}

/** An append to several streams is told all that was violated, in a list; one to a single stream has only one thing to tell. */
export function violationsTold(error: unknown): unknown {
  if (!(error instanceof WrongExpectedRevisionError || error instanceof ConditionFailedError)) return error
  return new HttpError(409, error.code, error.message, { violations: error.violations })
}

/** Fastify's own refusals, in this surface's words. */
function fromFramework(error: unknown): HttpError | undefined {
  const { statusCode, code, message } = error as { statusCode?: unknown; code?: unknown; message?: string }
  if (typeof statusCode !== 'number' || typeof code !== 'string') return undefined
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return invalidArgument('content-type is not a media type: send application/json, or leave the header out (a body is JSON in any case)')
  }
  if (statusCode === 413) return tooLarge(message ?? code)
  if (statusCode === 503) return unavailable('this node is stopping: ask another node')
  if (statusCode === 408) return new HttpError(408, 'invalid_argument', 'the request did not arrive in time: send it again')
  if (statusCode >= 400 && statusCode < 500) return invalidArgument(message ?? code)
  return undefined
}
