/** Consumer groups at this node: checks what callers give, proposes it, and runs a dispatcher for each group that has consumers here. */
import type { OrderedLog } from '@synod/log'
import type { Scheduler } from '@synod/transport'
import { checkText, invalid } from '../append-request.ts'
import { kindVersion } from '../command-kinds.ts'
import type { EventLimits } from '../event-limits.ts'
import type { EventIndex, EventMachine } from '../event-machine.ts'
import type { EventReader } from '../event-reader.ts'
import type { Consistency } from '../event-store.ts'
import { EventStoreError } from '../event-store-error.ts'
import { linearize } from '../linearize.ts'
import type { StoreProposing } from '../store-proposing.ts'
import { checkInteger } from '../store-reads.ts'
import { checkDefinition, checkGroupName, shortReason } from './check-group.ts'
import type {
  ConsumeOptions,
  ConsumerGroups,
  GroupConsumer,
  GroupDefinition,
  GroupMessage,
  GroupStatus,
  ParkedEvent,
  Rejection,
} from './consumer-groups.ts'
import { encodeGroupCommand, type GroupCommand } from './group-command.ts'
import { GroupDispatcher } from './group-dispatcher.ts'
import { groupFormat } from './group-limits.ts'
import { GroupLiveness } from './group-liveness.ts'
import { GroupMotion } from './group-motion.ts'
import { GroupPages } from './group-pages.ts'
import type { GroupView } from './group-state.ts'
import { groupStatus } from './group-status.ts'
import type { GroupVerdict } from './group-verdict.ts'
import type { LocalConsumer } from './local-consumer.ts'
import { parkedEvents } from './parked-events.ts'

export interface StoreGroupsOptions {
  readonly proposing: Pick<StoreProposing, 'checkOpen' | 'propose'>
  readonly log: Pick<OrderedLog<unknown>, 'read'>
  readonly machine: Pick<EventMachine, 'index' | 'position'>
  readonly reader: EventReader
  readonly limits: EventLimits
  /** Names this node in the status. */
  readonly node: string
  /** This life of the store: never the same twice. Letters, digits and `-`. */
  readonly instance: string
}

/** Until an answer is given up. */
const answerMs = 3000
/** A partition elsewhere that did not move for so long stands. */
const stillMs = 10_000
/** What a store that closes waits for its consumers to have left. */
const leaveMs = 1000

export class StoreGroups implements ConsumerGroups {
  readonly #options: StoreGroupsOptions
  readonly #index: EventIndex
  readonly #scheduler: Scheduler
  readonly #dispatchers = new Map<string, GroupDispatcher>()
  readonly #pages: GroupPages
  readonly #liveness: GroupLiveness
  readonly #motion = new GroupMotion()
  readonly #stopListening: () => void
  #consumers = 0
  #number = 0
  #closed = false
  #onIdle: (() => void) | undefined

  constructor(options: StoreGroupsOptions) {
    this.#options = options
    this.#index = options.machine.index
    this.#scheduler = this.#index.scheduler
    const { instance, node, limits, reader } = options
    this.#pages = new GroupPages(this.#index, reader, limits)
    const { groups } = this.#index
    this.#stopListening = groups.listen((group) => {
      if (group !== undefined) this.#dispatchers.get(group)?.onApplied()
    })
    this.#liveness = new GroupLiveness({
      instance,
      node,
      groups,
      scheduler: this.#scheduler,
      limits,
      propose: (command) => this.#propose(command),
      onLook: (now) => this.#motion.look(groups.all(), now),
      onSilent: () => this.#end('this node has not reached the others for too long: consume at another one'),
    })
  }

  async put(group: string, definition: GroupDefinition): Promise<GroupStatus> {
    this.#check(group)
    const verdict = await this.#propose({ form: 'put', group, definition: checkDefinition(definition, this.#options.limits) })
    if (verdict.result === 'exists')
      throw new EventStoreError(
        'group_exists',
        `group ${JSON.stringify(group)} exists, and its filter, from, partitionBy or partitions differ, which are fixed for its life: use another name, or delete it first`,
      )
    if (verdict.result === 'full')
      throw new EventStoreError('busy', `there are ${groupFormat.groupsMax} groups, which is the limit: delete some`)
    return this.#status(this.#view(group))
  }

  async delete(group: string): Promise<void> {
    this.#check(group)
    found(group, await this.#propose({ form: 'delete', group }))
  }

  async get(group: string): Promise<GroupStatus> {
    this.#check(group)
    await this.#reach('linearizable')
    return this.#status(this.#view(group))
  }

  async list({ consistency = 'linearizable' }: { readonly consistency?: Consistency } = {}): Promise<readonly GroupStatus[]> {
    this.#checkOpen()
    await this.#reach(consistency)
    return [...this.#index.groups.all()].map((view) => this.#status(view)).toSorted((a, b) => (a.group < b.group ? -1 : 1))
  }

  async parked(group: string, { after = 0, limit }: { readonly after?: number; readonly limit: number }): Promise<readonly ParkedEvent[]> {
    this.#check(group)
    checkInteger('after', after)
    const { readEventsMax, pageBytesMax } = this.#options.limits
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > readEventsMax)
      throw invalid(`limit must be an integer from 1 to ${readEventsMax}, not ${String(limit)}`)
    await this.#reach('linearizable')
    return parkedEvents(this.#view(group), this.#pages, { after, limit, bytesMax: pageBytesMax })
  }

  async replay(group: string, { positions }: { readonly positions?: readonly number[] }): Promise<{ readonly replayed: number }> {
    this.#check(group)
    if (positions !== undefined) {
      if (!Array.isArray(positions) || positions.length > groupFormat.parkedMax)
        throw invalid(`positions must be a list of up to ${groupFormat.parkedMax} positions`)
      for (const position of positions as readonly number[]) checkInteger('a position', position)
    }
    const verdict = found(group, await this.#propose({ form: 'replay', group, ...(positions !== undefined && { positions }) }))
    return { replayed: verdict.result === 'done' ? verdict.count : 0 }
  }

  consume(group: string, options: ConsumeOptions): GroupConsumer {
    this.#check(group)
    const number = ++this.#number
    const name = options.consumer ?? `${this.#options.node}-${this.#options.instance.slice(0, 8)}-${number}`
    checkText('consumer', name, groupFormat.consumerBytesMax)
    let place: { readonly dispatcher: GroupDispatcher; readonly consumer: LocalConsumer } | undefined
    let isAsked = false
    return {
      messages: () => {
        if (isAsked) throw invalid('the messages of a consumer are read once: consume again for another')
        isAsked = true
        return this.#messages(group, name, options, (joined) => (place = joined))
      },
      acknowledge: (generation, positions) => place?.dispatcher.acknowledge(place.consumer, generation, positions),
      reject: (generation, position, rejection, reason) =>
        place?.dispatcher.reject(
          place.consumer,
          generation,
          position,
          checkRejection(rejection),
          shortReason(reason ?? `rejected: ${rejection}`),
        ),
    }
  }

  /** Names become metric labels. */
  counters(): Readonly<Record<string, number>> {
    const { groupConsumersMax } = this.#options.limits
    let groups = 0
    for (const _group of this.#index.groups.all()) groups++
    return { groups, groupsMax: groupFormat.groupsMax, groupConsumers: this.#consumers, groupConsumersMax }
  }

  /** No consumer is here. */
  get isIdle(): boolean {
    return this.#dispatchers.size === 0
  }

  /** Its consumers settle what they acknowledged, and leave. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#end('this node is shutting down: consume at another one')
    this.#liveness.stop()
    if (this.#dispatchers.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#onIdle = resolve
      const cancel = this.#scheduler.at(this.#scheduler.now() + leaveMs, resolve)
      await promise
      cancel()
    }
    for (const dispatcher of this.#dispatchers.values()) dispatcher.abandon()
    this.#stopListening()
  }

  async *#messages(
    group: string,
    name: string,
    options: ConsumeOptions,
    onJoin: (place: { readonly dispatcher: GroupDispatcher; readonly consumer: LocalConsumer }) => void,
  ): AsyncGenerator<GroupMessage, void, undefined> {
    this.#checkOpen()
    const { groupConsumersMax } = this.#options.limits
    if (this.#consumers >= groupConsumersMax)
      throw new EventStoreError('busy', `this node has ${groupConsumersMax} consumers, which is its limit: consume at another one`)
    const { signal } = options
    if (signal?.aborted === true) return
    this.#consumers++
    const dispatcher = this.#dispatcher(group)
    const consumer = dispatcher.add(name, options)
    const abort = (): void => consumer.end()
    signal?.addEventListener('abort', abort)
    onJoin({ dispatcher, consumer })
    try {
      yield* consumer.messages(dispatcher)
    } finally {
      this.#consumers--
      signal?.removeEventListener('abort', abort)
      dispatcher.remove(consumer)
    }
  }

  #dispatcher(group: string): GroupDispatcher {
    const known = this.#dispatchers.get(group)
    if (known !== undefined) return known
    const { instance, node, limits } = this.#options
    const dispatcher = new GroupDispatcher({
      group,
      instance,
      node,
      limits,
      scheduler: this.#scheduler,
      pages: this.#pages,
      view: () => this.#index.groups.get(group),
      drawNumber: () => ++this.#number,
      propose: (command) => this.#propose(command),
      groupsHere: () => this.#dispatchers.size,
      onIdle: () => {
        if (this.#dispatchers.get(group) === dispatcher) this.#dispatchers.delete(group)
        if (this.#dispatchers.size === 0) this.#onIdle?.()
      },
    })
    this.#dispatchers.set(group, dispatcher)
    return dispatcher
  }

  #end(message: string): void {
    for (const dispatcher of this.#dispatchers.values()) dispatcher.end(new EventStoreError('unavailable', message))
  }

  #status(view: GroupView): GroupStatus {
    const at = {
      head: this.#options.machine.position(),
      now: this.#scheduler.now(),
      instances: this.#index.groups.instances(),
      motion: this.#motion,
      stillMs,
    }
    return groupStatus(view, this.#dispatchers.get(view.name), at)
  }

  #view(group: string): GroupView {
    const view = this.#index.groups.get(group)
    if (view === undefined) throw notFound(group)
    return view
  }

  #checkOpen(): void {
    this.#options.proposing.checkOpen()
    if (this.#closed) throw new EventStoreError('unavailable', 'this node is shutting down: ask another one')
  }

  #check(group: string): void {
    this.#checkOpen()
    checkGroupName(group)
  }

  async #reach(consistency: Consistency): Promise<void> {
    if (consistency === 'local') return
    await this.#within((signal) => linearize(this.#options.log, { consistency, signal }))
  }

  async #propose(command: GroupCommand): Promise<GroupVerdict> {
    const body = encodeGroupCommand(command)
    const verdict = await this.#within((signal) =>
      this.#options.proposing.propose({ version: kindVersion, principal: '', body, blobs: [] }, { signal }),
    )
    if (verdict.kind === 'group') return verdict.group
    throw new EventStoreError('invalid_argument', `nothing was changed: ${verdict.kind === 'malformed' ? verdict.why : verdict.kind}`)
  }

  async #within<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const timeout = new AbortController()
    const cancel = this.#scheduler.at(this.#scheduler.now() + answerMs, () => timeout.abort())
    try {
      return await ask(timeout.signal)
    } finally {
      cancel()
    }
  }
}

function found(group: string, verdict: GroupVerdict): GroupVerdict {
  if (verdict.result === 'notFound') throw notFound(group)
  return verdict
}

function notFound(group: string): EventStoreError {
  return new EventStoreError('group_not_found', `there is no group ${JSON.stringify(group)}: make it first`)
}

function checkRejection(rejection: Rejection): Rejection {
  if (rejection === 'retry' || rejection === 'park' || rejection === 'skip') return rejection
  throw invalid(`rejection must be retry, park or skip, not ${String(rejection)}`)
}
