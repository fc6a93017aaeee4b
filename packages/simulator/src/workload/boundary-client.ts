/**
 * A client of boundaries: appends to several streams with checks and conditions, and filtered reads. As the other clients it tries
 * an append again, at any node, where ids or a key make that safe, and writes down what it heard.
 */
import { type AtomicAppendRequest, type AtomicallyAppended, type QueryOptions } from '@synod/events'
import type { AtomicOperation } from '../checkers/atomic-appends.ts'
import type { QueryOperation } from '../checkers/queries.ts'
import type { Dice } from '../world/dice.ts'
import type { SimNode } from '../world/sim-node.ts'
import { drawCondition, drawExpected, drawFilter, drawLabels, drawWrites } from './boundaries.ts'
import type { ClientOptions } from './client.ts'
import { codeOf, isTemporary, request, type Reply } from './request.ts'
import { retainedStreams } from './retention-client.ts'
import { seen, simEvent } from './sim-event.ts'

export interface BoundaryHistory {
  readonly appends: AtomicOperation[]
  readonly queries: QueryOperation[]
}

export interface BoundaryClientOptions extends Omit<ClientOptions, 'history'> {
  readonly history: BoundaryHistory
}

const refusals = ['wrong_expected_revision', 'condition_failed', 'condition_too_broad', 'stream_tombstoned']

export class BoundaryClient {
  readonly #options: BoundaryClientOptions
  readonly #revisions = new Map<string, number>()
  readonly #retained: Dice
  #head = 0
  #count = 0
  #isOver = false
  readonly done: Promise<void>

  constructor(options: BoundaryClientOptions) {
    this.#options = options
    this.#retained = options.dice.named('retained')
    this.done = this.#live()
  }

  end(): void {
    this.#isOver = true
  }

  async #live(): Promise<void> {
    const { world, dice, plan } = this.#options
    while (!this.#isOver) {
      await world.sleep(dice.exponential(plan.thinkMsMean))
      if (this.#isOver) return
      if (dice.chance(plan.appendShare)) await this.#append()
      else await this.#query()
    }
  }

  async #append(): Promise<void> {
    const { world, dice, plan, name, number, tally, trace, history } = this.#options
    const identity = `${name}.${++this.#count}`
    const drawn = drawWrites(dice, plan.eventsMax, this.#revisions)
    const { checks } = drawn
    const writes =
      plan.retentionClients === 0 ? drawn.writes : drawn.writes.map((write, at) => (at === 0 ? this.#toRetained(write) : write))
    const condition = drawCondition(dice, this.#head)
    const way = dice.pick(['ids', 'key', 'both', 'neither'])
    let event = 0
    const asked: AtomicAppendRequest = {
      writes: writes.map(({ stream, expected, count }, write) => ({
        stream,
        expected,
        events: Array.from({ length: count }, (_, at) => {
          const id = way === 'ids' || way === 'both' ? idOf(number, this.#count, event++) : undefined
          return simEvent(`${identity}/${write}`, at, dice.whole(0, plan.paddingBytesMax), id, drawLabels(dice))
        }),
      })),
      ...(checks.length === 0 ? {} : { checks }),
      ...(condition === undefined ? {} : { condition }),
      principal: name,
      ...(way === 'key' || way === 'both' ? { idempotencyKey: `key ${this.#count}` } : {}),
    }
    const call = world.stamp()
    trace.add(world.now, name, 'append', `${identity} ${writes.map(({ stream }) => stream).join(' ')}`)
    let tries = 0
    let reply: Reply<AtomicallyAppended> = { kind: 'none' }
    let outcome: AtomicOperation['outcome'] = { kind: 'unknown' }
    while (outcome.kind === 'unknown' && tries < plan.triesMax && (tries === 0 || way !== 'neither') && !(this.#isOver && tries > 0)) {
      if (tries++ > 0) await world.sleep(dice.exponential(100))
      reply = await this.#call(dice.pick(this.#options.nodes()), (events, signal) => events.appendAtomically(asked, { signal }))
      outcome = this.#outcomeOf(reply, identity)
    }
    tally.add(`atomic appends ${outcome.kind}`)
    trace.add(world.now, name, outcome.kind, identity)
    history.appends.push({
      client: name,
      call,
      returned: outcome.kind === 'unknown' ? Infinity : world.stamp(),
      ...(reply.kind === 'none' ? {} : { session: reply.session }),
      identity,
      writes,
      outcome,
      mayFollowRefusal: tries > 1 && way === 'ids',
    })
    if (outcome.kind !== 'appended') return
    this.#head = Math.max(this.#head, outcome.position)
    for (const [write, { stream }] of writes.entries()) this.#revisions.set(stream, outcome.revisions[write] ?? -1)
  }

  /** The same write, to a stream that does not keep everything, often. */
  #toRetained(write: AtomicOperation['writes'][number]): AtomicOperation['writes'][number] {
    const dice = this.#retained
    if (dice.chance(0.4)) return write
    const stream = dice.pick(retainedStreams)
    return { ...write, stream, expected: dice.chance(0.5) ? 'any' : drawExpected(dice, this.#revisions.get(stream)) }
  }

  #outcomeOf(reply: Reply<AtomicallyAppended>, identity: string): AtomicOperation['outcome'] {
    if (reply.kind === 'answer') {
      const { position, streams } = reply.value
      return { kind: 'appended', position, revisions: streams.map(({ revision }) => revision) }
    }
    if (reply.kind === 'none') return { kind: 'unknown' }
    const { error } = reply
    if (refusals.includes(codeOf(error))) return { kind: 'refused' }
    if (!isTemporary(error)) this.#accuse(`append ${identity} failed: ${String(error)}`)
    return { kind: 'unknown' }
  }

  async #query(): Promise<void> {
    const { world, dice, plan, name, tally, trace, history } = this.#options
    const direction = dice.chance(0.7) ? 'forward' : 'backward'
    const from = direction === 'forward' || dice.chance(0.5) ? dice.whole(1, Math.max(1, this.#head)) : undefined
    const asked: QueryOptions = {
      filter: drawFilter(dice),
      direction,
      limit: dice.whole(1, 20),
      consistency: dice.chance(plan.localShare) ? 'local' : 'linearizable',
      ...(from === undefined ? {} : { from }),
      ...(dice.chance(0.3) ? { atLeast: this.#head } : {}),
    }
    const call = world.stamp()
    const reply = await this.#call(dice.pick(this.#options.nodes()), (events, signal) => events.query({ ...asked, signal }))
    tally.add('queries')
    if (reply.kind === 'none') return
    if (reply.kind === 'error') {
      if (!isTemporary(reply.error)) this.#accuse(`a query failed: ${String(reply.error)}`)
      return
    }
    tally.add('queries answered')
    const { events, considered, isEnd } = reply.value
    const { filter, consistency, limit, atLeast } = asked
    trace.add(world.now, name, 'query', `${JSON.stringify(filter)} ${events.length} ${considered}`)
    history.queries.push({
      client: name,
      call,
      returned: world.stamp(),
      consistency,
      direction,
      filter,
      limit,
      ...(from === undefined ? {} : { from }),
      ...(atLeast === undefined ? {} : { atLeast }),
      events: events.map(seen),
      considered,
      isEnd,
    })
  }

  #call<T>(node: SimNode, work: Parameters<typeof request<T>>[1]): Promise<Reply<T>> {
    const { world, dice, plan } = this.#options
    const withinMs = dice.between(Math.min(100, plan.callMsMax), plan.callMsMax)
    return request({ world, dice, node, withinMs, lossRate: this.#isOver ? 0 : plan.lossRate }, work)
  }

  #accuse(message: string): void {
    this.#options.onViolation({ kind: 'verdict', message: `${this.#options.name}: ${message}` })
  }
}

function idOf(client: number, count: number, at: number): string {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0')
  return `${hex(0xb000_0000 + client, 8)}-${hex(at, 4)}-4000-8000-${hex(count, 12)}`
}
