/**
 * What one step wants done, in order, and what the node says to itself. Its own promises and votes are messages like
 * everybody's, and like everybody's they count only once they are durable: until then they wait here.
 */
import type { Effect, ProtocolOptions, Token } from '@synod/consensus'
import type { Index, StoreOperation } from '@synod/log'
import type { NodeId } from '@synod/transport'
import type { PaxosMessage } from './messages.ts'

export interface Clock {
  /** Milliseconds, as of the last tick; 0 before the first. */
  now: number
}

export interface OutboxState {
  lastToken: Token
  durableToken: Token
  /** When durability last moved, or was first waited for. */
  progressAt: number
  /** The decided prefix that was last written, and when. */
  persistedThrough: Index
  persistedAt: number
  /** Answers to itself, in the order of their tokens; as many as there are writes outstanding. */
  waiting: { token: Token; message: PaxosMessage }[]
}

export class Outbox {
  /** Messages to itself that are due. */
  readonly local: PaxosMessage[] = []
  readonly self: NodeId
  readonly others: readonly NodeId[]
  readonly #epoch: number
  readonly #state: OutboxState
  readonly #clock: Clock
  #effects: Effect<PaxosMessage>[] = []

  constructor(options: ProtocolOptions, state: OutboxState, clock: Clock) {
    this.self = options.self
    this.others = options.members.filter((member) => member !== options.self)
    this.#epoch = options.epoch
    this.#state = state
    this.#clock = clock
  }

  /** The decided prefix rides along, with no write of its own. */
  persist(operations: readonly StoreOperation[], decidedThrough: Index): void {
    const state = this.#state
    const all = [...operations]
    if (decidedThrough > state.persistedThrough) all.push({ op: 'decidedThrough', epoch: this.#epoch, index: decidedThrough })
    state.persistedThrough = Math.max(state.persistedThrough, decidedThrough)
    state.persistedAt = this.#clock.now
    if (state.lastToken === state.durableToken) state.progressAt = this.#clock.now
    state.lastToken++
    this.#effects.push({ kind: 'persist', token: state.lastToken, operations: all })
  }

  onDurable(token: Token): void {
    const state = this.#state
    if (token <= state.durableToken) return
    state.durableToken = token
    state.progressAt = this.#clock.now
    const due = state.waiting.findIndex((answer) => answer.token > token)
    for (const { message } of state.waiting.splice(0, due === -1 ? state.waiting.length : due)) this.local.push(message)
  }

  /** A write has been outstanding for longer than this without any progress: the disk is stuck. */
  isStalled(limitMs: number): boolean {
    const state = this.#state
    return state.lastToken > state.durableToken && this.#clock.now - state.progressAt > limitMs
  }

  persistedLongAgo(decidedThrough: Index, ms: number): boolean {
    return this.#state.persistedThrough < decidedThrough && this.#clock.now - this.#state.persistedAt >= ms
  }

  /** An answer that reveals what was persisted in this step or before; it follows that. */
  answer(to: NodeId, message: PaxosMessage): void {
    const state = this.#state
    if (to !== this.self) this.#effects.push({ kind: 'send', to: [to], message })
    else if (state.durableToken === state.lastToken) this.local.push(message)
    else state.waiting.push({ token: state.lastToken, message })
  }

  /** A message that is true, or harmless, whatever a crash forgets. */
  send(to: readonly NodeId[], message: PaxosMessage): void {
    const away = to.filter((node) => node !== this.self)
    if (away.length > 0) this.#effects.push({ kind: 'send', to: away, message, reveals: 'nothing' })
    if (away.length < to.length) this.local.push(message)
  }

  emit(effect: Exclude<Effect<PaxosMessage>, { kind: 'send' | 'persist' }>): void {
    this.#effects.push(effect)
  }

  trace(event: string, data: Readonly<Record<string, unknown>>): void {
    this.#effects.push({ kind: 'trace', event, data })
  }

  take(): readonly Effect<PaxosMessage>[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }
}
