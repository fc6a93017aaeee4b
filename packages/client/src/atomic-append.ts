import type { AppendCondition, ClientMessage, StreamCheck, StreamWrite } from '@synod/client-protocol'
import { AppendRequest, type AppendParts } from './append-request.ts'
import type { AtomicallyAppended } from './client.ts'
import type { AnswerMessage } from './node-connection.ts'

export interface AtomicWrites {
  readonly writes: readonly StreamWrite[]
  readonly checks: readonly StreamCheck[]
  readonly condition?: AppendCondition
}

/** An append to several streams on its way: a retry sends the same writes, checks and condition with the same ids. */
export class AtomicAppend extends AppendRequest<AtomicallyAppended> {
  readonly #writes: AtomicWrites

  constructor(writes: AtomicWrites, parts: AppendParts) {
    super(parts, {})
    this.#writes = writes
  }

  message(request: number): ClientMessage {
    return { kind: 'appendAtomically', request, ...this.#writes }
  }

  protected appended(answer: AnswerMessage): AtomicallyAppended | undefined {
    const { writes } = this.#writes
    if (answer.kind !== 'atomicallyAppended' || answer.revisions.length !== writes.length) return undefined
    const streams = writes.map(({ stream }, at) => ({ stream, revision: BigInt(answer.revisions[at] ?? 0) }))
    return { position: BigInt(answer.position), streams }
  }
}
