/**
 * An append on its way. Its identity is the ids of its events, drawn before the first try, and a node that sees them again answers
 * as it did the first time. So it is tried until a node gives an answer that stays true, or the time is up.
 *
 * Not every refusal stays true. Once a try is in doubt (its connection went before the answer came, or the node did not know), it may
 * still be carried out, later than the next try is refused. A stream that has events has them for good, and its revision only
 * grows: `noStream` or a lower revision can never come true again. Any other refusal after a doubt is told as an unknown outcome.
 */
import type { ClientMessage } from '@synod/client-protocol'
import type { Bytes } from '@synod/codec'
import { formatUuid, recordIdOffset } from '@synod/event-record'
import type { Appended, Expected } from './client.ts'
import type { ClientCounters } from './client-status.ts'
import { BusyError, UnavailableError, WrongExpectedRevisionError, type ClientError } from './client-error.ts'
import type { AnswerMessage } from './node-connection.ts'
import { PendingRequest, type Refusal } from './pending-request.ts'
import { isRetryable, toClientError } from './refusals.ts'

export class AppendRequest extends PendingRequest<Appended> {
  readonly #stream: string
  readonly #expected: Expected
  readonly #records: readonly Bytes[]
  readonly #counters: ClientCounters
  readonly #timeout: number
  #isInDoubt = false
  #wasBusy = false

  constructor(
    stream: string,
    expected: Expected,
    records: readonly Bytes[],
    bytes: number,
    signal: AbortSignal | undefined,
    timeout: number,
    counters: ClientCounters,
  ) {
    super(bytes, signal)
    this.#stream = stream
    this.#expected = expected
    this.#records = records
    this.#timeout = timeout
    this.#counters = counters
  }

  message(number: number): ClientMessage {
    return {
      kind: 'append',
      request: number,
      stream: this.#stream,
      expected: typeof this.#expected === 'bigint' ? Number(this.#expected) : this.#expected,
      records: this.#records,
    }
  }

  override fail(error: unknown): boolean {
    const isFirst = super.fail(error)
    if (isFirst) this.#counters.appendsFailed++
    return isFirst
  }

  late(problem: string | undefined): ClientError {
    const mayHappen = this.#isInDoubt || this.connection !== undefined
    const why = problem === undefined ? '' : ` (last problem: ${problem})`
    if (!mayHappen && this.#wasBusy) {
      return new BusyError(`the nodes had too much under way for ${this.#timeout} ms, and nothing was written: append less at a time${why}`)
    }
    return this.#unavailable(`no node answered an append for ${this.#timeout} ms${why}`, mayHappen)
  }

  protected judge(answer: AnswerMessage): Refusal | undefined {
    if (answer.kind === 'appended') {
      this.#counters.appended++
      this.settle({ revision: BigInt(answer.revision), position: BigInt(answer.position) })
      return undefined
    }
    if (answer.kind !== 'refused') {
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
    const error = toClientError(answer, this.#stream, this.#expected)
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
    const eventIds = this.#records.map((record) => formatUuid(record.subarray(recordIdOffset, recordIdOffset + 16)))
    const next = outcomeUnknown
      ? 'the outcome is unknown: append the same events with the same ids (eventIds) again, which is safe'
      : 'nothing was written: append again'
    return new UnavailableError(`${what}; ${next}`, { outcomeUnknown, eventIds }, cause && { cause })
  }
}

/** Whether the same append could not be carried out later either. */
function staysTrue(error: ClientError): boolean {
  if (error.code === 'event_id_conflict') return true
  if (!(error instanceof WrongExpectedRevisionError)) return false
  const { expected, actual } = error
  if (actual === 'noStream') return false
  return expected === 'noStream' || (typeof expected === 'bigint' && actual > expected)
}
