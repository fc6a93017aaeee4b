/** Appends: checks what callers give, proposes it, and tells the verdict in their words. */
import type { Bytes } from '@synod/codec'
import { appendAnswer, type AppendedVerdict } from './append-answer.ts'
import { appendCommand, recordsCommand, type Added } from './append-request.ts'
import { atomicCommand, atomicRecordsCommand } from './atomic-request.ts'
import type { EventLimits } from './event-limits.ts'
import type {
  Appended,
  AppendRecordsRequest,
  AppendRequest,
  AtomicallyAppended,
  AtomicAppendRequest,
  AtomicRecordsRequest,
  StreamCheck,
} from './event-store.ts'
import type { StoreProposing } from './store-proposing.ts'

interface Signalled {
  readonly signal?: AbortSignal
}

export class StoreAppends {
  readonly #proposing: StoreProposing
  readonly #limits: EventLimits
  readonly #now: () => number
  readonly #drawId: () => Bytes

  constructor(proposing: StoreProposing, limits: EventLimits, now: () => number, drawId: () => Bytes) {
    this.#proposing = proposing
    this.#limits = limits
    this.#now = now
    this.#drawId = drawId
  }

  async append(request: AppendRequest, options: Signalled): Promise<Appended> {
    this.#proposing.checkOpen()
    const command = appendCommand(request, this.#limits, this.#added())
    const verdict = await this.#proposing.propose(command, options)
    return appended(appendAnswer(verdict, [request], request.idempotencyKey))
  }

  async appendRecords(request: AppendRecordsRequest, options: Signalled): Promise<Appended> {
    this.#proposing.checkOpen()
    const command = recordsCommand(request, this.#limits, this.#recordedAt())
    return appended(appendAnswer(await this.#proposing.propose(command, options), [request], undefined))
  }

  async appendAtomically(request: AtomicAppendRequest, options: Signalled): Promise<AtomicallyAppended> {
    this.#proposing.checkOpen()
    const { command, expectations } = atomicCommand(request, this.#limits, this.#added())
    const verdict = await this.#proposing.propose(command, options)
    return appendedAtomically(appendAnswer(verdict, expectations, request.idempotencyKey), expectations)
  }

  async appendRecordsAtomically(request: AtomicRecordsRequest, options: Signalled): Promise<AtomicallyAppended> {
    this.#proposing.checkOpen()
    const { command, expectations } = atomicRecordsCommand(request, this.#limits, this.#recordedAt())
    const verdict = await this.#proposing.propose(command, options)
    return appendedAtomically(appendAnswer(verdict, expectations, undefined), expectations)
  }

  #added(): Added {
    return { recordedAt: this.#recordedAt(), drawId: this.#drawId }
  }

  #recordedAt(): number {
    return Math.max(0, Math.floor(this.#now()))
  }
}

function appended({ revisions, position }: AppendedVerdict): Appended {
  return { revision: revisions[0] ?? 0, position }
}

function appendedAtomically({ revisions, position }: AppendedVerdict, expectations: readonly StreamCheck[]): AtomicallyAppended {
  return { position, streams: revisions.map((revision, write) => ({ stream: expectations[write]?.stream ?? '', revision })) }
}
