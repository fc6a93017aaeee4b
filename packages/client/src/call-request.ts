/**
 * A call of what is asked for rarely. What changes nothing, or the same however often it is done, is asked again until somebody
 * answers; anything else is not sent again once it may have been carried out, because others may have changed it since.
 */
import type { ClientMessage } from '@synod/client-protocol'
import { BusyError, InvalidArgumentError, ProtocolViolationError, UnavailableError, type ClientError } from './client-error.ts'
import { decodeText, encodeJson } from './json.ts'
import type { AnswerMessage } from './node-connection.ts'
import { PendingRequest, type Refusal } from './pending-request.ts'
import { isRetryable, toClientError, type Asked } from './refusals.ts'

export interface Call {
  readonly method: string
  readonly argument: Readonly<Record<string, unknown>>
  readonly asked: Asked
  /** A second time does nothing more than the first. */
  readonly isRepeatable: boolean
  /** Any node may answer. */
  readonly isLocal?: boolean
}

/** Asks the cluster: the answer, JSON text. */
export type AskCall = (call: Call, signal: AbortSignal | undefined) => Promise<string>

export class CallRequest extends PendingRequest<string> {
  readonly #call: Call
  readonly #argument: string
  readonly #timeout: number
  #wasBusy = false
  #isInDoubt = false

  /** @throws InvalidArgumentError */
  constructor(call: Call, signal: AbortSignal | undefined, timeout: number) {
    super(0, signal)
    this.#call = call
    this.#argument = toText(call)
    this.#timeout = timeout
  }

  message(request: number): ClientMessage {
    return { kind: 'call', request, method: this.#call.method, argument: this.#argument }
  }

  late(problem: string | undefined): ClientError {
    const why = `for ${this.#timeout} ms${problem === undefined ? '' : ` (last problem: ${problem})`}`
    const { method, isRepeatable } = this.#call
    if (!isRepeatable && (this.#isInDoubt || this.connection !== undefined)) return this.#unknown(`no node answered ${method} ${why}`)
    if (this.#wasBusy) return new BusyError(`the nodes had too much under way to answer ${method} ${why}: try again a little later`)
    return new UnavailableError(`no node answered ${method} ${why}: try again`)
  }

  protected judge(answer: AnswerMessage): Refusal | undefined {
    if (answer.kind === 'result') {
      this.#onResult(answer.result)
      return undefined
    }
    const { method, asked, isRepeatable } = this.#call
    this.#wasBusy = false
    if (answer.kind !== 'refused') {
      if (isRepeatable) return { problem: `it answered ${method} with ${answer.kind}`, isNodeAtFault: true }
      this.fail(this.#unknown(`a node answered ${method} with ${answer.kind}`))
      return undefined
    }
    if (!isRetryable(answer.code)) {
      this.fail(toClientError(answer, asked))
      return undefined
    }
    this.#wasBusy = answer.code === 'busy'
    if (this.#wasBusy || isRepeatable) return { problem: `${answer.code}: ${answer.message}`, isNodeAtFault: !this.#wasBusy }
    this.fail(this.#unknown(`a node could not finish ${method} (${answer.code}: ${answer.message})`))
    return undefined
  }

  protected onDoubt(): void {
    this.#isInDoubt = true
    if (!this.#call.isRepeatable) this.fail(this.#unknown(`the node that was asked for ${this.#call.method} went away`))
  }

  #onResult(result: string): void {
    try {
      JSON.parse(result)
    } catch (cause) {
      this.fail(new ProtocolViolationError(`a node answered ${this.#call.method} with what is no JSON`, { cause }))
    }
    this.settle(result)
  }

  #unknown(what: string): UnavailableError {
    return new UnavailableError(`${what}; whether it was done is unknown: look, and ask again if it was not`, { outcomeUnknown: true })
  }
}

function toText({ method, argument }: Call): string {
  try {
    return decodeText(encodeJson(argument))
  } catch (cause) {
    throw new InvalidArgumentError(`what ${method} was given cannot be carried by JSON (${(cause as Error).message.split('\n')[0]})`, {
      cause,
    })
  }
}
