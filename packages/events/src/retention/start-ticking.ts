/**
 * Tells this node's clock and progress to all, as often as somebody needs it and no more: when some stream has a `maxAge`,
 * at a tenth of the shortest; otherwise, when retention was ever used, after new events were flushed here, for the
 * sake of reclaiming. A store that never used retention never ticks, nor does an idle one without a `maxAge`.
 *
 * A tick that fails is not tried again: the next one says more.
 */
import { SessionProposer, type OrderedLog } from '@synod/log'
import { systemScheduler, type NodeId, type Scheduler } from '@synod/transport'
import { kindVersion } from '../command-kinds.ts'
import type { EventMachine } from '../event-machine.ts'
import type { Verdict } from '../verdict.ts'
import { encodeTick } from './tick-command.ts'

const secondMs = 1000
/** The longest pause between two ticks, when there is something to tell; and the shortest for the sake of reclaiming. */
const minuteMs = 60_000
/** A tick that is not answered by then is given up. */
const answerMs = 10_000

export interface TickingOptions {
  readonly log: OrderedLog<Verdict>
  readonly machine: Pick<EventMachine, 'retention' | 'flushed'>
  readonly self: NodeId
  /** As this node knows them now, itself included, in any order. */
  readonly voters: () => readonly NodeId[]
  /** Milliseconds since 1970. */
  readonly now?: () => number
  readonly scheduler?: Scheduler
}

export interface Ticking {
  counters(): Readonly<Record<string, number>>
  /** No tick is proposed any more. To be called before the log closes. Idempotent. */
  stop(): void
}

export function startTicking(options: TickingOptions): Ticking {
  return new Ticker(options)
}

class Ticker implements Ticking {
  readonly #options: Required<TickingOptions>
  readonly #proposer: SessionProposer<Verdict>
  #cancelTimer = (): void => {}
  readonly #abort = new AbortController()
  #isStopped = false
  /** Of the scheduler, when the last tick was proposed. */
  #lastAt = -Infinity
  /** What was flushed when the last tick was decided. */
  #toldPosition = 0
  #ticks = 0
  #failures = 0

  constructor(options: TickingOptions) {
    this.#options = { now: Date.now, scheduler: systemScheduler, ...options }
    this.#proposer = new SessionProposer(options.log, this.#options.scheduler)
    this.#next()
  }

  counters(): Readonly<Record<string, number>> {
    return { ticks: this.#ticks, ticksFailed: this.#failures }
  }

  stop(): void {
    this.#isStopped = true
    this.#cancelTimer()
    this.#abort.abort()
  }

  /** One tick after the other: never two in flight. */
  #next(): void {
    if (this.#isStopped) return
    const { scheduler } = this.#options
    this.#cancelTimer = scheduler.at(scheduler.now() + secondMs, () => {
      if (!this.#isDue()) return this.#next()
      void this.#tick().finally(() => this.#next())
    })
  }

  #isDue(): boolean {
    const { log, machine, scheduler } = this.#options
    const { isUsed, shortestAgeSeconds, flushedPosition } = machine.retention
    if (!isUsed || log.status().state !== 'serving') return false
    const pauseMs = shortestAgeSeconds > 0 ? Math.min(minuteMs, Math.max(secondMs, (shortestAgeSeconds * secondMs) / 10)) : minuteMs
    return scheduler.now() - this.#lastAt >= pauseMs && (shortestAgeSeconds > 0 || flushedPosition > this.#toldPosition)
  }

  /** Resolves always. */
  async #tick(): Promise<void> {
    const { machine, self, voters, now, scheduler } = this.#options
    const { flushedPosition } = machine.retention
    const clock = Math.max(0, Math.floor(now()))
    const tick = { node: self, clock, flushed: machine.flushed(), voters: voters().toSorted(byCodeUnits) }
    this.#lastAt = scheduler.now()
    const timeout = new AbortController()
    const cancel = scheduler.at(this.#lastAt + answerMs, () => timeout.abort())
    const signal = AbortSignal.any([timeout.signal, this.#abort.signal])
    const outcome = await this.#proposer.propose({ version: kindVersion, principal: '', body: encodeTick(tick), blobs: [] }, { signal })
    cancel()
    if (outcome.fate === 'answered' && outcome.output.kind === 'retention') {
      this.#ticks++
      this.#toldPosition = flushedPosition
    } else this.#failures++
  }
}

function byCodeUnits(a: NodeId, b: NodeId): number {
  return a < b ? -1 : a > b ? 1 : 0
}
