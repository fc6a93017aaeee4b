import type { ClientMessage } from '@synod/client-protocol'
import { AppendRequest, type AppendParts } from './append-request.ts'
import { expectedMessage } from './arguments.ts'
import type { Appended, Expected } from './client.ts'
import type { AnswerMessage } from './node-connection.ts'

/** An append to one stream on its way. */
export class StreamAppend extends AppendRequest<Appended> {
  readonly #message: Omit<Extract<ClientMessage, { readonly kind: 'append' }>, 'request'>

  constructor(stream: string, expected: Expected, parts: AppendParts) {
    super(parts, { stream, expected })
    this.#message = { kind: 'append', stream, expected: expectedMessage(expected), records: parts.records }
  }

  message(request: number): ClientMessage {
    const { kind, stream, expected, records } = this.#message
    return { kind, request, stream, expected, records }
  }

  protected appended(answer: AnswerMessage): Appended | undefined {
    return answer.kind === 'appended' ? { revision: BigInt(answer.revision), position: BigInt(answer.position) } : undefined
  }
}
