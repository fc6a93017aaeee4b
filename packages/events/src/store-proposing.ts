/** Proposes commands in this node's session, and tells what came of each. */
import { SessionProposer, type OrderedLog, type Outcome, type SessionCommand } from '@synod/log'
import type { Scheduler } from '@synod/transport'
import { EventStoreError } from './event-store-error.ts'
import type { Verdict } from './verdict.ts'

export class StoreProposing {
  readonly #proposer: SessionProposer<Verdict>
  #closed = false

  constructor(log: OrderedLog<Verdict>, scheduler: Scheduler) {
    this.#proposer = new SessionProposer(log, scheduler)
  }

  close(): void {
    this.#closed = true
  }

  checkOpen(): void {
    if (this.#closed) throw new EventStoreError('unavailable', 'this node is shutting down: ask another one')
  }

  /** What the machine answered. A retry of the same command must have one effect, by what it says itself. Rejects with an EventStoreError. */
  async propose(command: SessionCommand, options: { readonly signal?: AbortSignal }): Promise<Verdict> {
    this.checkOpen()
    let outcome = await this.#proposer.propose(command, options)
    // The log forgot this node's session. The events keep their ids, so that the same append cannot happen twice.
    if (outcome.fate === 'unknown' && outcome.why === 'sessionExpired') outcome = await this.#proposer.propose(command, options)
    if (outcome.fate !== 'answered') throw noAnswer(outcome)
    return outcome.output
  }
}

function noAnswer(outcome: Exclude<Outcome<Verdict>, { fate: 'answered' }>): EventStoreError {
  if (outcome.fate === 'unknown') {
    return new EventStoreError(
      'unavailable',
      `the outcome is unknown (${outcome.why}): it may have been appended; try again with the same event ids or the same idempotency key`,
    )
  }
  if (outcome.why === 'busy') return new EventStoreError('busy', 'this node has too much to do: nothing was written; try again in a moment')
  if (outcome.why === 'tooLarge') return tooLargeForLog()
  return new EventStoreError('unavailable', 'this node cannot append now: nothing was written; try again, or at another node')
}

function tooLargeForLog(): EventStoreError {
  return new EventStoreError('too_large', 'the request is larger than what the log takes in one slot: nothing was written; split it')
}
