/** Consumer groups: what is asked of them rarely, each as one call, and memberships. Answers are JSON with numbers; positions are bigints here. */
import type { AskCall } from './call-request.ts'
import { InvalidArgumentError, ProtocolViolationError } from './client-error.ts'
import type {
  ConsumeOptions,
  ConsumerGroups,
  GroupConsumption,
  GroupDefinition,
  GroupDelivery,
  GroupStatus,
  GroupSummary,
  HandleOptions,
  ParkedEvent,
  ParkedOptions,
  PartitionStatus,
  Rejection,
} from './consumer-groups.ts'
import type { EventCodec, ToldEvent } from './event-codec.ts'
import type { RecordedEvent } from './event-types.ts'
import { GroupHandling } from './group-handling.ts'
import { parseExactly } from './json.ts'
import { toArray, toFilter, toFrom, toLimit, toName, toObject } from './arguments.ts'

type ToldDefinition = Omit<GroupStatus['definition'], 'from'> & { readonly from: number | 'end' }

interface ToldPartition extends Omit<PartitionStatus, 'settled' | 'oldest'> {
  readonly settled: number
  readonly oldest?: { readonly position: number; readonly attempts: number }
}

interface ToldSummary extends Omit<GroupSummary, 'definition' | 'settled' | 'lag'> {
  readonly definition: ToldDefinition
  readonly settled: number
  readonly lag: number
}

interface ToldGroup extends ToldSummary {
  readonly partitions: readonly ToldPartition[]
}

interface ToldParked extends Omit<ParkedEvent, 'event'> {
  readonly event: ToldEvent
}

interface SignalOption {
  readonly signal?: AbortSignal
}

type Join = (group: string, options: ConsumeOptions) => AsyncIterator<GroupDelivery, undefined, undefined>

/** Asked for at a time. */
const parkedPageEvents = 256
const concurrencyLimit = 1024

export class GroupClient implements ConsumerGroups {
  readonly #codec: EventCodec
  readonly #ask: AskCall
  readonly #join: Join

  constructor(codec: EventCodec, ask: AskCall, join: Join) {
    this.#codec = codec
    this.#ask = ask
    this.#join = join
  }

  async put(group: string, definition: GroupDefinition = {}, { signal }: SignalOption = {}): Promise<GroupStatus> {
    const { filter, from, ...rest } = toObject(definition, 'definition', '{ filter, partitionBy }')
    const start = from === 'end' ? from : toFrom(from, 'from')
    const given = { ...rest, ...(filter !== undefined && { filter: toFilter(filter) }), ...(start !== undefined && { from: start }) }
    return toStatus(JSON.parse(await this.#askGroup('putGroup', group, { definition: given }, true, signal)))
  }

  async get(group: string, { signal }: SignalOption = {}): Promise<GroupStatus> {
    return toStatus(JSON.parse(await this.#askGroup('getGroup', group, {}, true, signal)))
  }

  async list({ signal }: SignalOption = {}): Promise<readonly GroupSummary[]> {
    const told = await this.#ask({ method: 'listGroups', argument: {}, asked: {}, isRepeatable: true }, signal)
    return (JSON.parse(told) as readonly ToldSummary[]).map(toSummary)
  }

  async delete(group: string, { signal }: SignalOption = {}): Promise<void> {
    await this.#askGroup('deleteGroup', group, {}, false, signal)
  }

  parked(group: string, options: ParkedOptions = {}): AsyncIterable<ParkedEvent> {
    toName(group, 'a group')
    const after = toFrom(options.after, 'after')
    const limit = toLimit(options.limit)
    return { [Symbol.asyncIterator]: () => this.#parked(group, after, limit, options.signal) }
  }

  async replay(
    group: string,
    options: { readonly positions?: readonly bigint[]; readonly signal?: AbortSignal } = {},
  ): Promise<{ readonly replayed: number }> {
    const positions = options.positions && toArray(options.positions, 'positions').map((position) => toFrom(position, 'a position'))
    const told = await this.#askGroup('replayParked', group, positions === undefined ? {} : { positions }, false, options.signal)
    return { replayed: (JSON.parse(told) as { readonly replayed: number }).replayed }
  }

  consume(group: string, options: ConsumeOptions = {}): GroupConsumption {
    toName(group, 'a group')
    const { consumer } = options
    if (consumer !== undefined) toName(consumer, 'a consumer')
    return { [Symbol.asyncIterator]: () => this.#join(group, options) }
  }

  async handle(
    group: string,
    handler: (event: RecordedEvent, delivery: GroupDelivery) => Promise<Rejection | void> | Rejection | void,
    options: HandleOptions = {},
  ): Promise<void> {
    const { concurrencyMax = 1, onFailure, signal, ...rest } = options
    if (!Number.isInteger(concurrencyMax) || concurrencyMax < 1 || concurrencyMax > concurrencyLimit) {
      throw new InvalidArgumentError(`concurrencyMax must be an integer from 1 to ${concurrencyLimit}`)
    }
    // The signal is the handling's: the membership ends after the handlers that run.
    await new GroupHandling(handler, concurrencyMax, onFailure).run(this.consume(group, rest), signal)
  }

  async *#parked(
    group: string,
    after: number | undefined,
    limit: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ParkedEvent, undefined, undefined> {
    let behind = after
    for (let left = limit; left > 0;) {
      const argument = { ...(behind !== undefined && { after: behind }), limit: Math.min(left, parkedPageEvents) }
      const page = parseExactly(await this.#askGroup('parkedEvents', group, argument, true, signal)) as readonly ToldParked[]
      if (page.length === 0) return undefined
      for (const { event: told, ...rest } of page) {
        if (told.position <= (behind ?? 0)) {
          throw new ProtocolViolationError(`a node told a parked event at position ${told.position} behind ${behind}`)
        }
        behind = told.position
        const event = await this.#codec.decodeJson(told)
        if (event !== undefined) yield { ...rest, event }
      }
      left -= page.length
    }
    return undefined
  }

  #askGroup(
    method: string,
    group: string,
    argument: Readonly<Record<string, unknown>>,
    isRepeatable: boolean,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    return this.#ask({ method, argument: { group: toName(group, 'a group'), ...argument }, asked: { group }, isRepeatable }, signal)
  }
}

function toStatus(given: unknown): GroupStatus {
  const { partitions, ...summary } = given as ToldGroup
  return { ...toSummary(summary), partitions: partitions.map(toPartition) }
}

function toSummary({ definition, settled, lag, ...rest }: ToldSummary): GroupSummary {
  const { from } = definition
  return { ...rest, definition: { ...definition, from: from === 'end' ? from : BigInt(from) }, settled: BigInt(settled), lag: BigInt(lag) }
}

function toPartition({ settled, oldest, ...rest }: ToldPartition): PartitionStatus {
  return {
    ...rest,
    settled: BigInt(settled),
    ...(oldest !== undefined && { oldest: { position: BigInt(oldest.position), attempts: oldest.attempts } }),
  }
}
