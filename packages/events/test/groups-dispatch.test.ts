import { expect, test } from 'vitest'
import {
  createEventMachine,
  openEventStore,
  type EventMachine,
  type EventStoreError,
  type GroupConsumer,
  type GroupDefinition,
  type GroupEvent,
  type GroupStatus,
  type OpenedEventStore,
  type Verdict,
} from '@synod/events'
import { memoryReadSide } from '@synod/events/memory'
import type { OrderedLog } from '@synod/log'
import { seededRandom, VirtualScheduler } from '@synod/transport/memory'
import { event } from './node.ts'
import { SequentialLog } from './sequential-log.ts'

type Answer = 'acknowledge' | 'skip' | 'park' | 'retry' | 'silence'

interface Delivery {
  readonly event: GroupEvent
  readonly answer: Answer
  isAnswered: boolean
}

/** Several nodes of one group: stores of their own on one machine, in virtual time. A node that is killed says nothing any more. */
class World {
  readonly scheduler = new VirtualScheduler()
  /** Positions, in the order of their deliveries. */
  readonly deliveries: number[] = []
  /** By generation and stream. */
  readonly #last = new Map<string, Delivery>()
  /** Told `settled` for what was acknowledged or skipped, by position. */
  readonly settled = new Set<number>()
  readonly acknowledged = new Set<number>()
  readonly roll: () => number
  failure: Error | undefined
  /** Codes of the errors that consumers of closed stores ended with. */
  readonly told: string[] = []
  readonly #machine: EventMachine
  readonly #log: SequentialLog<Verdict>
  #nodes = 0

  private constructor(seed: number, machine: EventMachine, log: SequentialLog<Verdict>, scheduler: VirtualScheduler) {
    this.roll = seededRandom(String(seed))
    this.#machine = machine
    this.#log = log
    this.scheduler = scheduler
  }

  static async open(seed: number): Promise<World> {
    const scheduler = new VirtualScheduler()
    const machine = createEventMachine({ readSide: memoryReadSide(), scheduler })
    const log = await SequentialLog.open(machine)
    return new World(seed, machine, log, scheduler)
  }

  /** Of one stream in one generation: the same one again, an attempt later, or a later one, and then the one before was answered for good. */
  deliver(event: GroupEvent, generation: number, answer: Answer): Delivery {
    const delivery = { event, answer, isAnswered: false }
    const key = `${generation} ${event.stream}`
    const before = this.#last.get(key)
    this.#last.set(key, delivery)
    this.deliveries.push(event.position)
    if (before === undefined) return delivery
    const isAgain = before.event.revision === event.revision && before.event.attempt + 1 === event.attempt
    const isDue = before.answer === 'silence' || (before.isAnswered && before.answer === 'retry')
    const isNext = before.event.revision < event.revision
    const isDone = before.isAnswered && (before.answer === 'acknowledge' || before.answer === 'skip')
    if (!(isAgain && isDue) && !(isNext && isDone))
      this.failure = new Error(
        `${key}@${event.revision} #${event.attempt} after ${before.event.revision} #${before.event.attempt}: ${before.answer}`,
      )
    return delivery
  }

  /** By the name of one that is dead: its next life. */
  node(name = `n${++this.#nodes}`): Node {
    return new Node(this, name, this.#log, this.#machine)
  }

  async until(condition: () => boolean, forMs: number, what: string): Promise<void> {
    const held = await this.scheduler.runUntil(() => this.failure !== undefined || condition(), forMs)
    if (this.failure !== undefined) throw this.failure
    if (!held) throw new Error(`there was no ${what}`)
  }

  /** In virtual time. */
  async ask<T>(promise: Promise<T>): Promise<T> {
    let isOver = false
    void promise.catch(() => {}).finally(() => (isOver = true))
    await this.until(() => isOver, 60_000, 'answer in a minute')
    return promise
  }
}

class Node {
  readonly store: OpenedEventStore
  isDead = false
  isClosing = false
  readonly #world: World

  constructor(world: World, name: string, log: SequentialLog<Verdict>, machine: EventMachine) {
    this.#world = world
    const never = new Promise<never>(() => {})
    const own = {
      propose: (command: Parameters<typeof log.propose>[0]) => (this.isDead ? never : log.propose(command)),
      openSession: () => log.openSession(),
      read: () => (this.isDead ? never : log.read()),
      slices: (...asked: Parameters<typeof log.slices>) => log.slices(...asked),
    }
    this.store = openEventStore({ log: own as unknown as OrderedLog<Verdict>, machine, node: name, now: () => 1_700_000_000_000 })
  }

  /** A consumer that takes its time, and answers as `choose` says. Returns how to end it. */
  consume(group: string, choose: (event: GroupEvent) => Answer, delayMs: number): () => void {
    const ending = new AbortController()
    const consumer = this.store.groups.consume(group, { signal: ending.signal, room: () => 4096 })
    this.#run(consumer, choose, delayMs).catch((error: unknown) => {
      if (this.isClosing) this.#world.told.push((error as EventStoreError).code)
      else if (!this.isDead) this.#world.failure = error as Error
    })
    return () => ending.abort()
  }

  async #run(consumer: GroupConsumer, choose: (event: GroupEvent) => Answer, delayMs: number): Promise<void> {
    const { scheduler, settled, acknowledged, roll } = this.#world
    const answered = new Set<string>()
    for await (const message of consumer.messages()) {
      if (this.isDead) return
      if (message.kind === 'settled')
        for (const position of message.positions) if (answered.has(`${message.generation} ${position}`)) settled.add(position)
      if (message.kind !== 'events') continue
      for (const told of message.events) {
        const answer = choose(told)
        const { generation } = message
        const delivery = this.#world.deliver(told, generation, answer)
        const act = (): void => {
          if (this.isDead || answer === 'silence') return
          delivery.isAnswered = true
          if (answer === 'acknowledge' || answer === 'skip') {
            answered.add(`${generation} ${told.position}`)
            acknowledged.add(told.position)
          }
          if (answer === 'acknowledge') consumer.acknowledge(generation, [told.position])
          else consumer.reject(generation, told.position, answer, 'as chosen')
        }
        const after = Math.floor(roll() * delayMs)
        if (after === 0) act()
        else scheduler.at(scheduler.now() + after, act)
      }
    }
  }
}

async function append(world: World, node: Node, events: number, streams: number, from = 0): Promise<void> {
  const appends: Promise<unknown>[] = []
  for (let at = from; at < from + events; at++) {
    const stream = `s-${Math.floor(world.roll() * streams)}`
    appends.push(node.store.append({ stream, events: [event('x', at)], expected: 'any' }))
  }
  await world.ask(Promise.all(appends))
}

function statusOf(node: Node, group: string): Promise<GroupStatus> {
  return node.store.groups.get(group)
}

const definition: GroupDefinition = { partitions: 32, ackDeadlineMs: 2000, attemptsMax: 4, parkedMax: 1000 }

test.each([1, 2, 3])(
  '8 consumers on nodes that come and die, 1,000 streams: all is handled, in order, and nothing acknowledged is parked (seed %i)',
  async (seed) => {
    const world = await World.open(seed)
    const { roll } = world
    const choose = (): Answer => {
      const dice = roll()
      if (dice < 0.86) return 'acknowledge'
      if (dice < 0.94) return 'retry'
      if (dice < 0.96) return 'silence'
      return dice < 0.98 ? 'skip' : 'park'
    }
    const home = world.node()
    await world.ask(home.store.groups.put('g', definition))
    let nodes = [world.node(), world.node(), world.node()]
    let consumers: { readonly node: Node; readonly end: () => void }[] = []
    const start = (node: Node): void => void consumers.push({ node, end: node.consume('g', choose, 50) })
    for (let at = 0; at < 8; at++) start(nodes[at % 3]!)
    const rounds = 12
    for (let round = 0; round < rounds; round++) {
      await append(world, home, 300, 1000, round * 300)
      await world.scheduler.runUntil(() => false, Math.floor(roll() * 400))
      if (round % 4 === 1) {
        // A node dies, and with it its consumers; another one comes.
        const dead = nodes[Math.floor(roll() * 3)]!
        dead.isDead = true
        const lost = consumers.filter(({ node }) => node === dead).length
        nodes = nodes.map((node) => (node === dead ? world.node() : node))
        consumers = consumers.filter(({ node }) => node !== dead)
        for (let at = 0; at < lost; at++) start(nodes[at % 3]!)
      } else if (round % 4 === 3) {
        // One leaves, and another comes.
        consumers.splice(Math.floor(roll() * consumers.length), 1)[0]?.end()
        start(nodes[round % 3]!)
      }
    }
    let status: GroupStatus | undefined
    for (let turn = 0; turn < 60 && (status === undefined || status.lag > 0); turn++) {
      await world.scheduler.runUntil(() => world.failure !== undefined, 2000)
      if (world.failure !== undefined) throw world.failure
      status = await world.ask(statusOf(home, 'g'))
    }
    expect({ lag: status?.lag, why: status?.why, consumers: status?.consumers.length }).toEqual({ lag: 0, why: undefined, consumers: 8 })
    const parked = await world.ask(home.store.groups.parked('g', { limit: 4096 }))
    expect(parked.length).toBe(status?.parked)
    const aside = new Set(parked.map(({ event: { position } }) => position))
    expect(parked.filter(({ reason }) => reason === 'follows').length).toBeGreaterThan(0)
    // Nothing was skipped: what is not parked was answered for good by a consumer.
    const missing: number[] = []
    for (let position = 1; position <= rounds * 300; position++)
      if (!aside.has(position) && !world.acknowledged.has(position)) missing.push(position)
    expect(missing).toEqual([])
    expect([...aside].filter((position) => world.settled.has(position))).toEqual([])

    // What is parked is replayed, in the order of its streams, to consumers that take everything.
    for (const { end } of consumers) end()
    const before = world.deliveries.length
    nodes[0]!.consume('g', () => 'acknowledge', 20)
    const { replayed } = await world.ask(home.store.groups.replay('g', {}))
    expect(replayed).toBe(parked.length)
    for (let turn = 0; turn < 30 && (status!.lag > 0 || status!.parked > 0 || turn === 0); turn++) {
      await world.scheduler.runUntil(() => world.failure !== undefined, 2000)
      status = await world.ask(statusOf(home, 'g'))
    }
    expect({ lag: status?.lag, parked: status?.parked }).toEqual({ lag: 0, parked: 0 })
    const again = world.deliveries.slice(before)
    expect(new Set(again)).toEqual(aside)

    // A store that closes says so, and its consumers are told.
    for (const node of nodes) node.isClosing = true
    await world.ask(Promise.all(nodes.map((node) => node.store.close())))
    expect(await world.ask(statusOf(home, 'g'))).toMatchObject({ consumers: [], lag: 0 })
    expect(world.told).toEqual(['unavailable'])
  },
  60_000,
)

test('a consumer that answers late is given fewer at a time: what it never came to is not parked', async () => {
  const world = await World.open(7)
  const { scheduler } = world
  const [home, node] = [world.node(), world.node()]
  await world.ask(home.store.groups.put('g', { partitions: 1, ackDeadlineMs: 2000, attemptsMax: 5 }))
  const count = 250
  await append(world, home, count, 100_000)
  const consumer = node.store.groups.consume('g', { room: () => 1_000_000 })
  const settled = new Set<number>()
  const attempts = new Set<number>()
  const run = async (): Promise<void> => {
    for await (const message of consumer.messages()) {
      if (message.kind === 'settled') for (const position of message.positions) settled.add(position)
      if (settled.size === count) return
      if (message.kind !== 'events') continue
      // One after another, so that the last of 250 would be 12 seconds late.
      for (const { position, attempt } of message.events) {
        attempts.add(attempt)
        await new Promise<void>((resolve) => scheduler.at(scheduler.now() + 50, resolve))
        consumer.acknowledge(message.generation, [position])
      }
    }
  }
  await world.ask(run())
  expect(attempts.size).toBeGreaterThan(1)
  expect(await world.ask(statusOf(home, 'g'))).toMatchObject({ parked: 0 })
})

test('every node says that a partition stands, and the one that has its consumer says why', async () => {
  const world = await World.open(9)
  const [home, node] = [world.node(), world.node()]
  await world.ask(home.store.groups.put('g', { partitions: 1 }))
  await append(world, home, 3, 1)
  const end = node.consume('g', () => 'silence', 0)
  await world.scheduler.run(1000)
  expect((await world.ask(statusOf(home, 'g'))).why).toBeUndefined()
  await world.scheduler.run(19_000)
  expect((await world.ask(statusOf(home, 'g'))).why).toMatch(
    /^nothing of it was settled for 1[0-9] s: its consumer is at node n2, which knows why$/,
  )
  expect((await world.ask(statusOf(node, 'g'))).why).toMatch(
    /^waiting for the answer to position 1, which its consumer has had for (19|20)[0-9]{3} ms$/,
  )
  end()
})

test('a node that comes back says at once that its former consumers are gone', async () => {
  const world = await World.open(11)
  const [home, node] = [world.node(), world.node()]
  await world.ask(home.store.groups.put('g', { partitions: 2 }))
  node.consume('g', () => 'silence', 0)
  await world.scheduler.run(1000)
  expect((await world.ask(statusOf(home, 'g'))).consumers).toMatchObject([{ node: 'n2', partitions: 2 }])
  node.isDead = true
  world.node('n2')
  await world.scheduler.run(10)
  expect((await world.ask(statusOf(home, 'g'))).consumers).toEqual([])
})
