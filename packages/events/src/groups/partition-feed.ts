/**
 * One partition in one generation, at the node whose consumer has it: what was read for it and is not settled, in order.
 *
 * Order: of the events with one key at most one is at the consumer, and the next one is not before that is acknowledged, skipped
 * or parked; one to be retried comes again before any later one of its key. Events with other keys go on meanwhile, as far as
 * the bounds allow. An acknowledgement counts here at once and in the log with the next settlement; what the log refuses is
 * delivered again in the next generation.
 *
 *   read → waiting → at the consumer → acknowledged ──────────────→ settled
 *                        ↑    └─ rejected, or late → failing ─┬─→ parked
 *                        └────────────────────────────────────┘
 */
import type { RecordedEvent } from '../event-store.ts'
import type { Failure, SettledPart } from './group-command.ts'
import { groupFormat } from './group-limits.ts'
import type { GroupView } from './group-state.ts'
import type { PartitionView } from './partition-state.ts'

export interface HeldEvent {
  readonly event: RecordedEvent
  /** The name of its key. */
  readonly key: string
  /** The generation that began when it was replayed; undefined when it was not. */
  readonly reopened: number | undefined
  stage: 'waiting' | 'atConsumer' | 'failing'
  /** Failed deliveries. */
  attempts: number
}

/** What a partition may hold here. */
export interface FeedShare {
  readonly events: number
  readonly bytes: number
}

interface Pending {
  readonly acknowledged: Set<number>
  readonly failures: Map<number, Failure>
}

const empty = (): Pending => ({ acknowledged: new Set(), failures: new Map() })

export interface PartitionFeedOptions {
  readonly partition: number
  /** The number of the member that has it. */
  readonly number: number
  readonly group: Pick<GroupView, 'partition' | 'definition'>
}

export class PartitionFeed {
  readonly partition: number
  readonly number: number
  /** The first position that was not read for it. */
  next: number
  /** It had no room at `next`, and is read for again when half of what it held has gone. */
  isFrozen = false
  readonly #group: PartitionFeedOptions['group']
  readonly #held = new Map<number, HeldEvent>()
  #bytes = 0
  /** By key, in order; of the first it is said whether it may go. */
  readonly #keys = new Map<string, HeldEvent[]>()
  /** May be delivered, ascending. */
  readonly #ready: HeldEvent[] = []
  /** Replayed, when the generation began, and those of them that were not read yet. */
  readonly #replayed: ReadonlySet<number>
  readonly #reopened: number[]
  #pending = empty()
  #inFlight: Pending | undefined
  /** What could not be parked. */
  #stopped = new Map<number, Failure>()
  #parkedKeys = new Map<string, { readonly position: number; readonly generation: number }[]>()

  constructor({ partition, number, group }: PartitionFeedOptions) {
    this.partition = partition
    this.number = number
    this.#group = group
    this.next = this.view.settled + 1
    this.#reopened = [...this.view.reopened.keys()]
    this.#replayed = new Set(this.#reopened)
    this.#readParkedKeys()
  }

  /** As it is now: the group has another object of a partition from its first settlement on. */
  get view(): PartitionView {
    return this.#group.partition(this.partition)
  }

  get heldCount(): number {
    return this.#held.size
  }

  get heldBytes(): number {
    return this.#bytes
  }

  get isStopped(): boolean {
    return this.#stopped.size > 0
  }

  get hasReady(): boolean {
    return this.#ready.length > 0 && !this.isStopped
  }

  /** The oldest event that is not settled. */
  get oldest(): HeldEvent | undefined {
    const [first] = this.#held.values()
    return first
  }

  /** A replayed event that was not read yet: these come first. */
  get nextReopened(): number | undefined {
    return this.#reopened[0]
  }

  /** Every event of the partition at or below is settled, or acknowledged, or replayed. */
  get through(): number {
    for (const [position, { reopened }] of this.#held) if (reopened === undefined) return position - 1
    return this.next - 1
  }

  get canAdvance(): boolean {
    return this.through > this.view.settled
  }

  /** Something to tell the log; also when so much stands above `settled` that it has to move. */
  get hasPending(): boolean {
    const { acknowledged, failures } = this.#pending
    return acknowledged.size > 0 || failures.size > 0 || (this.view.above.size * 2 >= groupFormat.settledAboveMax && this.canAdvance)
  }

  hasRoom({ events, bytes }: FeedShare): boolean {
    if (this.isStopped || this.#held.size >= events || this.#bytes >= bytes) return false
    const acknowledged = this.#pending.acknowledged.size + (this.#inFlight?.acknowledged.size ?? 0)
    return this.view.above.size + acknowledged + this.#held.size < groupFormat.settledAboveMax
  }

  /**
   * Every event up to there was looked at, and taken where it is the partition's. What the log knows as failed and was not taken is
   * hidden by now: it is done with, else the partition would stand at it for ever.
   */
  passed(through: number): void {
    const { attempts, stoppedAt } = this.view
    for (const position of [...attempts.keys(), stoppedAt]) {
      const isPassed = position >= this.next && position <= through
      if (isPassed && !this.#held.has(position) && !this.#replayed.has(position)) this.#pending.acknowledged.add(position)
    }
    this.next = through + 1
  }

  /** In the order of their positions. */
  take(event: RecordedEvent, key: string): void {
    if (!this.#replayed.has(event.position) && this.view.isOpen(event.position)) this.#take(event, key)
  }

  /** A replayed event was looked for: absent when it is not there any more, and then it is done with. */
  takeReopened(event: RecordedEvent | undefined, key: string): void {
    const position = this.#reopened.shift()
    if (event !== undefined) this.#take(event, key)
    else if (position !== undefined) this.#pending.acknowledged.add(position)
  }

  /** The next to deliver. */
  deliver(): HeldEvent | undefined {
    const held = this.isStopped ? undefined : this.#ready.shift()
    if (held !== undefined) held.stage = 'atConsumer'
    return held
  }

  peek(): HeldEvent | undefined {
    return this.isStopped ? undefined : this.#ready[0]
  }

  /** Acknowledged or skipped. False when it is not at the consumer. */
  acknowledge(position: number): boolean {
    const held = this.#held.get(position)
    if (held?.stage !== 'atConsumer') return false
    this.#pending.acknowledged.add(position)
    this.#drop(held)
    return true
  }

  /** Rejected, or not answered in time. False when it is not at the consumer. */
  reject(position: number, parks: boolean, reason: string): boolean {
    const held = this.#held.get(position)
    if (held?.stage !== 'atConsumer') return false
    held.stage = 'failing'
    this.#pending.failures.set(position, { position, attempt: held.attempts + 1, key: held.key, parks, reason })
    return true
  }

  /** What to tell the log; until `applied` or `returned` nothing more is asked for. */
  begin(): SettledPart {
    const { acknowledged, failures } = (this.#inFlight = this.#pending)
    this.#pending = empty()
    const { through, partition, number } = this
    // Those that the log knows by name are named.
    const { reopened, attempts } = this.view
    const settled = [...acknowledged].filter((position) => position > through || reopened.has(position) || attempts.has(position))
    return { number, partition, through, settled, failures: [...failures.values()] }
  }

  /** The view has what was told last. Returns what is settled now. */
  applied(): readonly number[] {
    const { acknowledged, failures } = this.#inFlight ?? empty()
    this.#inFlight = undefined
    const settled = [...acknowledged]
    if (failures.size > 0) this.#readParkedKeys()
    for (const failure of failures.values()) {
      const held = this.#held.get(failure.position)
      if (held === undefined) continue
      if (!this.view.isOpen(failure.position)) {
        if (failure.attempt > held.attempts) settled.push(failure.position)
        this.#drop(held)
        this.#parkFollowers(held.key)
      } else if (failure.parks || failure.attempt >= this.#group.definition.attemptsMax) this.#stopped.set(failure.position, failure)
      else this.#offer(held)
    }
    return settled
  }

  /** Nobody knows whether it was applied, or it was not: it is told again, which changes nothing if it was. */
  returned(): void {
    const { acknowledged, failures } = this.#inFlight ?? empty()
    this.#inFlight = undefined
    for (const position of acknowledged) this.#pending.acknowledged.add(position)
    for (const [position, failure] of failures) this.#pending.failures.set(position, failure)
  }

  /** There is room to park again. */
  resume(): void {
    for (const [position, failure] of this.#stopped) this.#pending.failures.set(position, failure)
    this.#stopped = new Map()
  }

  /** What a consumer said that the log does not have: not what is on its way. */
  unsettled(): readonly number[] {
    const said = [...this.#pending.failures.values()].filter(({ attempt, position }) => attempt > (this.#held.get(position)?.attempts ?? 0))
    return [...this.#pending.acknowledged, ...said.map(({ position }) => position)]
  }

  /** As `unsettled`, of what is on its way. */
  onItsWay(): readonly number[] {
    const { acknowledged, failures } = this.#inFlight ?? empty()
    return [...acknowledged, ...failures.keys()]
  }

  #take(event: RecordedEvent, key: string): void {
    const { position } = event
    const attempts = this.view.attempts.get(position) ?? 0
    const held: HeldEvent = { event, key, reopened: this.view.reopened.get(position), stage: 'waiting', attempts }
    this.#held.set(position, held)
    this.#bytes += event.record.length
    const queue = this.#keys.get(key)
    if (queue === undefined) this.#keys.set(key, [held])
    else queue.push(held)
    if (this.#follows(held)) this.#park(held, 'follows')
    else if (queue === undefined) this.#offer(held)
  }

  /** The first of its key. */
  #offer(held: HeldEvent): void {
    const { position } = held.event
    held.attempts = this.view.attempts.get(position) ?? 0
    if (held.attempts >= this.#group.definition.attemptsMax) return this.#park(held, `delivered ${held.attempts} times`)
    held.stage = 'waiting'
    let at = this.#ready.length
    while (at > 0 && this.#ready[at - 1]!.event.position > position) at--
    this.#ready.splice(at, 0, held)
  }

  #park(held: HeldEvent, reason: string): void {
    const { position } = held.event
    held.stage = 'failing'
    this.#pending.failures.set(position, { position, attempt: held.attempts, key: held.key, parks: true, reason })
  }

  #parkFollowers(key: string): void {
    for (const held of this.#keys.get(key) ?? []) {
      if (held.stage === 'atConsumer' || held.stage === 'failing' || !this.#follows(held)) continue
      const at = this.#ready.indexOf(held)
      if (at >= 0) this.#ready.splice(at, 1)
      this.#park(held, 'follows')
    }
  }

  /** A replayed event follows those alone that were parked since: which to replay was somebody's decision. */
  #follows({ event, key, reopened }: HeldEvent): boolean {
    const parked = this.#parkedKeys.get(key)
    if (parked === undefined || reopened === undefined) return parked !== undefined
    return parked.some(({ position, generation }) => position < event.position && generation >= reopened)
  }

  #drop(held: HeldEvent): void {
    this.#held.delete(held.event.position)
    this.#bytes -= held.event.record.length
    const queue = this.#keys.get(held.key) ?? []
    const at = queue.indexOf(held)
    queue.splice(at, 1)
    const [head] = queue
    if (head === undefined) this.#keys.delete(held.key)
    else if (at === 0 && head.stage === 'waiting') this.#offer(head)
  }

  #readParkedKeys(): void {
    this.#parkedKeys = new Map()
    for (const [position, { key, generation }] of this.view.parked) {
      const known = this.#parkedKeys.get(key)
      if (known === undefined) this.#parkedKeys.set(key, [{ position, generation }])
      else known.push({ position, generation })
    }
  }
}
