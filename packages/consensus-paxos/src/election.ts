/**
 * Who leads. A node that hears no leader first asks whether it would win (pre-vote), so that a node that was cut off
 * disturbs nobody when it comes back: whoever hears a leader says no. Then phase 1 over the whole suffix, from its own
 * decided prefix on. Only the promises decide; pre-votes and time-outs are manners.
 */
import type { Index } from '@synod/log'
import type { NodeId } from '@synod/transport'
import { ballotText, compareBallots, sameBallot, type Ballot } from './ballot.ts'
import type { Core } from './core.ts'
import type { PaxosMessage, ReportedSlot } from './messages.ts'
import { drawRandom } from './random.ts'

export interface ElectionState {
  phase: 'None' | 'PreVoting' | 'Preparing'
  /** Of any ballot seen. */
  highestRound: number
  /** Since when nothing spoke against standing, and how long that is to be waited for. */
  quietSince: number
  timeoutMs: number
  /** Of the pre-vote under way: an answer to another one does not count. */
  nonce: number
  grants: Set<NodeId>
  candidacy: Candidacy | undefined
}

interface Candidacy {
  readonly ballot: Ballot
  readonly from: Index
  /** Who promised, and how far each was. */
  promised: Map<NodeId, Index>
  /** The best that was reported for each index. */
  reported: Map<Index, ReportedSlot>
  sentAt: number
}

export function startElection(highestRound: number): ElectionState {
  return { phase: 'None', highestRound, quietSince: 0, timeoutMs: 0, nonce: 0, grants: new Set(), candidacy: undefined }
}

export class Election {
  readonly #core: Core
  readonly #state: ElectionState
  readonly #onStand: () => void
  readonly #onWon: (candidacy: Candidacy) => void

  constructor(core: Core, state: ElectionState, onStand: () => void, onWon: (candidacy: Candidacy) => void) {
    this.#core = core
    this.#state = state
    this.#onStand = onStand
    this.#onWon = onWon
  }

  get isStanding(): boolean {
    return this.#state.phase !== 'None'
  }

  get ballot(): Ballot | undefined {
    return this.#state.candidacy?.ballot
  }

  noteRound(ballot: Ballot): void {
    this.#state.highestRound = Math.max(this.#state.highestRound, ballot.round)
  }

  /** Waits another time-out, times `factor`, and gives up standing. */
  rest(factor = 1): void {
    const state = this.#state
    state.phase = 'None'
    state.candidacy = undefined
    state.quietSince = this.#core.clock.now
    state.timeoutMs = this.#core.settings.electionTimeoutMs * (1 + drawRandom(this.#core.random)) * factor
  }

  /** A leader lives. */
  hush(): void {
    if (this.isStanding) this.rest()
    this.#state.quietSince = this.#core.clock.now
  }

  onTick(): void {
    const state = this.#state
    const { clock, outbox, settings } = this.#core
    const { candidacy } = state
    if (clock.now - state.quietSince >= state.timeoutMs) {
      // Leadership needs a disk that makes progress.
      if (outbox.isStalled(settings.electionTimeoutMs)) this.rest()
      else this.#preVote()
    } else if (candidacy !== undefined && clock.now - candidacy.sentAt >= settings.retransmitMs) {
      this.#sendPrepare(
        candidacy,
        this.#core.outbox.others.filter((node) => !candidacy.promised.has(node)),
      )
    }
  }

  #preVote(): void {
    const { options, outbox, window } = this.#core
    const state = this.#state
    this.#onStand()
    this.rest()
    state.phase = 'PreVoting'
    state.nonce++
    state.grants = new Set([options.self])
    outbox.send(outbox.others, { kind: 'preVote', boot: options.boot, nonce: state.nonce, decidedThrough: window.decidedThrough })
    if (options.quorums.phase1(state.grants)) this.prepare()
  }

  /** `hearsLeader`: there is one, and a vote would disturb it. */
  onPreVote(from: NodeId, { boot, nonce, decidedThrough }: Extract<PaxosMessage, { kind: 'preVote' }>, hearsLeader: boolean): void {
    const { outbox, settings, window } = this.#core
    const isFit = window.decidedThrough - decidedThrough <= settings.farBehindMax
    const granted = isFit && !hearsLeader && !outbox.isStalled(settings.electionTimeoutMs)
    outbox.send([from], { kind: 'preVoteReply', boot, nonce, granted, promised: window.promised, decidedThrough: window.decidedThrough })
  }

  onPreVoteReply(from: NodeId, reply: Extract<PaxosMessage, { kind: 'preVoteReply' }>): void {
    const { options, learner } = this.#core
    const state = this.#state
    this.noteRound(reply.promised)
    if (reply.boot !== options.boot || reply.nonce !== state.nonce) return
    if (!reply.granted) return learner.chase(reply.decidedThrough, from)
    if (state.phase !== 'PreVoting') return
    state.grants.add(from)
    if (options.quorums.phase1(state.grants)) this.prepare()
  }

  /** Phase 1, with a ballot above every one seen. */
  prepare(): void {
    const { options, outbox, window, clock } = this.#core
    const state = this.#state
    state.phase = 'Preparing'
    state.quietSince = clock.now
    const ballot = { round: Math.max(state.highestRound, window.promised.round) + 1, node: options.self, boot: options.boot }
    this.noteRound(ballot)
    state.candidacy = { ballot, from: window.decidedThrough + 1, promised: new Map(), reported: new Map(), sentAt: clock.now }
    outbox.trace('prepare', { ballot: ballotText(ballot), from: state.candidacy.from })
    this.#sendPrepare(state.candidacy, options.members)
  }

  onPromise(from: NodeId, { ballot, decidedThrough, slots }: Extract<PaxosMessage, { kind: 'promise' }>): void {
    const { candidacy } = this.#state
    if (candidacy === undefined || !sameBallot(candidacy.ballot, ballot) || candidacy.promised.has(from)) return
    candidacy.promised.set(from, decidedThrough)
    for (const slot of slots) {
      const best = candidacy.reported.get(slot.index)
      if (best === undefined || (!best.decided && (slot.decided || compareBallots(slot.ballot, best.ballot) > 0)))
        candidacy.reported.set(slot.index, slot)
    }
    if (!this.#core.options.quorums.phase1(new Set(candidacy.promised.keys()))) return
    this.rest()
    this.#onWon(candidacy)
  }

  onNack({ ballot, promised }: Extract<PaxosMessage, { kind: 'nack' }>): void {
    this.noteRound(promised)
    const { candidacy } = this.#state
    if (candidacy !== undefined && sameBallot(candidacy.ballot, ballot)) this.rest()
  }

  #sendPrepare(candidacy: Candidacy, to: readonly NodeId[]): void {
    candidacy.sentAt = this.#core.clock.now
    this.#core.outbox.send(to, { kind: 'prepare', ballot: candidacy.ballot, scope: 'suffix', index: candidacy.from })
  }
}
