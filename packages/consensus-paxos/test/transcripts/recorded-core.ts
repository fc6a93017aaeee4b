import type { Effect, Input, Protocol, Token } from '@synod/consensus'
import type { PaxosMessage } from '@synod/consensus-paxos'

export interface RecordedStep {
  readonly input: Input<PaxosMessage>
  /** With `after`: the write that a send waits for. Absent when it goes at once. */
  readonly effects: readonly { readonly effect: Effect<PaxosMessage>; readonly after?: Token }[]
}

/** The core itself; somebody is told of every step before its effects are carried out. */
export class RecordedCore implements Protocol<PaxosMessage> {
  readonly #core: Protocol<PaxosMessage>
  readonly #onStep: (step: RecordedStep) => void
  #last: Token = 0
  #durable: Token = 0

  constructor(core: Protocol<PaxosMessage>, onStep: (step: RecordedStep) => void) {
    this.#core = core
    this.#onStep = onStep
  }

  step(input: Input<PaxosMessage>): readonly Effect<PaxosMessage>[] {
    if (input.kind === 'durable') this.#durable = input.token
    const effects = this.#core.step(input)
    this.#onStep({ input, effects: effects.map((effect) => this.#dated(effect)) })
    return effects
  }

  fork(): Protocol<PaxosMessage> {
    return this.#core.fork()
  }

  digest(rename?: (node: string) => string): string {
    return this.#core.digest(rename)
  }

  get decidedHigh(): number {
    return this.#core.decidedHigh
  }

  get codec(): Protocol<PaxosMessage>['codec'] {
    return this.#core.codec
  }

  #dated(effect: Effect<PaxosMessage>): { readonly effect: Effect<PaxosMessage>; readonly after?: Token } {
    if (effect.kind === 'persist') this.#last = effect.token
    const waits = effect.kind === 'send' && effect.reveals !== 'nothing' && this.#last > this.#durable
    return waits ? { effect, after: this.#last } : { effect }
  }
}
