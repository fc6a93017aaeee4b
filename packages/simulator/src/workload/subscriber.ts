/**
 * A subscriber: connects to some node, writes down what comes, and resumes elsewhere when the connection breaks: after the
 * last event that it had, or from the last checkpoint.
 */
import type { EventFilter, SubscribeOptions } from '@synod/events'
import type { SubscriptionHistory, SubscriptionSeen } from '../checkers/subscriptions.ts'
import type { Violation } from '../checkers/violation.ts'
import type { Dice } from '../world/dice.ts'
import type { SimNode } from '../world/sim-node.ts'
import type { Tally } from '../world/tally.ts'
import type { World } from '../world/world.ts'
import { seen } from './sim-event.ts'
import { visit } from './visit.ts'

export interface SubscriberOptions {
  readonly name: string
  readonly world: World
  readonly dice: Dice
  readonly stream: string | undefined
  /** Of all streams. */
  readonly filter: EventFilter | undefined
  /** Between two messages that it takes. */
  readonly slowMs: number
  readonly nodes: () => readonly SimNode[]
  readonly tally: Tally
  readonly onViolation: (violation: Violation) => void
}

export class Subscriber {
  readonly #options: SubscriberOptions
  readonly connections: SubscriptionHistory[] = []
  /** Of the last event that came. */
  #position = 0
  #checkpoint = 0
  #break: () => void = () => {}
  #isSlow = true

  constructor(options: SubscriberOptions) {
    this.#options = options
    void this.#live()
  }

  /** Everything at or below was delivered. */
  get considered(): number {
    return Math.max(this.#position, this.#checkpoint)
  }

  get stream(): string | undefined {
    return this.#options.stream
  }

  /** From now on it is quick, and leaves a node that is not among the healed ones. */
  hurry(): void {
    this.#isSlow = false
    this.#break()
  }

  async #live(): Promise<void> {
    const { world, dice, nodes } = this.#options
    for (;;) {
      await world.sleep(dice.exponential(this.#isSlow ? 200 : 50))
      await this.#connect(dice.pick(nodes()))
    }
  }

  async #connect(node: SimNode): Promise<void> {
    const { world, dice, stream, filter, name, tally } = this.#options
    const { serving } = node
    if (serving?.events === undefined || !serving.life.isAlive) return
    const { life, events } = serving
    const afterPosition = dice.chance(0.5) ? this.#position : this.#checkpoint
    const options: SubscribeOptions = {
      ...(stream === undefined ? {} : { stream }),
      ...(filter === undefined ? {} : { filter }),
      ...(afterPosition === 0 ? { from: 0 } : { afterPosition }),
    }
    const messages: SubscriptionSeen[] = []
    this.connections.push({
      subscriber: `${name} at ${life.name}`,
      ...(stream === undefined ? {} : { stream }),
      ...(filter === undefined ? {} : { filter }),
      from: 0,
      afterPosition,
      messages,
    })
    tally.add('subscriptions')
    const onOther = (error: unknown): void =>
      this.#options.onViolation({ kind: 'subscription', message: `${name} at ${life.name}: ${String(error)}` })
    await visit({ world, life, expected: ['unavailable', 'busy'], onOther }, ({ signal, isOpen, leave }) => {
      this.#break = leave
      const take = (message: SubscriptionSeen): void => {
        if (!isOpen()) return
        messages.push(message)
        tally.add('subscription messages')
        if (message.kind === 'event') this.#position = message.event.position
        else if (message.kind !== 'fellBehind') this.#checkpoint = message.position
        if (dice.chance(0.002)) leave()
      }
      return async () => {
        let arrival = 0
        for await (const message of events.subscribe({ ...options, signal })) {
          const told: readonly SubscriptionSeen[] =
            message.kind === 'events' ? message.events.map((event) => ({ kind: 'event', event: seen(event) })) : [message]
          arrival = Math.max(arrival, world.now + dice.exponential(1))
          for (const one of told) world.at(arrival, () => take(one))
          if (this.#isSlow && this.#options.slowMs > 0) await life.sleep(dice.exponential(this.#options.slowMs))
        }
      }
    })
  }
}
