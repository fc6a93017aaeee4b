/** What streams keep: checks what callers give, proposes it, and tells the verdict in their words. */
import type { OrderedLog } from '@synod/log'
import { checkExpected, checkStreamName, checkText, invalid } from '../append-request.ts'
import { kindVersion } from '../command-kinds.ts'
import type { EventLimits } from '../event-limits.ts'
import type { EventMachine } from '../event-machine.ts'
import type { Consistency, Expected } from '../event-store.ts'
import { EventStoreError, tombstoned, WrongExpectedRevisionError } from '../event-store-error.ts'
import { linearize } from '../linearize.ts'
import type { StoreProposing } from '../store-proposing.ts'
import { readFailure } from '../store-reads.ts'
import { checkMetadata } from './check-metadata.ts'
import { encodeRetentionCommand, type RetentionCommand } from './retention-command.ts'
import { conditionOf } from './retention-judge.ts'
import { toldMetadata } from './retention-metadata.ts'
import type { RetentionVerdict } from './retention-verdict.ts'
import type { ChangeOptions, StreamMetadata, StreamMetadataState, StreamRetention } from './stream-retention.ts'

type Changed = Extract<RetentionVerdict, { outcome: 'changed' }>

export class StoreRetention implements StreamRetention {
  readonly #proposing: Pick<StoreProposing, 'checkOpen' | 'propose'>
  readonly #log: Pick<OrderedLog<unknown>, 'read'>
  readonly #machine: EventMachine
  readonly #limits: EventLimits

  constructor(
    proposing: Pick<StoreProposing, 'checkOpen' | 'propose'>,
    log: Pick<OrderedLog<unknown>, 'read'>,
    machine: EventMachine,
    limits: EventLimits,
  ) {
    this.#proposing = proposing
    this.#log = log
    this.#machine = machine
    this.#limits = limits
  }

  async setMetadata(stream: string, metadata: StreamMetadata, options: ChangeOptions = {}): Promise<StreamMetadataState> {
    this.#check(stream, options)
    const stored = checkMetadata(metadata, this.#limits)
    const { version, state } = await this.#change({ op: 'setMetadata', stream, metadata: stored }, options)
    return { stream, metadata: toldMetadata(stored), version, state }
  }

  async metadata(
    stream: string,
    { consistency, signal }: { readonly consistency: Consistency; readonly signal?: AbortSignal },
  ): Promise<StreamMetadataState> {
    this.#proposing.checkOpen()
    checkStreamName(stream, this.#limits)
    if (consistency !== 'linearizable' && consistency !== 'local')
      throw invalid(`consistency must be linearizable or local, not ${String(consistency)}`)
    if (signal?.aborted === true) throw new EventStoreError('aborted', 'the read was aborted before it began')
    await linearize(this.#log, { consistency, ...(signal !== undefined && { signal }) })
    try {
      const state = await this.#machine.index.streams.findAny(stream)
      const { metadata, version } = state.retention
      return { stream, metadata: toldMetadata(metadata), version, state: conditionOf(state) }
    } catch (error) {
      throw readFailure(error)
    }
  }

  async delete(
    stream: string,
    { isHard = false, expected = 'any', ...options }: ChangeOptions & { readonly isHard?: boolean; readonly expected?: Expected } = {},
  ): Promise<StreamMetadataState> {
    this.#check(stream, options)
    checkExpected(expected)
    const { version, state } = await this.#change({ op: isHard ? 'tombstone' : 'delete', stream, expected }, options)
    return { stream, metadata: {}, version, state }
  }

  #check(stream: string, { principal = '', signal }: ChangeOptions): void {
    this.#proposing.checkOpen()
    checkStreamName(stream, this.#limits)
    if (stream.startsWith('$')) throw invalid(`stream ${JSON.stringify(stream)}: names that begin with $ are reserved`)
    checkText('principal', principal, this.#limits.principalBytesMax)
    if (signal?.aborted === true) throw new EventStoreError('aborted', 'the change was aborted before it began: nothing was changed')
  }

  async #change(command: RetentionCommand, { principal = '', signal }: ChangeOptions): Promise<Changed> {
    const proposed = { version: kindVersion, principal, body: encodeRetentionCommand(command), blobs: [] }
    const verdict = await this.#proposing.propose(proposed, signal === undefined ? {} : { signal })
    if (verdict.kind === 'malformed') throw invalid(`nothing was changed: ${verdict.why}`)
    if (verdict.kind !== 'retention') throw new Error(`a change of retention was answered with ${verdict.kind}`)
    if (verdict.outcome !== 'changed') throw refusal(verdict, command)
    return verdict
  }
}

function refusal(verdict: Exclude<RetentionVerdict, Changed>, command: RetentionCommand): Error {
  const name = JSON.stringify(command.stream)
  switch (verdict.outcome) {
    case 'wrongExpectedRevision': {
      const expected = command.op === 'setMetadata' ? 'any' : command.expected
      return new WrongExpectedRevisionError(command.stream, expected, verdict.actual < 0 ? 'noStream' : verdict.actual)
    }
    case 'streamNotFound':
      return new EventStoreError('stream_not_found', `there is no stream ${name}: there is nothing to delete`)
    case 'streamTombstoned':
      return tombstoned(command.stream)
    case 'ticked':
      return new Error('a change of retention was answered as a tick')
  }
}
