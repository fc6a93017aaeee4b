/**
 * Multi-Paxos: one ballot covers the suffix of the log, its owner leads. Here is what a follower does, and who does what
 * when leadership changes; election.ts decides who leads and leader.ts proposes.
 */
import type { Bytes } from '@synod/codec'
import type { Index } from '@synod/log'
import type { NodeId } from '@synod/transport'
import { compareBallots, noBallot, sameBallot, type Ballot } from './ballot.ts'
import type { Core, Mode, Role } from './core.ts'
import { Election, startElection, type ElectionState } from './election.ts'
import { Leader, type LeaderState } from './leader.ts'
import type { PaxosMessage } from './messages.ts'

export interface MultiState {
  election: ElectionState
  leading: LeaderState | undefined
  /** The highest under which a leader was heard, and when that was; `noBallot` where none is known. */
  leaderBallot: Ballot
  heardAt: number
  /** The newest that the owner of this ballot said: what it said before may be a replay, from when it was alive. */
  newest: { ballot: Ballot; sequence: number; index: Index }
  /** Offers and barriers that the leader has to answer. */
  forwarded: Map<number, { isRead: boolean; until: number }>
}

export function startMulti(highestRound: number): MultiState {
  const newest = { ballot: noBallot, sequence: 0, index: 0 }
  return { election: startElection(highestRound), leading: undefined, leaderBallot: noBallot, heardAt: 0, newest, forwarded: new Map() }
}

export class MultiPaxos implements Mode {
  readonly #core: Core
  readonly #state: MultiState
  readonly #election: Election
  readonly #leader: Leader

  constructor(core: Core, state: MultiState) {
    this.#core = core
    this.#state = state
    this.#leader = new Leader(core, state, (why) => this.#stopLeading(why))
    this.#election = new Election(
      core,
      state.election,
      () => this.#forgetLeader(),
      ({ ballot, promised, reported }) => {
        this.#forgetLeader()
        this.#leader.begin(ballot, promised, reported)
      },
    )
  }

  onFirstTick(): void {
    const { options, clock } = this.#core
    this.#state.heardAt = clock.now
    // Nobody leads a cluster that starts; pre-votes see to it that this disturbs none that runs.
    this.#election.rest(options.quorums.phase1(new Set([options.self])) ? 0 : 0.5)
  }

  onTick(): void {
    const { clock, outbox } = this.#core
    for (const [id, { isRead, until }] of this.#state.forwarded) {
      if (until > clock.now) continue
      this.#state.forwarded.delete(id)
      outbox.emit({ kind: 'settle', id, as: isRead ? 'refused' : 'abandoned' })
    }
    if (this.#state.leading === undefined) this.#election.onTick()
    else this.#leader.onTick()
  }

  onMessage(from: NodeId, message: PaxosMessage): void {
    if ('ballot' in message) this.#election.noteRound(message.ballot)
    switch (message.kind) {
      case 'prepare':
        return this.#onPrepare(from, message)
      case 'promise':
        return this.#election.onPromise(from, message)
      case 'accept':
        return this.#onAccept(from, message)
      case 'accepted':
        return this.#leader.onAccepted(from, message)
      case 'nack':
        return this.#onNack(message)
      case 'decision':
        return this.#core.learner.learn(message.index, message.entry)
      case 'preVote':
        return this.#election.onPreVote(from, message, this.#hearsLeader(this.#core.settings.electionTimeoutMs))
      case 'preVoteReply':
        return this.#election.onPreVoteReply(from, message)
      case 'heartbeat':
        return this.#onHeartbeat(from, message)
      case 'heartbeatAck':
        return this.#leader.onHeartbeatAck(from, message)
      case 'commit':
        if (this.#follow(from, message.ballot)) this.#core.learner.onCommit(message.ballot, message.commit, from)
        return
      case 'offer':
        return this.#onForwardedOffer(from, message)
      case 'offerReply':
        return this.#onOfferReply(from, message)
      case 'read':
        return this.#onForwardedRead(from, message)
      case 'readReply':
        return this.#onReadReply(message)
      case 'takeOver':
        return this.#onTakeOver(from, message)
      default:
        return this.#core.outbox.trace('unexpected', { kind: message.kind, from })
    }
  }

  onOffer(id: number, entry: Bytes): void {
    const { options, outbox, settings } = this.#core
    const origin = { node: options.self, boot: options.boot, id }
    if (this.#leader.offer(entry, origin)) return
    if (!this.#forward(id, false, settings.offerTimeoutMs)) return outbox.emit({ kind: 'settle', id, as: 'refused' })
    outbox.send([this.#state.leaderBallot.node], { kind: 'offer', boot: options.boot, id, entry })
  }

  onBarrier(id: number): void {
    const { options, outbox, settings } = this.#core
    const origin = { node: options.self, boot: options.boot, id }
    if (this.#leader.read(origin)) return
    if (!this.#forward(id, true, settings.readTimeoutMs)) return outbox.emit({ kind: 'settle', id, as: 'refused' })
    outbox.send([this.#state.leaderBallot.node], { kind: 'read', boot: options.boot, id })
  }

  /** A hole is the leader's to close; everybody else asks for the decision. */
  onWant(to: Index): void {
    const { node } = this.#state.leaderBallot
    this.#core.learner.fetch(to, node === '' ? undefined : node)
  }

  onStepDown(): void {
    this.#leader.onStepDown()
  }

  onLearned(index: Index, entry: Bytes): void {
    this.#leader.onLearned(index, entry)
  }

  settle(): void {
    this.#leader.settle()
  }

  role(): Role {
    const { options, settings } = this.#core
    if (this.#state.leading !== undefined)
      return { role: 'leader', leader: options.self, available: this.#state.leading.handOverAt === undefined }
    const role = this.#election.isStanding ? 'candidate' : 'follower'
    const { node } = this.#state.leaderBallot
    return node === '' ? { role, available: false } : { role, leader: node, available: this.#hearsLeader(settings.electionTimeoutMs * 2) }
  }

  #hearsLeader(withinMs: number): boolean {
    const { leading, leaderBallot, heardAt } = this.#state
    return leading !== undefined || (leaderBallot.round > 0 && this.#core.clock.now - heardAt < withinMs)
  }

  #onPrepare(from: NodeId, message: Extract<PaxosMessage, { kind: 'prepare' }>): void {
    if (message.scope !== 'suffix' || from !== message.ballot.node) return
    if (compareBallots(message.ballot, this.#core.window.promised) > 0 && from !== this.#core.options.self) {
      this.#yieldTo(message.ballot)
      this.#forgetLeader()
      this.#election.rest()
    }
    this.#core.acceptor.onPrepareSuffix(from, message)
  }

  #onAccept(from: NodeId, message: Extract<PaxosMessage, { kind: 'accept' }>): void {
    if (from === this.#core.options.self) {
      this.#core.acceptor.onAcceptSuffix(from, message)
    } else if (this.#follow(from, message.ballot, { index: message.slots.at(-1)?.index ?? 0 })) {
      this.#core.acceptor.onAcceptSuffix(from, message)
      this.#core.learner.onCommit(message.ballot, message.commit, from)
    }
  }

  #onHeartbeat(from: NodeId, { ballot, sequence, commit }: Extract<PaxosMessage, { kind: 'heartbeat' }>): void {
    if (!this.#follow(from, ballot, { sequence })) return
    this.#core.learner.onCommit(ballot, commit, from)
    this.#core.outbox.send([from], { kind: 'heartbeatAck', ballot, sequence, decidedThrough: this.#core.window.decidedThrough })
  }

  #onNack(message: Extract<PaxosMessage, { kind: 'nack' }>): void {
    this.#election.onNack(message)
    const { leading } = this.#state
    if (leading !== undefined && sameBallot(leading.ballot, message.ballot)) this.#stopLeading('a higher ballot was promised')
  }

  #onForwardedOffer(from: NodeId, { boot, id, entry }: Extract<PaxosMessage, { kind: 'offer' }>): void {
    if (this.#leader.offer(entry, { node: from, boot, id })) return
    this.#core.outbox.send([from], { kind: 'offerReply', boot, id, offered: false, ballot: noBallot, commit: 0 })
  }

  #onOfferReply(from: NodeId, { boot, id, offered, ballot, commit }: Extract<PaxosMessage, { kind: 'offerReply' }>): void {
    if (boot !== this.#core.options.boot || this.#state.forwarded.get(id)?.isRead !== false) return
    this.#state.forwarded.delete(id)
    this.#core.outbox.emit({ kind: 'settle', id, as: offered ? 'offered' : 'abandoned' })
    if (commit > 0 && ballot.node === from) this.#core.learner.onCommit(ballot, commit, from)
  }

  #onForwardedRead(from: NodeId, { boot, id }: Extract<PaxosMessage, { kind: 'read' }>): void {
    const origin = { node: from, boot, id }
    if (!this.#leader.read(origin)) this.#leader.answerRead(origin, undefined)
  }

  #onReadReply({ boot, id, index }: Extract<PaxosMessage, { kind: 'readReply' }>): void {
    if (boot !== this.#core.options.boot || this.#state.forwarded.get(id)?.isRead !== true) return
    this.#state.forwarded.delete(id)
    this.#core.outbox.emit(index === undefined ? { kind: 'settle', id, as: 'refused' } : { kind: 'readAt', id, index })
  }

  /** The leader leaves and holds this node for the fittest. */
  #onTakeOver(from: NodeId, { ballot }: Extract<PaxosMessage, { kind: 'takeOver' }>): void {
    const { outbox, settings } = this.#core
    if (from !== ballot.node || !sameBallot(ballot, this.#state.leaderBallot) || this.#state.leading !== undefined) return
    if (outbox.isStalled(settings.electionTimeoutMs)) return
    this.#forgetLeader()
    this.#election.rest()
    this.#election.prepare()
  }

  /** A message that only the owner of the ballot sends. False when it was deposed; then it is told. It lives where it says something new. */
  #follow(from: NodeId, ballot: Ballot, said: { readonly sequence?: number; readonly index?: Index } = {}): boolean {
    if (from !== ballot.node) return false
    const { window, outbox, clock } = this.#core
    const state = this.#state
    const highest = compareBallots(state.leaderBallot, window.promised) > 0 ? state.leaderBallot : window.promised
    if (compareBallots(ballot, highest) < 0) {
      outbox.send([from], { kind: 'nack', ballot, index: 0, promised: highest })
      return false
    }
    this.#yieldTo(ballot)
    if (!this.#isNew(ballot, said)) return true
    if (!sameBallot(ballot, state.leaderBallot)) this.#forgetLeader()
    state.leaderBallot = ballot
    state.heardAt = clock.now
    this.#election.hush()
    return true
  }

  /** A heartbeat or a slot above all that came before under this ballot, or the first that comes under it. */
  #isNew(ballot: Ballot, { sequence = 0, index = 0 }: { readonly sequence?: number; readonly index?: Index }): boolean {
    const { newest } = this.#state
    const order = compareBallots(ballot, newest.ballot)
    if (order < 0 || (order === 0 && sequence <= newest.sequence && index <= newest.index)) return false
    this.#state.newest =
      order > 0
        ? { ballot, sequence, index }
        : { ballot, sequence: Math.max(sequence, newest.sequence), index: Math.max(index, newest.index) }
    return true
  }

  /** Whoever holds a lower ballot stops. */
  #yieldTo(ballot: Ballot): void {
    const { leading } = this.#state
    if (leading !== undefined && compareBallots(leading.ballot, ballot) < 0) this.#stopLeading('a higher ballot')
  }

  #stopLeading(why: string): void {
    this.#core.outbox.trace('stopsLeading', { why })
    this.#leader.end()
    this.#election.rest(2)
  }

  /** What it was asked may still happen; nobody will say so. */
  #forgetLeader(): void {
    const { outbox } = this.#core
    this.#state.leaderBallot = noBallot
    for (const [id, { isRead }] of this.#state.forwarded) outbox.emit({ kind: 'settle', id, as: isRead ? 'refused' : 'abandoned' })
    this.#state.forwarded.clear()
  }

  #forward(id: number, isRead: boolean, timeoutMs: number): boolean {
    const { settings, clock } = this.#core
    const { leading, forwarded } = this.#state
    if (leading !== undefined || !this.#hearsLeader(settings.electionTimeoutMs * 2) || forwarded.size >= settings.waitingMax) return false
    forwarded.set(id, { isRead, until: clock.now + timeoutMs })
    return true
  }
}
