/**
 * Paxos without a leader: one full round a slot, any node proposes. An offer is tried at the first slot that is not known
 * decided and moves on only when that slot is *known* to hold something else: after a silence somebody may still finish the
 * first attempt. A round whose phase 1 reports an accepted value proposes that; at an untouched slot it proposes the offer,
 * or the no-op when it only repairs. It is interrupted when a peer knows the decision.
 */
import { bytesEqual, type Bytes } from '@synod/codec'
import type { Index } from '@synod/log'
import type { NodeId } from '@synod/transport'
import { ballotText, compareBallots, noBallot, sameBallot, type Ballot } from './ballot.ts'
import type { Core, Mode, Role } from './core.ts'
import type { PaxosMessage } from './messages.ts'
import { drawRandom } from './random.ts'

interface Round {
  phase: 'Preparing' | 'Accepting' | 'BackingOff'
  /** A new one each time it starts again. */
  ballot: Ballot
  /** Who promised, then who accepted, under this ballot; and who refused. */
  yes: Set<NodeId>
  no: Set<NodeId>
  /** The highest accepted value reported, or what is proposed. */
  best: { ballot: Ballot; entry: Bytes } | undefined
  sentAt: number
  waitMs: number
  /** Duels lost, and when to try again. */
  lost: number
  retryAt: number
}

interface QueuedOffer {
  readonly id: number
  readonly entry: Bytes
  readonly until: number
  /** It was in an accept for a slot whose decision is not known: it may be decided yet. */
  isProposed: boolean
}

export interface BasicState {
  highestRound: number
  rounds: Map<Index, Round>
  /** Decided one at a time, in order. */
  offers: QueuedOffer[]
  offerBytes: number
  /** Where the first offer is tried. */
  offerIndex: Index | undefined
  /** When each peer last answered this boot. */
  heardAt: Map<NodeId, number>
  statusAt: number
  /** Up to here every slot shall be decided, for a read or for whoever asked; and when to begin with it. */
  wantTo: Index
  repairAt: number
  /** The slot that the prefix waits for, and when what was accepted from there on is taken for left behind. */
  nextIndex: Index
  closeAt: number
}

export function startBasic(highestRound: number): BasicState {
  return {
    highestRound,
    rounds: new Map(),
    offers: [],
    offerBytes: 0,
    offerIndex: undefined,
    heardAt: new Map(),
    statusAt: 0,
    wantTo: 0,
    repairAt: 0,
    nextIndex: 0,
    closeAt: 0,
  }
}

const backOffMs = 20
const backOffMsMax = 2_000

export class BasicPaxos implements Mode {
  readonly #core: Core
  readonly #state: BasicState

  constructor(core: Core, state: BasicState) {
    this.#core = core
    this.#state = state
  }

  onFirstTick(): void {
    this.#state.statusAt = this.#core.clock.now
    this.#sendStatus()
  }

  onTick(): void {
    const { clock, reads, settings, outbox } = this.#core
    for (const { id } of reads.expire(clock.now)) outbox.emit({ kind: 'settle', id, as: 'refused' })
    if (clock.now - this.#state.statusAt >= settings.heartbeatMs) this.#sendStatus()
    this.#expireOffers()
    for (const [index, round] of this.#state.rounds) this.#drive(index, round)
    this.#repair()
  }

  onMessage(from: NodeId, message: PaxosMessage): void {
    if ('ballot' in message) this.#noteRound(message.ballot)
    switch (message.kind) {
      case 'prepare':
        if (message.scope === 'slot' && from === message.ballot.node) this.#core.acceptor.onPrepareSlot(from, message)
        return
      case 'promise':
        return this.#onPromise(from, message)
      case 'accept':
        if (from === message.ballot.node) this.#core.acceptor.onAcceptSlot(from, message)
        return
      case 'accepted':
        return this.#onAccepted(from, message)
      case 'nack':
        return this.#onNack(from, message)
      case 'chosen':
        return this.#onChosen(from, message)
      case 'decision':
        return this.#core.learner.learn(message.index, message.entry)
      case 'ahead':
        this.#core.learner.chase(message.decidedThrough, from)
        return this.#core.learner.fetch(message.decidedThrough, from)
      case 'status':
        return this.#onStatus(from, message)
      case 'statusAck':
        return this.#onStatusAck(from, message)
      default:
        return this.#core.outbox.trace('unexpected', { kind: message.kind, from })
    }
  }

  onOffer(id: number, entry: Bytes): void {
    const { outbox, clock, settings } = this.#core
    const state = this.#state
    const fits =
      state.offers.length === 0 || (state.offers.length < settings.waitingMax && state.offerBytes + entry.length <= settings.windowBytesMax)
    if (!fits || !this.#isAvailable()) return outbox.emit({ kind: 'settle', id, as: 'refused' })
    state.offers.push({ id, entry, until: clock.now + settings.offerTimeoutMs, isProposed: false })
    state.offerBytes += entry.length
  }

  onBarrier(id: number): void {
    const { options, outbox, clock, reads, settings } = this.#core
    const origin = { node: options.self, boot: options.boot, id }
    if (!reads.arrive(origin, clock.now + settings.readTimeoutMs)) outbox.emit({ kind: 'settle', id, as: 'refused' })
  }

  onWant(to: Index): void {
    this.#want(to)
    if (this.#core.learner.knownThrough > this.#core.window.decidedThrough)
      this.#core.learner.fetch(this.#core.learner.knownThrough, undefined)
  }

  onStepDown(): void {}

  onLearned(index: Index, entry: Bytes): void {
    const state = this.#state
    if (state.rounds.delete(index)) this.#core.outbox.trace('roundEnds', { index })
    const [offer] = state.offers
    if (index !== state.offerIndex || offer === undefined) return
    state.offerIndex = undefined
    if (!bytesEqual(offer.entry, entry)) {
      offer.isProposed = false
      return
    }
    this.#dropFirstOffer()
    this.#core.outbox.emit({ kind: 'settle', id: offer.id, as: 'offered' })
  }

  settle(): void {
    this.#placeOffer()
    const { options, outbox, reads, window } = this.#core
    const sequence = reads.begin(options.self, window.acceptedHigh)
    if (sequence !== undefined) this.#sendStatus(sequence)
    const confirmed = reads.confirmed((nodes) => options.quorums.phase1(nodes))
    if (confirmed === undefined) return
    // Whatever was acknowledged was accepted by a phase-2 quorum, and each phase-1 quorum meets it.
    this.#want(confirmed.high)
    for (const { id } of confirmed.origins) outbox.emit({ kind: 'readAt', id, index: confirmed.high })
  }

  role(): Role {
    return { role: 'replica', available: this.#isAvailable() }
  }

  #isAvailable(): boolean {
    const { options, clock, settings } = this.#core
    const heard = [...this.#state.heardAt].filter(([, at]) => clock.now - at <= settings.electionTimeoutMs).map(([node]) => node)
    return options.quorums.phase2(new Set([options.self, ...heard]))
  }

  #noteRound(ballot: Ballot): void {
    this.#state.highestRound = Math.max(this.#state.highestRound, ballot.round)
  }

  /** A node that knows of decisions it misses goes above them: those slots are not free. */
  #placeOffer(): void {
    const { learner, window } = this.#core
    const state = this.#state
    if (state.offerIndex !== undefined || state.offers.length === 0) return
    let index = learner.knownThrough + 1
    while (window.isDecided(index)) index++
    state.offerIndex = index
    if (!state.rounds.has(index)) this.#startRound(index, 0)
  }

  #startRound(index: Index, lost: number): void {
    const { options, clock, settings, outbox } = this.#core
    const ballot = { round: ++this.#state.highestRound, node: options.self, boot: options.boot }
    const round: Round = {
      phase: 'Preparing',
      ballot,
      yes: new Set(),
      no: new Set(),
      best: undefined,
      sentAt: clock.now,
      waitMs: settings.retransmitMs,
      lost,
      retryAt: 0,
    }
    this.#state.rounds.set(index, round)
    outbox.trace('round', { index, ballot: ballotText(ballot) })
    outbox.send(options.members, { kind: 'prepare', ballot, scope: 'slot', index })
  }

  #onPromise(from: NodeId, { ballot, index, decidedThrough, slots }: Extract<PaxosMessage, { kind: 'promise' }>): void {
    if (from !== this.#core.options.self) this.#core.learner.chase(decidedThrough, from)
    const round = this.#state.rounds.get(index)
    if (round?.phase !== 'Preparing' || !sameBallot(round.ballot, ballot)) return
    round.yes.add(from)
    const reported = slots.find((slot) => slot.index === index)
    if (reported !== undefined && compareBallots(reported.ballot, round.best?.ballot ?? noBallot) > 0) round.best = reported
    if (this.#core.options.quorums.phase1(round.yes)) this.#propose(index, round)
  }

  #propose(index: Index, round: Round): void {
    const { options, clock, outbox } = this.#core
    const [offer] = index === this.#state.offerIndex ? this.#state.offers : []
    const entry = round.best?.entry ?? offer?.entry ?? options.noop
    if (round.best === undefined && offer !== undefined) offer.isProposed = true
    round.phase = 'Accepting'
    round.best = { ballot: round.ballot, entry }
    round.yes = new Set()
    round.no = new Set()
    round.sentAt = clock.now
    outbox.send(options.members, { kind: 'accept', ballot: round.ballot, commit: 0, slots: [{ index, entry }] })
  }

  #onAccepted(from: NodeId, { ballot, indexes }: Extract<PaxosMessage, { kind: 'accepted' }>): void {
    for (const index of indexes) {
      const round = this.#state.rounds.get(index)
      if (round?.phase !== 'Accepting' || !sameBallot(round.ballot, ballot) || round.best === undefined) continue
      round.yes.add(from)
      if (!this.#core.options.quorums.phase2(round.yes)) continue
      this.#core.learner.learn(index, round.best.entry, { mustHold: true, chosenAt: ballot })
      this.#core.outbox.send(this.#core.outbox.others, { kind: 'chosen', ballot, index })
    }
  }

  /** The round is lost when those who did not refuse are no quorum, or stay silent. Two that duel wait for random, growing times. */
  #onNack(from: NodeId, { ballot, index, promised }: Extract<PaxosMessage, { kind: 'nack' }>): void {
    this.#noteRound(promised)
    const round = this.#state.rounds.get(index)
    if (round === undefined || round.phase === 'BackingOff' || !sameBallot(round.ballot, ballot)) return
    const { clock, options, random, settings } = this.#core
    if (round.no.size === 0) round.lost++
    round.no.add(from)
    const backOff = drawRandom(random) * Math.min(backOffMs * 2 ** Math.min(round.lost, 16), backOffMsMax)
    const left = new Set(options.members.filter((node) => !round.no.has(node)))
    const mayWin = round.phase === 'Preparing' ? options.quorums.phase1(left) : options.quorums.phase2(left)
    if (!mayWin) round.phase = 'BackingOff'
    // Where the others may suffice they get a moment; they may as well be down.
    round.retryAt = clock.now + backOff + (mayWin ? settings.heartbeatMs : 0)
  }

  #onChosen(from: NodeId, { ballot, index }: Extract<PaxosMessage, { kind: 'chosen' }>): void {
    const { learner, window } = this.#core
    const held = window.get(index)
    if (held !== undefined && sameBallot(held.accepted, ballot)) learner.learn(index, held.entry, { chosenAt: ballot })
    else if (index === window.decidedThrough + 1) learner.chase(index, from)
    else this.#want(index)
  }

  /** Sends again, or starts again, as time goes by. */
  #drive(index: Index, round: Round): void {
    const { clock, learner, settings, outbox, window, options } = this.#core
    const { now } = clock
    // The decision is on its way from a peer who has it.
    if (index <= learner.knownThrough && !learner.isFruitless) return
    if (round.no.size > 0 && now >= round.retryAt) return this.#startRound(index, round.lost)
    if (round.phase === 'BackingOff') return
    if (now - round.sentAt < round.waitMs) return
    round.sentAt = now
    round.waitMs = Math.min(round.waitMs * 2, settings.retransmitMs * 8)
    // Its own answer is on the way to the disk, unless there was no room for it.
    const own = round.phase === 'Preparing' ? window.promisedAt(index) : window.get(index)?.accepted
    const isUnderWay = own !== undefined && sameBallot(own, round.ballot)
    const silent = options.members.filter((node) => !round.yes.has(node) && (node !== options.self || !isUnderWay))
    if (round.phase === 'Preparing') outbox.send(silent, { kind: 'prepare', ballot: round.ballot, scope: 'slot', index })
    else if (round.best !== undefined)
      outbox.send(silent, { kind: 'accept', ballot: round.ballot, commit: 0, slots: [{ index, entry: round.best.entry }] })
  }

  #want(to: Index): void {
    const { clock, random, settings, window } = this.#core
    if (this.#state.wantTo <= window.decidedThrough) this.#state.repairAt = clock.now + settings.heartbeatMs * (0.5 + drawRandom(random))
    this.#state.wantTo = Math.max(this.#state.wantTo, to)
  }

  /** Rounds for the slots that are wanted and missing, after a moment: most decisions come by themselves, or from a peer. */
  #repair(): void {
    const { clock, learner, random, settings, window } = this.#core
    const state = this.#state
    const from = window.decidedThrough + 1
    if (state.nextIndex !== from || clock.now >= state.closeAt) {
      // Its proposer may have died before it told anybody.
      if (state.nextIndex === from) this.#want(window.acceptedHigh)
      state.nextIndex = from
      state.closeAt = clock.now + settings.electionTimeoutMs * (1 + drawRandom(random))
    }
    const to = Math.max(state.wantTo, window.decidedHigh)
    const isFetched = learner.knownThrough >= from && !learner.isFruitless
    if (clock.now < state.repairAt || isFetched) return
    for (let index = from; index <= to && state.rounds.size < settings.repairsMax; index++) {
      if (!window.isDecided(index) && !state.rounds.has(index)) this.#startRound(index, 0)
    }
  }

  /** What no accept has carried was sent nowhere. */
  #expireOffers(): void {
    const { clock, outbox } = this.#core
    for (let [offer] = this.#state.offers; offer !== undefined && offer.until <= clock.now; [offer] = this.#state.offers) {
      this.#dropFirstOffer()
      this.#state.offerIndex = undefined
      outbox.emit({ kind: 'settle', id: offer.id, as: offer.isProposed ? 'abandoned' : 'refused' })
    }
  }

  #dropFirstOffer(): void {
    const offer = this.#state.offers.shift()
    if (offer !== undefined) this.#state.offerBytes -= offer.entry.length
  }

  #sendStatus(sequence = this.#core.reads.begin(this.#core.options.self, this.#core.window.acceptedHigh) ?? this.#core.reads.next()): void {
    const { clock, options, outbox, window } = this.#core
    this.#state.statusAt = clock.now
    outbox.send(outbox.others, { kind: 'status', boot: options.boot, sequence, decidedThrough: window.decidedThrough })
  }

  #onStatus(from: NodeId, { boot, sequence, decidedThrough }: Extract<PaxosMessage, { kind: 'status' }>): void {
    const { outbox, window, learner } = this.#core
    learner.chase(decidedThrough, from)
    outbox.send([from], { kind: 'statusAck', boot, sequence, decidedThrough: window.decidedThrough, high: window.acceptedHigh })
  }

  #onStatusAck(from: NodeId, { boot, sequence, decidedThrough, high }: Extract<PaxosMessage, { kind: 'statusAck' }>): void {
    const { options, clock, learner, reads } = this.#core
    learner.chase(decidedThrough, from)
    if (boot !== options.boot) return
    this.#state.heardAt.set(from, clock.now)
    reads.onAck(from, sequence, high)
  }
}
