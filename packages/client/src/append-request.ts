/**
 * An append on its way. Its identity is the ids of its events, drawn before the first try, and a node that sees them again answers
 * as it did the first time. So it is tried until a node gives an answer that stays true, or the time is up.
 *
 * Not every refusal stays true. Once a try is in doubt (its connection went before the answer came, or the node did not know), it may
 * still be carried out, later than the next try is refused. A stream's revision only grows, and what stands goes only when somebody
 * hides it (a deletion, retention): `noStream`, a lower revision and a condition that failed are not true again by any append, and a
 * tombstone stays. Any other refusal after a doubt is told as an unknown outcome.
 */
import type { Bytes } from '@synod/codec'
import { formatUuid, recordIdOffset } from '@synod/event-record'
import type { ClientCounters } from './client-status.ts'
import { BusyError, UnavailableError, WrongExpectedRevisionError, type ClientError, type Violation } from './client-error.ts'
import type { AnswerMessage } from './node-connection.ts'
import { PendingRequest, type Refusal } from './pending-request.ts'
import { isRetryable, toClientError, type Asked } from './refusals.ts'

/** What every append has, whatever it writes. */
export interface AppendParts {
  readonly records: readonly Bytes[]
  /** Of the records together. */
  readonly bytes: number
  readonly signal: AbortSignal | undefined
  /** Milliseconds. */
  readonly timeout: number
  readonly counters: ClientCounters
}

export abstract class AppendRequest<T> extends PendingRequest<T> {
  readonly #parts: AppendParts
  readonly #asked: Asked
  #isInDoubt = false
  #wasBusy = false

  constructor(parts: AppendParts, asked: Asked) {
    super(parts.bytes, parts.signal)
    this.#parts = parts
    this.#asked = asked
  }

  /** What the caller gets; undefined when this is no answer to such an append. */
  protected abstract appended(answer: AnswerMessage): T | undefined

  override fail(error: unknown): boolean {
    const isFirst = super.fail(error)
    if (isFirst) this.#parts.counters.appendsFailed++
    return isFirst
  }

  late(problem: string | undefined): ClientError {
    const { timeout } = this.#parts
    const mayHappen = this.#isInDoubt || this.connection !== undefined
    const why = problem === undefined ? '' : ` (last problem: ${problem})`
    if (!mayHappen && this.#wasBusy) {
      return new BusyError(`the nodes had too much under way for ${timeout} ms, and nothing was written: append less at a time${why}`)
    }
    return this.#unavailable(`no node answered an append for ${timeout} ms${why}`, mayHappen)
  }

  protected judge(answer: AnswerMessage): Refusal | undefined {
    if (answer.kind !== 'refused') {
      const appended = this.appended(answer)
      if (appended !== undefined) {
        this.#parts.counters.appended++
        this.settle(appended)
        return undefined
      }
      this.#isInDoubt = true
      return { problem: `it answered an append with ${answer.kind}`, isNodeAtFault: true }
    }
    if (answer.code === 'busy') {
      this.#wasBusy = true
      return { problem: answer.message, isNodeAtFault: false }
    }
    if (isRetryable(answer.code)) {
      this.#isInDoubt = true
      return { problem: `${answer.code}: ${answer.message}`, isNodeAtFault: true }
    }
    const error = toClientError(answer, this.#asked)
    this.fail(
      this.#isInDoubt && !staysTrue(error)
        ? this.#unavailable(`an append was refused (${error.message}), but an earlier try of it may still be carried out`, true, error)
        : error,
    )
    return undefined
  }

  protected onDoubt(): void {
    this.#isInDoubt = true
  }

  #unavailable(what: string, outcomeUnknown: boolean, cause?: Error): UnavailableError {
    const eventIds = this.#parts.records.map((record) => formatUuid(record.subarray(recordIdOffset, recordIdOffset + 16)))
    const next = outcomeUnknown
      ? 'the outcome is unknown: append the same events with the same ids (eventIds) again, which is safe'
      : 'nothing was written: append again'
    return new UnavailableError(`${what}; ${next}`, { outcomeUnknown, eventIds }, cause && { cause })
  }
}

/** Whether the same append could not be carried out later either. */
function staysTrue(error: ClientError): boolean {
  if (error instanceof WrongExpectedRevisionError) return error.violations.some(violationStaysTrue)
  return ['event_id_conflict', 'condition_failed', 'stream_tombstoned'].includes(error.code)
}

function violationStaysTrue(violation: Violation): boolean {
  if (violation.kind === 'condition') return true
  const { expected, actual } = violation
  if (actual === 'noStream') return false
  return expected === 'noStream' || (typeof expected === 'bigint' && actual > expected)
}
