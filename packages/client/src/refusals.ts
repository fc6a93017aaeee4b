/** A node's `refused` in this package's words; codes and details are those of HTTP (docs/http.md). */
import type { NodeMessage } from '@synod/client-protocol'
import type { Expected } from './client.ts'
import {
  BusyError,
  ConditionFailedError,
  ConditionTooBroadError,
  EventIdConflictError,
  GroupExistsError,
  GroupNotFoundError,
  InvalidArgumentError,
  ProtocolViolationError,
  StreamNotFoundError,
  StreamTombstonedError,
  TooLargeError,
  WrongExpectedRevisionError,
  type ClientError,
  type Violation,
} from './client-error.ts'

export type RefusedMessage = Extract<NodeMessage, { readonly kind: 'refused' }>

/** What was asked for, as far as errors name it. */
export interface Asked {
  readonly stream?: string | undefined
  readonly group?: string | undefined
  readonly expected?: Expected | undefined
}

const final = [
  'wrong_expected_revision',
  'condition_failed',
  'condition_too_broad',
  'stream_not_found',
  'stream_tombstoned',
  'group_not_found',
  'group_exists',
  'invalid_argument',
  'too_large',
  'event_id_conflict',
]

/** Whether another try, elsewhere or later, may do better. A code that this client does not know is taken for a fault of the node. */
export function isRetryable(code: string): boolean {
  return !final.includes(code)
}

/** For a code that is not retryable, and for `busy`. */
export function toClientError(refused: RefusedMessage, { stream, group, expected }: Asked): ClientError {
  const { code, message } = refused
  switch (code) {
    case 'wrong_expected_revision':
    case 'condition_failed': {
      const error = toConflict(detailsOf(refused), stream, expected)
      if (error === undefined) break
      return error
    }
    case 'stream_not_found':
      if (stream === undefined) break
      return new StreamNotFoundError(stream)
    case 'group_not_found':
      if (group === undefined) break
      return new GroupNotFoundError(group)
    case 'condition_too_broad':
      return new ConditionTooBroadError(message)
    case 'stream_tombstoned':
      return new StreamTombstonedError(message)
    case 'group_exists':
      return new GroupExistsError(message)
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

interface ConflictDetails {
  readonly actual?: unknown
  readonly violations?: unknown
}

/** Undefined when the details do not say what an error of this kind has to say; told by the caller as a violation. */
function toConflict(details: ConflictDetails, stream: string | undefined, expected: Expected | undefined): ClientError | undefined {
  if (details.violations === undefined) {
    const actual = actualOf(details.actual)
    if (stream === undefined || expected === undefined || actual === undefined) return undefined
    return new WrongExpectedRevisionError(stream, expected, actual)
  }
  const violations = Array.isArray(details.violations) ? details.violations.map(toViolation) : []
  if (violations.length === 0 || !violations.every((violation) => violation !== undefined)) return undefined
  const revision = violations.find((violation) => violation.kind === 'revision')
  if (revision !== undefined) return new WrongExpectedRevisionError(revision.stream, revision.expected, revision.actual, violations)
  const condition = violations.find((violation) => violation.kind === 'condition')
  return condition && new ConditionFailedError(condition.position)
}

function toViolation(given: unknown): Violation | undefined {
  const { kind, stream, expected, actual, position } = (given ?? {}) as Readonly<Record<string, unknown>>
  if (kind === 'condition' && Number.isSafeInteger(position)) return { kind, position: BigInt(position as number) }
  const found = actualOf(actual)
  const wanted = Number.isSafeInteger(expected) ? BigInt(expected as number) : expectedWord(expected)
  if (kind !== 'revision' || typeof stream !== 'string' || found === undefined || wanted === undefined) return undefined
  return { kind, stream, expected: wanted, actual: found }
}

function expectedWord(expected: unknown): Expected | undefined {
  return expected === 'any' || expected === 'noStream' || expected === 'streamExists' ? expected : undefined
}

function actualOf(actual: unknown): bigint | 'noStream' | undefined {
  if (actual === 'noStream') return actual
  return Number.isSafeInteger(actual) ? BigInt(actual as number) : undefined
}

function detailsOf({ details }: RefusedMessage): ConflictDetails {
  try {
    return (JSON.parse(details) as ConflictDetails | null) ?? {}
  } catch {
    return {} // told by the caller as a violation
  }
}
