/**
 * A consumer of a group: connects to some node, handles what comes (acknowledges, rejects, or does nothing so that the deadline
 * passes), and connects elsewhere when the connection breaks. It writes down what was delivered and what was told to be settled.
 */
import type { GroupConsumer as Consumer, GroupDefinition, Rejection } from '@synod/events'
import type { GroupDelivery, GroupHistory } from '../checkers/groups.ts'
import type { SeenEvent } from '../checkers/history.ts'
import type { Violation } from '../checkers/violation.ts'
import type { Dice } from '../world/dice.ts'
import type { SimNode } from '../world/sim-node.ts'
import type { Tally } from '../world/tally.ts'
import type { World } from '../world/world.ts'
import { temporaryCodes } from './request.ts'
import { seen } from './sim-event.ts'
import { visit, type Visit } from './visit.ts'

/** A group of the run, and what its consumers saw. */
export interface GroupWatched {
  readonly group: string
  readonly definition: GroupDefinition
  readonly history: GroupHistory
}

export interface GroupConsumerOptions extends GroupWatched {
  readonly name: string
  readonly world: World
  readonly dice: Dice
  readonly nodes: () => readonly SimNode[]
  readonly tally: Tally
  readonly onViolation: (violation: Violation) => void
}

const handleMsMean = 5

export function drawGroup(dice: Dice): GroupWatched {
  return {
    group: 'g',
    definition: {
      ...(dice.chance(0.6) ? { filter: { categories: dice.chance(0.5) ? ['room'] : ['room', 'desk'] } } : {}),
      ...(dice.chance(0.4) ? { partitionBy: { tagPrefix: 'a:' } } : {}),
      partitions: dice.whole(1, 8),
      ackDeadlineMs: Math.round(dice.scaled(300, 5_000)),
      attemptsMax: dice.whole(2, 6),
    },
    history: { deliveries: [], acknowledgements: [], unanswered: new Set(), rejections: [], settled: [] },
  }
}

/** What keeps the order of an event's neighbours: the tag that the group asks for, else the stream. */
export function keyOf({ partitionBy = 'stream' }: GroupDefinition, { stream, tags = [] }: SeenEvent): string {
  return (partitionBy === 'stream' ? undefined : tags.find((tag) => tag.startsWith(partitionBy.tagPrefix))) ?? stream
}

export class GroupConsumer {
  readonly #options: GroupConsumerOptions
  #isCareful = false
  #break: () => void = () => {}

  constructor(options: GroupConsumerOptions) {
    this.#options = options
    void this.#live()
  }

  /** From now on everything is acknowledged, and a node that is not among the healed ones is left. */
  hurry(): void {
    this.#isCareful = true
    this.#break()
  }

  async #live(): Promise<void> {
    const { world, dice, nodes } = this.#options
    for (;;) {
      await world.sleep(dice.exponential(this.#isCareful ? 50 : 300))
      await this.#connect(dice.pick(nodes()))
    }
  }

  async #connect(node: SimNode): Promise<void> {
    const { world, name, group, definition, tally } = this.#options
    const { serving } = node
    if (serving?.events === undefined || !serving.life.isAlive) return
    const { life, events } = serving
    tally.add('group connections')
    const expected = [...temporaryCodes, 'group_not_found']
    const onOther = (error: unknown): void =>
      this.#options.onViolation({ kind: 'group', message: `${name} at ${life.name}: ${String(error)}` })
    await visit({ world, life, expected, onOther }, (opened) => {
      const { signal, isOpen, leave } = opened
      this.#break = leave
      return async () => {
        await events.groups.put(group, definition)
        if (!isOpen()) return
        const consumer = events.groups.consume(group, { consumer: name, signal })
        for await (const message of consumer.messages()) {
          if (!isOpen()) return
          if (message.kind === 'events')
            for (const event of message.events) this.#take(consumer, { ...event, generation: message.generation }, opened)
          else if (message.kind === 'settled') this.#onSettled(message.generation, message.positions)
        }
      }
    })
  }

  #take(
    consumer: Consumer,
    event: Parameters<typeof seen>[0] & { readonly partition: number; readonly attempt: number; readonly generation: number },
    { isOpen, leave }: Visit,
  ): void {
    const { world, dice, name, history, tally } = this.#options
    const { generation, partition, attempt, position } = event
    const delivery: GroupDelivery = { consumer: name, event: seen(event), generation, partition, attempt, at: world.stamp() }
    history.deliveries.push(delivery)
    history.unanswered.add(position)
    tally.add('group deliveries')
    const fate = this.#isCareful
      ? 'acknowledge'
      : dice.pick(['acknowledge', 'acknowledge', 'acknowledge', 'acknowledge', 'retry', 'park', 'skip', 'nothing', 'break'])
    world.after(dice.exponential(handleMsMean), () => {
      if (!isOpen()) return
      if (fate === 'break' && dice.chance(0.1)) return leave()
      if (fate === 'acknowledge' || fate === 'break') {
        history.acknowledgements.push({ position, generation })
        history.unanswered.delete(position)
        consumer.acknowledge(generation, [position])
      } else if (fate !== 'nothing') {
        history.rejections.push({ position, generation, rejection: fate as Rejection })
        consumer.reject(generation, position, fate as Rejection, 'drawn')
      }
    })
  }

  #onSettled(generation: number, positions: readonly number[]): void {
    const { history, world } = this.#options
    for (const position of positions) history.settled.push({ position, generation, at: world.stamp() })
  }
}
