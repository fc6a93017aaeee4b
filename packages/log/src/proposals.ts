/**
 * Commands of this node on their way: collected per turn of the event loop, one batch a slot, offered again as often as it
 * takes, until the command is seen applied or its caller gives up. Deduplication is not done here: the session table does
 * it when the command is applied, so offering twice is always safe.
 */
import type { Scheduler } from '@synod/transport'
import { bytesToHex } from '@synod/codec'
import { encodeEntry, envelopeBytes } from './entry-codec.ts'
import type { Envelope } from './envelope.ts'
import type { Loglet } from './loglet.ts'
import type { Outcome } from './ordered-log.ts'
import type { VirtualLogLimits, VirtualLogOptions } from './virtual-log-options.ts'

interface Proposal<O> {
  readonly key: string
  readonly command: Envelope
  readonly bytes: number
  readonly settle: (outcome: Outcome<O>) => void
  /** Left this process at least once, so that nobody may say `never` any more. */
  sent: boolean
  settled: boolean
}

const retryMs = 25

export class Proposals<O> {
  readonly #limits: VirtualLogLimits
  readonly #scheduler: Scheduler
  readonly #loglet: Loglet
  readonly #onBatch: NonNullable<VirtualLogOptions<O>['onBatch']>
  /** Several callers may propose the same identity at once: a client that tries again before the first try ended. */
  readonly #waiting = new Map<string, Proposal<O>[]>()
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
    return new Promise((resolve) => {
      const abort = (): void =>
        this.#settle(proposal, proposal.sent ? { fate: 'unknown', why: 'timeout' } : { fate: 'never', why: 'notServing' })
      const proposal: Proposal<O> = {
        key: identity(command),
        command,
        bytes,
        settle: (outcome) => {
          signal?.removeEventListener('abort', abort)
          resolve(outcome)
        },
        sent: false,
        settled: false,
      }
      signal?.addEventListener('abort', abort, { once: true })
      const same = this.#waiting.get(proposal.key)
      if (same === undefined) this.#waiting.set(proposal.key, [proposal])
      else same.push(proposal)
      this.#open++
      this.#openBytes += bytes
      this.#queue.push(proposal)
      this.#scheduleTurn()
    })
  }

  /** The command was applied, or refused, in order. Called for every command of every slot, whoever proposed it. */
  onApplied(command: Envelope, outcome: Outcome<O>): void {
    if (this.#waiting.size === 0) return
    const waiting = this.#waiting.get(identity(command))
    for (const proposal of waiting?.slice() ?? []) this.#settle(proposal, outcome)
  }

  close(): void {
    this.#closed = true
    for (const waiting of [...this.#waiting.values()].flat())
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

  #settle(proposal: Proposal<O>, outcome: Outcome<O>): void {
    if (proposal.settled) return
    proposal.settled = true
    this.#open--
    this.#openBytes -= proposal.bytes
    const same = this.#waiting.get(proposal.key)
    const rest = same?.filter((other) => other !== proposal) ?? []
    if (rest.length === 0) this.#waiting.delete(proposal.key)
    else this.#waiting.set(proposal.key, rest)
    proposal.settle(outcome)
  }
}

/** An opening has no session yet: its body is what makes it unique. */
function identity({ session, sequence, body }: Envelope): string {
  return session === 0 ? `open ${bytesToHex(body)}` : `${session} ${sequence}`
}
