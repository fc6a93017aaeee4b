/**
 * Tells what became of a node: it looks at the status after every change that the log announces, and a few times a second,
 * because a node falls behind, catches up and gives up waiting for a quorum without announcing it.
 */
import type { NodeLog } from './node-log.ts'
import type { NodeStatus } from './node-view.ts'

const pollMilliseconds = 250
/** An orderly hand-over is over by then: nobody needs to hear of the moment in between. */
const leaderlessMilliseconds = 500
/** A node that has just started finds its peers first. */
const startMilliseconds = 3_000

export interface StatusWatchOptions {
  readonly id: string
  readonly status: () => NodeStatus
  readonly log: Pick<NodeLog, 'tell'>
  readonly onLeaderChange: () => void
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number
}

export class StatusWatch {
  readonly #options: StatusWatchOptions
  readonly #now: () => number
  #state: NodeStatus['state'] = 'starting'
  #startedAt = Infinity
  /** Since when it takes no appends. */
  #since: number
  /** Where it was when it said that it is catching up. */
  #behindAt = 0
  /** The last one that was known. */
  #leader: string | null = null
  /** Since when none is known; undefined while one is. */
  #leaderlessSince: number | undefined
  #saidLost = false

  constructor(options: StatusWatchOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#since = this.#now()
    this.#leaderlessSince = this.#since
  }

  /** Polls from now on; keeps no process alive. */
  start(): void {
    this.#startedAt = this.#now()
    setInterval(() => this.look(), pollMilliseconds).unref()
    this.look()
  }

  look(): void {
    const status = this.#options.status()
    if (status.role !== 'replica') this.#onLeader(status.leader)
    const isFresh = this.#state === 'starting' && status.state === 'unavailable' && this.#elapsed(this.#startedAt) < startMilliseconds
    if (status.state !== this.#state && !isFresh) this.#onState(status)
  }

  #onLeader(leader: string | null): void {
    const { id, log, onLeaderChange } = this.#options
    const was = this.#leader
    if (leader === null) {
      this.#leaderlessSince ??= this.#now()
      if (was === null || this.#saidLost || this.#elapsed(this.#leaderlessSince) < leaderlessMilliseconds) return
      this.#saidLost = true
      log.tell('leaderLost', { was }, `no leader is known; it was ${was}`)
      return
    }
    const milliseconds = this.#leaderlessSince === undefined ? 0 : this.#elapsed(this.#leaderlessSince)
    if (leader !== was) onLeaderChange()
    if (leader !== was || this.#saidLost)
      log.tell('leaderChanged', { leader, was, milliseconds }, leader === id ? 'this node leads' : `${leader} leads`)
    this.#leader = leader
    this.#leaderlessSince = undefined
    this.#saidLost = false
  }

  #onState(status: NodeStatus): void {
    const { state, leader, appliedSlot, decidedSlot, position } = status
    const { log } = this.#options
    const before = this.#state
    if (before === 'serving') this.#since = this.#now()
    this.#state = state
    const why = status.why ?? state
    switch (state) {
      case 'serving': {
        const milliseconds = this.#elapsed(this.#since)
        if (before === 'catchingUp')
          log.tell('caughtUp', { appliedSlot, slots: appliedSlot - this.#behindAt, milliseconds }, `caught up at slot ${appliedSlot}`)
        log.tell('ready', { leader, appliedSlot, position, milliseconds }, 'takes appends and linearizable reads')
        return
      }
      case 'catchingUp':
        this.#behindAt = appliedSlot
        return log.tell('catchingUp', { appliedSlot, decidedSlot }, `catches up from slot ${appliedSlot} to slot ${decidedSlot}`)
      case 'unavailable':
        return log.tell('unavailable', { why }, `takes no appends: ${why}`)
      case 'wiped':
      case 'foreign':
        return log.tell('takesNoPart', { state, why }, why)
      default:
        return // starting, stopping and stopped are told by whoever makes them so
    }
  }

  #elapsed(since: number): number {
    return Math.round(this.#now() - since)
  }
}
