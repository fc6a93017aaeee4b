/** Appends: checks what callers give, proposes it, and tells the verdict in their words. */
import type { Bytes } from '@synod/codec'
import { formatUuid } from '@synod/event-record'
import { appendCommand, recordsCommand } from './append-request.ts'
import type { EventLimits } from './event-limits.ts'
import type {
  Appended,
  AppendRecordsRequest,
  AppendRequest,
  AtomicallyAppended,
  AtomicAppendRequest,
  AtomicRecordsRequest,
} from './event-store.ts'
import { EventStoreError, WrongExpectedRevisionError } from './event-store-error.ts'
import type { StoreProposing } from './store-proposing.ts'
import type { Verdict } from './verdict.ts'

type Asked = Pick<AppendRequest, 'stream' | 'expected' | 'idempotencyKey'>

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
    const command = appendCommand(request, this.#limits, { recordedAt: this.#recordedAt(), drawId: this.#drawId })
    return appended(await this.#proposing.propose(command, options), request)
  }

  async appendRecords(request: AppendRecordsRequest, options: Signalled): Promise<Appended> {
    this.#proposing.checkOpen()
    const command = recordsCommand(request, this.#limits, this.#recordedAt())
    return appended(await this.#proposing.propose(command, options), request)
  }

  appendAtomically(_request: AtomicAppendRequest, _options: Signalled): Promise<AtomicallyAppended> {
    return Promise.reject(new EventStoreError('unavailable', 'being built'))
  }

  appendRecordsAtomically(_request: AtomicRecordsRequest, _options: Signalled): Promise<AtomicallyAppended> {
    return Promise.reject(new EventStoreError('unavailable', 'being built'))
  }

  #recordedAt(): number {
    return Math.max(0, Math.floor(this.#now()))
  }
}

function appended(verdict: Verdict, { stream, expected, idempotencyKey }: Asked): Appended {
  switch (verdict.kind) {
    case 'appended':
      return { revision: verdict.revisions[0] ?? 0, position: verdict.position }
    case 'wrongExpectedRevision': {
      const actual = verdict.violations[0]?.actual ?? -1
      throw new WrongExpectedRevisionError(stream, expected, actual < 0 ? 'noStream' : actual)
    }
    case 'eventIdConflict':
      throw new EventStoreError(
        'event_id_conflict',
        `event id ${formatUuid(verdict.id)} is taken, and the request is not a retry of what was appended with it: nothing was written; use new ids`,
      )
    case 'keyReused':
      throw new EventStoreError(
        'idempotency_key_reused',
        `idempotency key ${JSON.stringify(idempotencyKey)} stands for another request: nothing was written; use a new key`,
      )
    case 'malformed':
      throw new EventStoreError('invalid_argument', `nothing was written: ${verdict.why}`)
  }
}
