/** A page on its way. A read changes nothing, so it is asked again until somebody answers. */
import type { ClientMessage, StoredRecord } from '@synod/client-protocol'
import type { ClientCounters } from './client-status.ts'
import { BusyError, UnavailableError, type ClientError } from './client-error.ts'
import type { AnswerMessage } from './node-connection.ts'
import { PendingRequest, type Refusal } from './pending-request.ts'
import { isRetryable, toClientError } from './refusals.ts'

export interface PageQuery {
  /** Undefined: all streams. */
  readonly stream: string | undefined
  readonly from: number | undefined
  readonly direction: 'forward' | 'backward'
  readonly limit: number
  readonly consistency: 'linearizable' | 'local'
}

export class PageRequest extends PendingRequest<readonly StoredRecord[]> {
  readonly #query: PageQuery
  readonly #timeout: number
  readonly #counters: ClientCounters
  #limit: number
  #wasBusy = false

  constructor(query: PageQuery, signal: AbortSignal | undefined, timeout: number, counters: ClientCounters) {
    super(0, signal)
    this.#query = query
    this.#timeout = timeout
    this.#counters = counters
    this.#limit = query.limit
  }

  message(number: number): ClientMessage {
    const { stream, from, direction, consistency } = this.#query
    return {
      kind: 'read',
      request: number,
      ...(stream !== undefined && { stream }),
      ...(from !== undefined && { from }),
      direction,
      limit: this.#limit,
      consistency,
    }
  }

  late(problem: string | undefined): ClientError {
    const why = `for ${this.#timeout} ms${problem === undefined ? '' : ` (last problem: ${problem})`}`
    if (this.#wasBusy) return new BusyError(`the nodes had too much under way to answer a read ${why}: read less at a time`)
    return new UnavailableError(`no node answered a read ${why}: read again`)
  }

  protected judge(answer: AnswerMessage): Refusal | undefined {
    if (answer.kind === 'page') {
      this.#counters.pagesRead++
      this.#counters.eventsReceived += answer.events.length
      this.settle(answer.events)
      return undefined
    }
    this.#wasBusy = false
    if (answer.kind !== 'refused') return { problem: `it answered a read with ${answer.kind}`, isNodeAtFault: true }
    if (isRetryable(answer.code)) {
      this.#wasBusy = answer.code === 'busy'
      return { problem: `${answer.code}: ${answer.message}`, isNodeAtFault: !this.#wasBusy }
    }
    this.fail(toClientError(answer, this.#query.stream))
    return undefined
  }

  protected onDoubt(): void {
    // On a slow line a large page may take longer than silence is borne.
    this.#limit = Math.max(1, Math.floor(this.#limit / 2))
  }
}
