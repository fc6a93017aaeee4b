/**
 * The core: one state tree, one step at a time. What a step says to its own node is handled before it ends, except promises and
 * votes, which wait for their write.
 */
import type { Effect, Input, Protocol, ProtocolOptions } from '@synod/consensus'
import type { Bytes } from '@synod/codec'
import type { Index } from '@synod/log'
import type { NodeId } from '@synod/transport'
import { Acceptor } from './acceptor.ts'
import { BasicPaxos, startBasic, type BasicState } from './basic-paxos.ts'
import type { Core, Mode, Role } from './core.ts'
import { Learner, startLearner, type LearnerState } from './learner.ts'
import { messageCodec } from './message-codec.ts'
import type { PaxosMessage } from './messages.ts'
import { MultiPaxos, startMulti, type MultiState } from './multi-paxos.ts'
import { Outbox, type Clock, type OutboxState } from './outbox.ts'
import { canonicalText, copyOf } from './plain-data.ts'
import type { RandomState } from './random.ts'
import { ReadRounds, startReads, type ReadState } from './read-rounds.ts'
import type { Settings } from './settings.ts'
import { recoverWindow, SlotWindow, type WindowState } from './slot-window.ts'

/** Everything that a core remembers; see plain-data.ts. */
interface PaxosState {
  clock: Clock & { isRunning: boolean }
  random: RandomState
  outbox: OutboxState
  window: WindowState
  learner: LearnerState
  reads: ReadState
  mode: { name: 'Multi'; state: MultiState } | { name: 'Basic'; state: BasicState }
  /** As last told. */
  told: Role | undefined
  /** Decided slots that were recovered above the decided prefix, to be told first. */
  recovered: { index: Index; header: Bytes; entry: Bytes }[]
}

const persistDecidedMs = 1_000

export class Paxos implements Protocol<PaxosMessage> {
  readonly codec: Protocol<PaxosMessage>['codec']
  readonly #options: ProtocolOptions
  readonly #settings: Settings
  readonly #state: PaxosState
  readonly #core: Core
  readonly #mode: Mode

  private constructor(options: ProtocolOptions, settings: Settings, state: PaxosState) {
    const { clock, random } = state
    const outbox = new Outbox(options, state.outbox, clock)
    const window = new SlotWindow(options, settings, state.window, outbox)
    const learner = new Learner(state.learner, settings, window, outbox, clock)
    const acceptor = new Acceptor(window, outbox)
    const reads = new ReadRounds(state.reads, settings.waitingMax)
    const core = { options, settings, clock, random, outbox, window, acceptor, learner, reads }
    const mode = state.mode.name === 'Multi' ? new MultiPaxos(core, state.mode.state) : new BasicPaxos(core, state.mode.state)
    learner.onLearned = (index, entry) => mode.onLearned(index, entry)
    this.codec = messageCodec(options.members)
    this.#options = options
    this.#settings = settings
    this.#state = state
    this.#core = core
    this.#mode = mode
  }

  /** From what the store holds. Throws a MalformedError when that was not written by this protocol. */
  static open(options: ProtocolOptions, settings: Settings): Paxos {
    if (!options.members.includes(options.self)) throw new RangeError(`${options.self} is no member of ${options.members.join(', ')}`)
    const window = recoverWindow(options)
    const highestRound = Math.max(window.promised.round, ...[...window.slots.values()].map((slot) => slot.promised.round))
    const paxos = new Paxos(options, settings, {
      clock: { now: 0, isRunning: false },
      random: { state: options.seed | 0 },
      outbox: {
        lastToken: 0,
        durableToken: 0,
        progressAt: 0,
        persistedThrough: window.decidedThrough,
        persistedAt: 0,
        waiting: [],
      },
      window,
      learner: startLearner(window.decidedThrough),
      reads: startReads(),
      mode:
        settings.mode === 'multi' ? { name: 'Multi', state: startMulti(highestRound) } : { name: 'Basic', state: startBasic(highestRound) },
      told: undefined,
      recovered: options.recovered.window.filter(({ index }) => window.slots.get(index)?.decided).map((slot) => ({ ...slot })),
    })
    paxos.#core.window.advance()
    return paxos
  }

  step(input: Input<PaxosMessage>): readonly Effect<PaxosMessage>[] {
    const { outbox } = this.#core
    for (const { index, header, entry } of this.#state.recovered.splice(0)) outbox.emit({ kind: 'decide', index, header, entry })
    this.#handle(input)
    this.#mode.settle()
    for (let message = outbox.local.shift(); message !== undefined; message = outbox.local.shift()) {
      this.#mode.onMessage(this.#options.self, message)
      this.#mode.settle()
    }
    this.#tellRole()
    return outbox.take()
  }

  fork(): Protocol<PaxosMessage> {
    return new Paxos(this.#options, this.#settings, copyOf(this.#state))
  }

  digest(rename: (node: NodeId) => NodeId = (node) => node): string {
    const members = new Set(this.#options.members)
    return canonicalText(this.#state, (text) => (members.has(text) ? rename(text) : text))
  }

  get decidedHigh(): Index {
    return Math.max(this.#core.window.decidedHigh, this.#core.learner.knownThrough)
  }

  #handle(input: Input<PaxosMessage>): void {
    const { learner, outbox } = this.#core
    switch (input.kind) {
      case 'tick':
        return this.#onTick(input.now)
      case 'message':
        if (outbox.others.includes(input.from)) this.#mode.onMessage(input.from, input.message)
        return
      case 'offer':
        return this.#mode.onOffer(input.id, input.entry)
      case 'barrier':
        return this.#mode.onBarrier(input.id)
      case 'durable':
        return outbox.onDurable(input.token)
      case 'want':
        return this.#mode.onWant(input.to)
      case 'learn':
        return learner.learn(input.index, input.entry)
      case 'stepDown':
        return this.#mode.onStepDown()
    }
  }

  #onTick(now: number): void {
    const { clock } = this.#state
    const { learner, outbox, window } = this.#core
    clock.now = Math.max(clock.now, now)
    if (!clock.isRunning) {
      clock.isRunning = true
      this.#mode.onFirstTick()
    }
    learner.onTick()
    this.#mode.onTick()
    // It rides with other writes; where there are none it must not lag for ever.
    if (outbox.persistedLongAgo(window.decidedThrough, persistDecidedMs)) window.persist([])
  }

  #tellRole(): void {
    const isStalled = this.#core.outbox.isStalled(this.#settings.electionTimeoutMs * 2)
    const role: Role = isStalled ? { ...this.#mode.role(), available: false, why: 'its own store does not answer' } : this.#mode.role()
    const { told } = this.#state
    if (told?.role === role.role && told.leader === role.leader && told.available === role.available && told.why === role.why) return
    this.#state.told = role
    this.#core.outbox.emit({ kind: 'role', ...role })
  }
}
