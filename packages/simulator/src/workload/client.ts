/**
 * One client: one operation after the other, each written down when it is called and when it returned. Appends are made in
 * four ways: with event ids, with a key, with both, and with neither, which are never tried again.
 */
import { EventStoreError, WrongExpectedRevisionError, type AppendRequest, type Appended } from '@synod/events'
import type { AppendOperation, Expected, HistoryOperation } from '../checkers/history.ts'
import type { Violation } from '../checkers/violation.ts'
import type { Dice } from '../world/dice.ts'
import type { SimNode } from '../world/sim-node.ts'
import type { Tally } from '../world/tally.ts'
import type { Trace } from '../world/trace.ts'
import type { World } from '../world/world.ts'
import { drawRead, type ReadDrawn } from './reads.ts'
import { isTemporary, request, temporaryCodes, type Reply } from './request.ts'
import { simEvent } from './sim-event.ts'
import type { WorkloadPlan } from './workload-plan.ts'

export interface ClientOptions {
  readonly name: string
  readonly number: number
  readonly world: World
  readonly dice: Dice
  readonly plan: WorkloadPlan
  /** To be asked now: all of them, or those that are to recover. */
  readonly nodes: () => readonly SimNode[]
  readonly history: HistoryOperation[]
  readonly trace: Trace
  readonly tally: Tally
  readonly onViolation: (violation: Violation) => void
}

interface Append {
  readonly identity: string
  readonly request: AppendRequest
  readonly isRetried: boolean
  readonly hasKey: boolean
}

/** Of a call in the liveness phase: shorter ones are tried again faster than a slow cluster answers, for ever. */
const patientMs = 4_000

export class Client {
  readonly #options: ClientOptions
  #node: SimNode | undefined
  #count = 0
  #isOver = false
  /** Appends that were acknowledged, some of them: their ids and keys are taken. */
  #acknowledged: AppendRequest | undefined
  readonly #revisions = new Map<string, number>()
  readonly done: Promise<void>

  constructor(options: ClientOptions) {
    this.#options = options
    this.done = this.#live()
  }

  /** What is under way is ended, tries included; from now on nothing is lost between it and the nodes. */
  end(): void {
    this.#isOver = true
  }

  /** One append, tried until it is answered or the time is up; for the liveness phase. */
  async probe(node: SimNode, stream: string, withinMs: number): Promise<boolean> {
    const append = this.#drawAppend({ stream, expected: 'any', isRetried: true, hasKey: false })
    return this.#append(append, { untilMs: this.#options.world.now + withinMs, at: node, callMs: patientMs })
  }

  /** One linearizable read of the whole, tried likewise. */
  async look(node: SimNode, withinMs: number): Promise<boolean> {
    const { world } = this.#options
    const until = world.now + withinMs
    while (world.now < until) {
      if (await this.#read(drawRead(this.#options.dice, 'tail', [], this.#mayHide), node, patientMs)) return true
      await world.sleep(100)
    }
    return false
  }

  get #lossRate(): number {
    return this.#isOver ? 0 : this.#options.plan.lossRate
  }

  get #mayHide(): boolean {
    return this.#options.plan.retentionClients > 0
  }

  async #live(): Promise<void> {
    const { world, dice, plan } = this.#options
    while (!this.#isOver) {
      await world.sleep(dice.exponential(plan.thinkMsMean))
      if (this.#isOver) return
      if (dice.chance(plan.appendShare)) await this.#operateAppend()
      else await this.#operateRead()
    }
  }

  async #operateAppend(): Promise<void> {
    const { dice, plan } = this.#options
    if (this.#acknowledged !== undefined && dice.chance(0.02)) return this.#misuse(this.#acknowledged)
    const way = dice.pick(['ids', 'key', 'both', 'neither'])
    const stream = `s${dice.whole(1, plan.streams)}`
    const append = this.#drawAppend({
      stream,
      expected: this.#drawExpected(stream),
      isRetried: way !== 'neither',
      hasKey: way === 'key' || way === 'both',
      hasIds: way !== 'key' && way !== 'neither',
    })
    await this.#append(append, { triesMax: plan.triesMax })
  }

  async #operateRead(): Promise<void> {
    const { dice, plan } = this.#options
    const streams = Array.from({ length: plan.streams }, (_, at) => `s${at + 1}`)
    const read = drawRead(dice, dice.chance(plan.localShare) ? 'local' : 'linearizable', streams, this.#mayHide)
    await this.#read(read, this.#choose(), plan.callMsMax)
  }

  #drawExpected(stream: string): Expected {
    const { dice } = this.#options
    const known = this.#revisions.get(stream)
    switch (dice.whole(0, 5)) {
      case 0:
        return 'noStream'
      case 1:
        return 'streamExists'
      case 2:
        return dice.whole(0, (known ?? 0) + 3)
      case 3:
        return known ?? 'noStream'
      default:
        return 'any'
    }
  }

  #drawAppend(of: { stream: string; expected: Expected; isRetried: boolean; hasKey: boolean; hasIds?: boolean }): Append {
    const { dice, plan, name, number } = this.#options
    const identity = `${name}.${++this.#count}`
    const { stream, expected, isRetried, hasKey, hasIds = true } = of
    const events = Array.from({ length: dice.whole(1, plan.eventsMax) }, (_, at) =>
      simEvent(identity, at, dice.whole(0, plan.paddingBytesMax), hasIds ? idOf(number, this.#count, at) : undefined),
    )
    const request = { stream, events, expected, principal: name, ...(hasKey ? { idempotencyKey: `key ${this.#count}` } : {}) }
    return { identity, request, isRetried, hasKey }
  }

  /** True when it was answered. */
  async #append(append: Append, bounds: { triesMax?: number; untilMs?: number; at?: SimNode; callMs?: number }): Promise<boolean> {
    const { world, dice, plan, name, trace, history } = this.#options
    const { triesMax = Infinity, untilMs = Infinity, at, callMs } = bounds
    const { identity, request: asked, isRetried, hasKey } = append
    const { stream, expected, events } = asked
    const call = world.stamp()
    trace.add(world.now, name, 'append', `${identity} ${stream} ${expected} ${events.length}`)
    let tries = 0
    let reply: Reply<Appended> = { kind: 'none' }
    let outcome: AppendOperation['outcome'] = { kind: 'unknown' }
    while (outcome.kind === 'unknown' && tries < triesMax && world.now < untilMs && (tries === 0 || isRetried)) {
      if (tries > 0) await world.sleep(dice.exponential(100))
      const isHedged = isRetried && callMs === undefined && dice.chance(plan.hedgeRate)
      tries += isHedged ? 2 : 1
      const calls = [this.#call(at ?? this.#choose(), asked, callMs)]
      if (isHedged) calls.push(this.#call(at ?? dice.pick(this.#options.nodes()), asked))
      reply = await firstAnswer(calls)
      outcome = this.#outcomeOf(reply, append)
      if (outcome.kind === 'unknown') this.#node = undefined
    }
    const returned = outcome.kind === 'unknown' ? Infinity : world.stamp()
    const session = reply.kind === 'none' ? {} : { session: reply.session }
    const mayFollowRefusal = tries > 1 && !hasKey
    history.push({
      kind: 'append',
      client: name,
      call,
      returned,
      identity,
      stream,
      expected,
      count: events.length,
      outcome,
      ...session,
      ...(mayFollowRefusal ? { mayFollowRefusal } : {}),
    })
    this.#onAppended(asked, outcome, tries, `${identity}${figure(outcome)} ${call} to ${returned}`)
    return outcome.kind !== 'unknown'
  }

  #onAppended(asked: AppendRequest, outcome: AppendOperation['outcome'], tries: number, text: string): void {
    const { world, tally, trace, name } = this.#options
    tally.add('appends')
    tally.add('retries', tries - 1)
    tally.add(`appends ${outcome.kind}`)
    trace.add(world.now, name, outcome.kind, text)
    if (outcome.kind === 'appended') {
      this.#acknowledged = asked
      this.#revisions.set(asked.stream, outcome.revision)
    } else if (outcome.kind === 'rejected') this.#revisions.set(asked.stream, Math.max(0, outcome.actual))
  }

  #outcomeOf(reply: Reply<Appended>, { identity }: Append): AppendOperation['outcome'] {
    if (reply.kind === 'answer') return { kind: 'appended', ...reply.value }
    if (reply.kind === 'none') return { kind: 'unknown' }
    const { error } = reply
    if (error instanceof WrongExpectedRevisionError) return { kind: 'rejected', actual: error.actual === 'noStream' ? -1 : error.actual }
    if (!isTemporary(error)) this.#accuse(`append ${identity} failed: ${String(error)}`)
    return { kind: 'unknown' }
  }

  /** The same ids for another append, or the same key: it has to be refused. */
  async #misuse(taken: AppendRequest): Promise<void> {
    const { tally, name, plan } = this.#options
    tally.add('misuses')
    const [first] = taken.events
    const asked: AppendRequest =
      taken.idempotencyKey === undefined
        ? {
            stream: `${taken.stream}-other`,
            expected: 'any',
            events: [{ ...simEvent(`${name}.misuse`, 0, 0, undefined), ...(first?.id === undefined ? {} : { id: first.id }) }],
          }
        : { ...taken, events: [simEvent(`${name}.misuse`, 0, 0, undefined)] }
    if (asked.idempotencyKey === undefined && first?.id === undefined) return
    const reply = await this.#call(this.#choose(), asked, plan.callMsMax)
    if (reply.kind === 'none') return
    const code = reply.kind === 'error' && reply.error instanceof EventStoreError ? reply.error.code : 'appended'
    const fits = ['event_id_conflict', 'idempotency_key_reused', ...temporaryCodes].includes(code)
    if (!fits) this.#accuse(`a taken ${asked.idempotencyKey ?? 'event id'} was answered with ${code}`)
  }

  async #read(read: ReadDrawn, node: SimNode, withinMs: number): Promise<boolean> {
    const { world, dice, name, history, tally, trace } = this.#options
    const call = world.stamp()
    const reply = await request({ world, dice, node, withinMs, lossRate: this.#lossRate }, read.run)
    tally.add('reads')
    if (reply.kind === 'none') {
      this.#node = undefined
      return false
    }
    const isMissing = reply.kind === 'error' && reply.error instanceof EventStoreError && reply.error.code === 'stream_not_found'
    if (reply.kind === 'error' && !isMissing) {
      if (!isTemporary(reply.error)) this.#accuse(`${read.text} failed: ${String(reply.error)}`)
      return false
    }
    tally.add('reads answered')
    const operation = read.operation(reply.kind === 'answer' ? reply.value : undefined)
    if (typeof operation === 'string') {
      this.#accuse(`${read.text}: ${operation}`)
      return false
    }
    const returned = world.stamp()
    trace.add(world.now, name, 'read', `${read.text} ${call} to ${returned}`)
    history.push({ ...operation, client: name, call, returned, session: reply.session })
    return true
  }

  #call(node: SimNode, asked: AppendRequest, withinMs?: number): Promise<Reply<Appended>> {
    const { world, dice, plan } = this.#options
    const ms = withinMs ?? dice.between(Math.min(100, plan.callMsMax), plan.callMsMax)
    return request({ world, dice, node, withinMs: ms, lossRate: this.#lossRate }, (events, signal) => events.append(asked, { signal }))
  }

  #choose(): SimNode {
    const { dice, plan, nodes } = this.#options
    const choice = nodes()
    const stays = this.#node !== undefined && choice.includes(this.#node) && dice.chance(plan.staysRate)
    if (!stays) this.#node = dice.pick(choice)
    return this.#node ?? dice.pick(choice)
  }

  #accuse(message: string): void {
    this.#options.onViolation({ kind: 'verdict', message: `${this.#options.name}: ${message}` })
  }
}

/** The first that says anything; else the last. */
async function firstAnswer<T>(calls: readonly Promise<Reply<T>>[]): Promise<Reply<T>> {
  return new Promise((resolve) => {
    let left = calls.length
    for (const call of calls)
      void call.then((reply) => {
        if (--left === 0 || reply.kind === 'answer') resolve(reply)
      })
  })
}

/** For the trace. */
function figure(outcome: AppendOperation['outcome']): string {
  if (outcome.kind === 'appended') return ` ${outcome.position}`
  return outcome.kind === 'rejected' ? ` ${outcome.actual}` : ''
}

function idOf(client: number, count: number, at: number): string {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0')
  return `${hex(client, 8)}-${hex(at, 4)}-4000-8000-${hex(count, 12)}`
}
