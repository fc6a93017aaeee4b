/** A node's `refused` in this package's words; codes and details are those of HTTP (docs/http.md). */
import type { NodeMessage } from '@synod/client-protocol'
import type { Expected } from './client.ts'
import {
  BusyError,
  EventIdConflictError,
  InvalidArgumentError,
  ProtocolViolationError,
  StreamNotFoundError,
  TooLargeError,
  WrongExpectedRevisionError,
  type ClientError,
} from './client-error.ts'

export type RefusedMessage = Extract<NodeMessage, { readonly kind: 'refused' }>

const final = ['wrong_expected_revision', 'stream_not_found', 'invalid_argument', 'too_large', 'event_id_conflict']

/** Whether another try, elsewhere or later, may do better. A code that this client does not know is taken for a fault of the node. */
export function isRetryable(code: string): boolean {
  return !final.includes(code)
}

/** For a code that is not retryable, and for `busy`. */
export function toClientError(refused: RefusedMessage, stream: string | undefined, expected?: Expected): ClientError {
  const { code, message } = refused
  switch (code) {
    case 'wrong_expected_revision': {
      const actual = actualOf(refused.details)
      if (stream === undefined || expected === undefined || actual === undefined) break
      return new WrongExpectedRevisionError(stream, expected, actual)
    }
    case 'stream_not_found':
      if (stream !== undefined) return new StreamNotFoundError(stream)
      break
    case 'invalid_argument':
      return new InvalidArgumentError(message)
    case 'too_large':
      return new TooLargeError(message)
    case 'event_id_conflict':
      return new EventIdConflictError(message)
    case 'busy':
      return new BusyError(message)
    default:
  }
  return new ProtocolViolationError(`a node refused with ${code} where that has no meaning: ${message}`)
}

function actualOf(details: string): bigint | 'noStream' | undefined {
  let actual: unknown
  try {
    actual = (JSON.parse(details) as { actual?: unknown } | null)?.actual
  } catch {
    return undefined // told by the caller as a violation
  }
  if (actual === 'noStream') return actual
  return Number.isSafeInteger(actual) ? BigInt(actual as number) : undefined
}
