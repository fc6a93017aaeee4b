/** How a command can end other than well. `client-error` classes come from @synod/client and are told beside these. */
import { ClientError, ConditionFailedError, UnavailableError, WrongExpectedRevisionError, type Violation } from '@synod/client'
import { exitCodes } from '../exit-codes.ts'

/** Something about the caller's arguments or input that commander cannot see. */
export class UsageError extends Error {
  readonly code = 'usage'
}

/** A file, a checkpoint or an input that is not what it has to be. */
export class InputError extends Error {
  readonly code = 'invalid_input'
}

/** No node described its cluster. */
export class NoNodeError extends Error {
  readonly code = 'unavailable'
}

/** A signal asked for the end. */
export class InterruptedError extends Error {
  readonly code = 'interrupted'
  readonly exitCode: number
  constructor(name: string, number: number) {
    super(`ended by ${name}`)
    this.exitCode = 128 + number
  }
}

/** Whoever read the output has gone (`synod read | head`): there is nobody left to tell, and nothing is wrong. */
export class OutputClosedError extends Error {
  readonly code = 'output_closed'
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof InterruptedError) return error.exitCode
  if (error instanceof OutputClosedError) return exitCodes.ok
  if (error instanceof UsageError) return exitCodes.usage
  if (error instanceof NoNodeError) return exitCodes.unavailable
  if (!(error instanceof ClientError)) return exitCodes.failure
  switch (error.code) {
    case 'wrong_expected_revision':
    case 'event_id_conflict':
    case 'condition_failed':
    case 'stream_tombstoned':
    case 'group_exists':
      return exitCodes.conflict
    case 'stream_not_found':
    case 'group_not_found':
      return exitCodes.notFound
    case 'unavailable':
    case 'busy':
      return exitCodes.unavailable
    case 'invalid_argument':
      return exitCodes.usage
    default:
      return exitCodes.failure
  }
}

/** `{code, message, …}` as `--json` tells it, on standard error or of a line. */
export function describeError(error: unknown): Readonly<Record<string, unknown>> {
  const { message } = error as Error
  const code = (error as { readonly code?: unknown }).code
  const described = { code: typeof code === 'string' && /^[a-z_]+$/.test(code) ? code : 'failure', message }
  if (error instanceof WrongExpectedRevisionError) {
    const { stream, expected, actual, violations } = error
    return { ...described, stream, expected: placeJson(expected), actual: placeJson(actual), violations: violations.map(violationJson) }
  }
  if (error instanceof ConditionFailedError) return { ...described, violations: error.violations.map(violationJson) }
  if (error instanceof UnavailableError) {
    return { ...described, outcomeUnknown: error.outcomeUnknown, ...(error.eventIds.length > 0 && { eventIds: error.eventIds }) }
  }
  return described
}

function violationJson(violation: Violation): object {
  if (violation.kind === 'condition') return { kind: violation.kind, position: Number(violation.position) }
  const { kind, stream, expected, actual } = violation
  return { kind, stream, expected: placeJson(expected), actual: placeJson(actual) }
}

function placeJson(value: bigint | string): number | string {
  return typeof value === 'bigint' ? Number(value) : value
}
