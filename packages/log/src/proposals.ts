/**
 * Commands of this node on their way: collected per turn of the event loop, one batch a slot, offered again as often as it
 * takes, until the command is seen applied or its caller gives up. Deduplication is not done here: the session table does
 * it when the command is applied, so offering twice is always safe.
 */
import type { Scheduler } from '@synod/transport'
import { AbortGroups } from './abort-groups.ts'
import { encodeEntry, envelopeBytes } from './entry-codec.ts'
import type { Envelope } from './envelope.ts'
import type { Loglet } from './loglet.ts'
import type { Outcome } from './ordered-log.ts'
import type { VirtualLogLimits, VirtualLogOptions } from './virtual-log-options.ts'
import { WaitingProposals, type Proposal } from './waiting-proposals.ts'

const retryMs = 25

export class Proposals<O> {
  readonly #limits: VirtualLogLimits
  readonly #scheduler: Scheduler
  readonly #loglet: Loglet
  readonly #onBatch: NonNullable<VirtualLogOptions<O>['onBatch']>
  readonly #waiting = new WaitingProposals<O>()
  readonly #signals = new AbortGroups<Proposal<O>>((proposal) => this.#onAbort(proposal))
  #queue: Proposal<O>[] = []
  /** Of everything that waits, queued or offered. */
  #open = 0
  #openBytes = 0
  #offers = 0
  #turnScheduled = false
  #closed = false
  readonly #counters = { proposed: 0, batches: 0, offeredAgain: 0, busy: 0 }

  constructor(limits: VirtualLogLimits, scheduler: Scheduler, loglet: Loglet, onBatch: VirtualLogOptions<O>['onBatch'] = () => {}) {
    this.#limits = limits
    this.#scheduler = scheduler
    this.#loglet = loglet
    this.#onBatch = onBatch
  }

  propose(command: Envelope, signal: AbortSignal | undefined): Promise<Outcome<O>> {
    const bytes = envelopeBytes(command)
    const { batchBytesMax, pendingBytesMax, pendingCommandsMax } = this.#limits
    if (this.#closed) return Promise.resolve({ fate: 'never', why: 'notServing' })
    if (bytes > batchBytesMax) return Promise.resolve({ fate: 'never', why: 'tooLarge' })
    // Those that were given up stay in the queue until their turn.
    if (Math.max(this.#open, this.#queue.length) >= pendingCommandsMax || this.#openBytes + bytes > pendingBytesMax) {
      this.#counters.busy++
      return Promise.resolve({ fate: 'never', why: 'busy' })
    }
    if (signal?.aborted === true) return Promise.resolve({ fate: 'never', why: 'notServing' })
    this.#counters.proposed++
    return new Promise((settle) => {
      const proposal: Proposal<O> = { command, bytes, signal, settle, sent: false, settled: false, next: undefined }
      this.#waiting.add(proposal)
      if (signal !== undefined) this.#signals.add(signal, proposal)
      this.#open++
      this.#openBytes += bytes
      this.#queue.push(proposal)
      this.#scheduleTurn()
    })
  }

  /** The command was applied, or refused, in order. Called for every command of every slot, whoever proposed it. */
  onApplied(command: Envelope, outcome: Outcome<O>): void {
    if (this.#waiting.size === 0) return
    let proposal = this.#waiting.get(command)
    while (proposal !== undefined) {
      const { next }: Proposal<O> = proposal
      this.#settle(proposal, outcome)
      proposal = next
    }
  }

  close(): void {
    this.#closed = true
    for (const waiting of this.#waiting.all())
      this.#settle(waiting, waiting.sent ? { fate: 'unknown', why: 'closed' } : { fate: 'never', why: 'notServing' })
  }

  counters(): Readonly<Record<string, number>> {
    const { pendingCommandsMax, pendingBytesMax, offersMax } = this.#limits
    const now = { open: this.#open, openBytes: this.#openBytes, queued: this.#queue.length, offers: this.#offers }
    return { ...this.#counters, ...now, pendingCommandsMax, pendingBytesMax, offersMax }
  }

  #scheduleTurn(): void {
    if (this.#turnScheduled || this.#closed || this.#queue.length === 0 || this.#offers >= this.#limits.offersMax) return
    this.#turnScheduled = true
    this.#scheduler.defer(() => {
      this.#turnScheduled = false
      while (!this.#closed && this.#queue.length > 0 && this.#offers < this.#limits.offersMax) this.#offerBatch()
    })
  }

  #offerBatch(): void {
    const batch = this.#takeBatch()
    if (batch.length === 0) return
    this.#offers++
    this.#counters.batches++
    const entry = encodeEntry({ kind: 'commands', commands: batch.map(({ command }) => command) })
    this.#onBatch({ commands: batch.length, bytes: entry.length })
    const offered = this.#loglet.offer(entry)
    const wasSent = batch.map(({ sent }) => sent)
    for (const proposal of batch) proposal.sent = true
    const onSettled = (as: 'offered' | 'refused' | 'abandoned'): void => {
      this.#offers--
      if (as === 'refused') batch.forEach((proposal, at) => (proposal.sent = wasSent[at] ?? true))
      if (as !== 'offered') this.#offerAgain(batch)
      this.#scheduleTurn()
    }
    offered.then(onSettled, () => onSettled('abandoned'))
  }

  #takeBatch(): Proposal<O>[] {
    const { batchCommandsMax, batchBytesMax } = this.#limits
    const batch: Proposal<O>[] = []
    let bytes = 0
    let opens = 0
    let taken = 0
    for (const proposal of this.#queue) {
      if (!proposal.settled) {
        // Its slot is a session's id, so a slot opens one at most.
        const isOpening = proposal.command.session === 0
        if (batch.length >= batchCommandsMax || (batch.length > 0 && bytes + proposal.bytes > batchBytesMax) || (isOpening && opens > 0))
          break
        if (isOpening) opens++
        batch.push(proposal)
        bytes += proposal.bytes
      }
      taken++
    }
    this.#queue = taken === this.#queue.length ? [] : this.#queue.slice(taken)
    return batch
  }

  #offerAgain(batch: readonly Proposal<O>[]): void {
    this.#scheduler.at(this.#scheduler.now() + retryMs, () => {
      const open = batch.filter(({ settled }) => !settled)
      if (open.length === 0 || this.#closed) return
      this.#counters.offeredAgain += open.length
      this.#queue = [...open, ...this.#queue]
      this.#scheduleTurn()
    })
  }

  #onAbort(proposal: Proposal<O>): void {
    this.#settle(proposal, proposal.sent ? { fate: 'unknown', why: 'timeout' } : { fate: 'never', why: 'notServing' })
  }

  #settle(proposal: Proposal<O>, outcome: Outcome<O>): void {
    if (proposal.settled) return
    proposal.settled = true
    this.#open--
    this.#openBytes -= proposal.bytes
    this.#waiting.delete(proposal)
    if (proposal.signal !== undefined) this.#signals.delete(proposal.signal, proposal)
    proposal.settle(outcome)
  }
}
