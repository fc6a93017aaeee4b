/** A page on its way. A read changes nothing, so it is asked again until somebody answers. */
import type { ClientMessage, EventFilter, StoredRecord } from '@synod/client-protocol'
import type { ClientCounters } from './client-status.ts'
import { BusyError, UnavailableError, type ClientError } from './client-error.ts'
import type { AnswerMessage } from './node-connection.ts'
import { PendingRequest, type Refusal } from './pending-request.ts'
import { isRetryable, toClientError } from './refusals.ts'

export interface PageQuery {
  /** Undefined: all streams. */
  readonly stream: string | undefined
  /** Of all streams only. */
  readonly filter: EventFilter | undefined
  readonly from: number | undefined
  readonly direction: 'forward' | 'backward'
  readonly limit: number
  readonly consistency: 'linearizable' | 'local'
  readonly atLeast: number | undefined
}

export interface Page {
  readonly events: readonly StoredRecord[]
  /** Of a filtered read: how far every event was considered. */
  readonly considered: number | undefined
  readonly isEnd: boolean
}

export class PageRequest extends PendingRequest<Page> {
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

  message(request: number): ClientMessage {
    const { stream, filter, from, direction, consistency, atLeast } = this.#query
    const range = {
      request,
      ...(from !== undefined && { from }),
      direction,
      limit: this.#limit,
      consistency,
      ...(atLeast !== undefined && { atLeast }),
    }
    return filter === undefined ? { kind: 'read', ...(stream !== undefined && { stream }), ...range } : { kind: 'query', filter, ...range }
  }

  late(problem: string | undefined): ClientError {
    const why = `for ${this.#timeout} ms${problem === undefined ? '' : ` (last problem: ${problem})`}`
    if (this.#wasBusy) return new BusyError(`the nodes had too much under way to answer a read ${why}: read less at a time`)
    return new UnavailableError(`no node answered a read ${why}: read again`)
  }

  protected judge(answer: AnswerMessage): Refusal | undefined {
    const page = this.#pageOf(answer)
    if (page !== undefined) {
      this.#counters.pagesRead++
      this.#counters.eventsReceived += page.events.length
      this.settle(page)
      return undefined
    }
    this.#wasBusy = false
    if (answer.kind !== 'refused') return { problem: `it answered a read with ${answer.kind}`, isNodeAtFault: true }
    if (isRetryable(answer.code)) {
      this.#wasBusy = answer.code === 'busy'
      return { problem: `${answer.code}: ${answer.message}`, isNodeAtFault: !this.#wasBusy }
    }
    this.fail(toClientError(answer, { stream: this.#query.stream }))
    return undefined
  }

  protected onDoubt(): void {
    // On a slow line a large page may take longer than silence is borne.
    this.#limit = Math.max(1, Math.floor(this.#limit / 2))
  }

  #pageOf(answer: AnswerMessage): Page | undefined {
    const isFiltered = this.#query.filter !== undefined
    if (answer.kind === 'page' && !isFiltered) return { events: answer.events, considered: undefined, isEnd: answer.events.length === 0 }
    if (answer.kind === 'queryPage' && isFiltered) return answer
    return undefined
  }
}
