/**
 * A group at one node: its consumers here, the events for their partitions, and what is told to the log about them. Every node
 * that has consumers of the group runs one, and none knows of another: each follows the state that the log gives it.
 *
 * One command of the group is on its way at a time; what is acknowledged meanwhile goes with the next. Its fate may be unknown:
 * then it is proposed again, as a command of groups that is applied twice has one effect.
 */
import type { Scheduler } from '@synod/transport'
import type { EventLimits } from '../event-limits.ts'
import { EventStoreError } from '../event-store-error.ts'
import type { ConsumeOptions, GroupEvent, Rejection } from './consumer-groups.ts'
import { DeliveryDeadlines } from './delivery-deadlines.ts'
import type { GroupCommand } from './group-command.ts'
import { endHere, groupHere, type Here } from './group-here.ts'
import { asStoreError, GroupPump, type Step } from './group-pump.ts'
import { GroupScan, type EventPages } from './group-scan.ts'
import { GroupSettlement } from './group-settlement.ts'
import { memberId, type GroupView } from './group-state.ts'
import type { GroupVerdict } from './group-verdict.ts'
import { LocalConsumer, type EventSource } from './local-consumer.ts'
import type { FeedShare, PartitionFeed } from './partition-feed.ts'

export type GroupDispatchLimits = Pick<EventLimits, 'groupWindowMax' | 'groupHeldEventsMax' | 'groupHeldBytesMax' | 'groupProgressMs'>

export interface GroupDispatcherOptions {
  readonly group: string
  readonly instance: string
  readonly node: string
  readonly limits: GroupDispatchLimits
  readonly scheduler: Scheduler
  readonly pages: EventPages
  /** As it is applied here. */
  readonly view: () => GroupView | undefined
  /** Never the same twice in the life of this store, and not 0. */
  readonly drawNumber: () => number
  /** Rejects when nobody knows what came of it, or nothing did. */
  readonly propose: (command: GroupCommand) => Promise<GroupVerdict>
  /** How many groups have consumers at this node: they share `groupHeldBytesMax`. */
  readonly groupsHere: () => number
  /** The last consumer has gone. */
  readonly onIdle: () => void
}

const joinMs = 5000

export class GroupDispatcher implements EventSource {
  readonly #options: GroupDispatcherOptions
  readonly #consumers = new Set<LocalConsumer>()
  readonly #scan: GroupScan
  readonly #deadlines: DeliveryDeadlines
  /** The group that the first consumer joined: another object is another group of that name. */
  #view: GroupView | undefined
  #here: Here | undefined
  readonly #pumping: GroupPump
  #isLooking = false
  #isProgressDue = false
  #cancelProgress = (): void => {}
  #turn = 0

  constructor(options: GroupDispatcherOptions) {
    this.#options = options
    const { pages, scheduler } = options
    this.#deadlines = new DeliveryDeadlines(
      scheduler,
      () => this.#view?.definition.ackDeadlineMs ?? 0,
      (consumer, position, now) => this.#onLate(consumer, position, now),
    )
    this.#pumping = new GroupPump({ scheduler, propose: options.propose, next: () => this.#next() })
    this.#scan = new GroupScan({
      pages,
      scheduler,
      feeds: () => this.#here,
      onRead: (feeds) => this.#onRead(feeds),
      onFailure: (error) => this.end(asStoreError(error)),
    })
    this.#armProgress()
  }

  add(name: string, options: ConsumeOptions): LocalConsumer {
    const { scheduler, limits } = this.#options
    const consumer = new LocalConsumer(name, options, { joinBy: scheduler.now() + joinMs, windowMax: limits.groupWindowMax })
    this.#consumers.add(consumer)
    this.#pump()
    return consumer
  }

  /** What it has acknowledged is settled still, then it leaves. */
  remove(consumer: LocalConsumer): void {
    if (!this.#consumers.has(consumer)) return
    consumer.end()
    consumer.given.clear()
    if (consumer.number === 0) this.#forget(consumer)
    else consumer.state = 'leaving'
    // How far its partitions are is told before, those with nothing to settle included.
    this.#isProgressDue = true
    this.#pump()
  }

  /** Every consumer is told, and leaves. */
  end(error: EventStoreError): void {
    for (const consumer of this.#consumers) {
      consumer.end(error)
      this.remove(consumer)
    }
  }

  /** Nothing more is proposed: whoever is left is found missing by the other nodes. */
  abandon(): void {
    for (const consumer of this.#consumers) this.#forget(consumer)
  }

  acknowledge(consumer: LocalConsumer, generation: number, positions: readonly number[]): void {
    const stale = [...new Set(positions)].filter((position) => this.#take(consumer, generation, position)?.acknowledge(position) !== true)
    this.#answered(consumer, generation, stale)
  }

  reject(consumer: LocalConsumer, generation: number, position: number, rejection: Rejection, reason: string): void {
    if (rejection === 'skip') return this.acknowledge(consumer, generation, [position])
    const feed = this.#take(consumer, generation, position)
    const isTaken = feed?.reject(position, rejection === 'park', reason) === true
    this.#answered(consumer, generation, isTaken ? [] : [position])
  }

  /** The partition of an event that the consumer has, and has no more. */
  #take(consumer: LocalConsumer, generation: number, position: number): PartitionFeed | undefined {
    if (generation !== this.#here?.generation) return undefined
    const given = consumer.given.get(position)
    if (given === undefined) return undefined
    consumer.given.delete(position)
    consumer.onAnswered()
    return given.feed
  }

  #answered(consumer: LocalConsumer, generation: number, stale: readonly number[]): void {
    if (stale.length > 0) consumer.tell({ kind: 'stale', generation, positions: stale })
    // Its window has room, and the next of its keys may go.
    consumer.wake()
    this.#scan.wake()
    this.#pump()
  }

  #onLate(consumer: LocalConsumer, position: number, now: number): void {
    const given = consumer.given.get(position)
    consumer.given.delete(position)
    consumer.onLate(now)
    given?.feed.reject(position, false, `not answered within ${this.#view?.definition.ackDeadlineMs} ms`)
    consumer.wake()
    this.#pump()
  }

  hasEvents(consumer: LocalConsumer): boolean {
    return consumer.hasWindow && this.#feedsOf(consumer).some((feed) => feed.hasReady)
  }

  takeEvents(consumer: LocalConsumer, bytesMax: number): readonly GroupEvent[] {
    const { scheduler } = this.#options
    const feeds = this.#feedsOf(consumer).filter((feed) => feed.hasReady)
    const events: GroupEvent[] = []
    const at = scheduler.now()
    // Another one is first each time.
    const first = this.#turn++
    let bytes = 0
    for (let place = 0; place < feeds.length; place++) {
      const feed = feeds[(first + place) % feeds.length]!
      for (let next = feed.peek(); next !== undefined; next = feed.peek()) {
        const { event, attempts } = next
        bytes += event.record.length
        if (!consumer.hasWindow || (events.length > 0 && bytes > bytesMax)) return events
        feed.deliver()
        consumer.given.set(event.position, { feed, at })
        this.#deadlines.add(consumer, event.position, at)
        events.push({ ...event, partition: feed.partition, attempt: attempts + 1 })
      }
    }
    return events
  }

  /** Something of the group was applied: it is looked at in a later turn, once for many. */
  onApplied(): void {
    if (this.#isLooking) return
    this.#isLooking = true
    this.#options.scheduler.defer(() => {
      this.#isLooking = false
      this.#look()
    })
  }

  /** What this node knows of a partition that is delivered here. `oldestSince`: when its oldest event was given to the consumer that has it. */
  here(partition: number): { readonly feed: PartitionFeed; readonly given: number; readonly oldestSince: number | undefined } | undefined {
    const feed = this.#here?.feeds.get(partition)
    const consumer = feed === undefined ? undefined : this.#consumerOf(feed)
    if (feed === undefined || consumer === undefined) return undefined
    const given = [...consumer.given].filter(([, { feed: of }]) => of === feed)
    const oldest = feed.oldest?.event.position
    return { feed, given: given.length, oldestSince: given.find(([position]) => position === oldest)?.[1].at }
  }

  #look(): void {
    if (this.#consumers.size === 0) return
    const view = this.#options.view()
    if (this.#view !== undefined && view !== this.#view) return this.#onDeleted()
    if (view === undefined) return
    for (const consumer of this.#consumers) this.#lookAt(consumer, view)
    if (this.#view === undefined) return
    if (view.generation !== this.#here?.generation) this.#begin(view)
    this.#tellAssigned(view)
    for (const feed of this.#here?.feeds.values() ?? []) if (feed.isStopped && view.setAside < view.definition.parkedMax) feed.resume()
    this.#deadlines.changed()
    this.#pump()
  }

  #lookAt(consumer: LocalConsumer, view: GroupView): void {
    if (consumer.state === 'leaving' || !consumer.hasJoined) return
    if (view.members.has(this.#idOf(consumer))) {
      consumer.state = 'member'
      this.#view = view
      return
    }
    // This node was thought to be dead. It joins as somebody else.
    consumer.state = 'joining'
    consumer.number = 0
    consumer.hasJoined = false
    consumer.told = undefined
  }

  #onDeleted(): void {
    this.#here = undefined
    for (const consumer of this.#consumers) consumer.number = 0
    this.end(new EventStoreError('group_not_found', `group ${JSON.stringify(this.#options.group)} was deleted`))
  }

  #begin(view: GroupView): void {
    if (this.#here !== undefined) endHere(this.#here)
    this.#deadlines.clear()
    for (const consumer of this.#consumers) consumer.given.clear()
    this.#here = groupHere(view, this.#consumers, this.#options.instance, (partitions) => this.#share(partitions))
    this.#scan.wake()
  }

  #tellAssigned(view: GroupView): void {
    const { generation } = view
    for (const consumer of this.#consumers) {
      if (consumer.state !== 'member' || consumer.told === generation) continue
      consumer.tell({ kind: 'assigned', generation, partitions: this.#feedsOf(consumer).map(({ partition }) => partition) })
    }
  }

  #share(partitions: number): FeedShare {
    const { groupHeldEventsMax, groupHeldBytesMax } = this.#options.limits
    const bytes = groupHeldBytesMax / Math.max(1, this.#options.groupsHere())
    return { events: Math.max(1, Math.floor(groupHeldEventsMax / partitions)), bytes: Math.max(1, bytes / partitions) }
  }

  #onRead(feeds: Iterable<PartitionFeed>): void {
    for (const feed of feeds) if (feed.hasReady) this.#consumerOf(feed)?.wake()
    this.#pump()
  }

  #armProgress(): void {
    const { scheduler, limits } = this.#options
    this.#cancelProgress = scheduler.at(scheduler.now() + limits.groupProgressMs, () => {
      this.#isProgressDue = true
      // Where nothing passes the filter it was not woken.
      this.#scan.wake()
      this.#pump()
      this.#armProgress()
    })
  }

  #pump(): void {
    this.#pumping.start()
  }

  /** The next command, if there is anything to say. */
  #next(): Step | undefined {
    return this.#settling() ?? this.#leaving() ?? this.#joining()
  }

  #settling(): Step | undefined {
    const here = this.#here
    const { group, instance } = this.#options
    const settlement = here && GroupSettlement.begin(here, group, instance, this.#isProgressDue)
    if (settlement === undefined) return undefined
    // Not before it was told: the scan may not have come to it yet.
    this.#isProgressDue = false
    return {
      command: settlement.command,
      onVerdict: (verdict) => this.#onSettled(verdict, settlement),
      onUnknown: () => settlement.onUnknown(this.#here),
    }
  }

  #onSettled(verdict: GroupVerdict, settlement: GroupSettlement): void {
    if (verdict.result === 'settled' && verdict.refused.length > 0) {
      const { group } = this.#options
      const what = `partitions ${verdict.refused.join(', ')} of group ${group} took no settlement of generation ${verdict.generation}`
      this.end(new EventStoreError('unavailable', `${what}: consume again`))
      return
    }
    if (verdict.result === 'settled') settlement.onSettled()
    else settlement.onStale()
    this.#scan.wake()
    // What made it stale is applied here.
    this.#look()
  }

  #leaving(): Step | undefined {
    const leaving = [...this.#consumers].filter(({ state }) => state === 'leaving')
    if (leaving.length === 0) return undefined
    const { group, instance } = this.#options
    return {
      command: { form: 'leave', group, instance, numbers: leaving.map(({ number }) => number) },
      onVerdict: () => {
        for (const consumer of leaving) this.#forget(consumer)
      },
      onUnknown: () => {},
    }
  }

  #joining(): Step | undefined {
    const consumer = [...this.#consumers].find(({ state, hasJoined }) => state === 'joining' && !hasJoined)
    if (consumer === undefined) return undefined
    const { group, instance, node, scheduler, drawNumber } = this.#options
    if (consumer.number === 0) consumer.number = drawNumber()
    const { number, name } = consumer
    return {
      command: { form: 'join', group, instance, node, number, consumer: name },
      onVerdict: (verdict) => {
        if (verdict.result !== 'done') return this.#onRefused(consumer, verdict)
        consumer.hasJoined = true
        this.#look()
      },
      onUnknown: (error) => {
        // One that was a member before stays: others may have taken over meanwhile, or not.
        if (this.#view !== undefined || scheduler.now() < consumer.joinBy) return
        consumer.end(error)
        this.remove(consumer)
      },
    }
  }

  #onRefused(consumer: LocalConsumer, verdict: GroupVerdict): void {
    const group = JSON.stringify(this.#options.group)
    consumer.end(
      verdict.result === 'full'
        ? new EventStoreError('busy', `group ${group} has as many consumers as it may have: end some`)
        : new EventStoreError('group_not_found', `there is no group ${group}: make it first`),
    )
    consumer.number = 0
    this.remove(consumer)
  }

  #forget(consumer: LocalConsumer): void {
    this.#consumers.delete(consumer)
    if (this.#consumers.size > 0) return
    this.#here = undefined
    this.#scan.stop()
    this.#cancelProgress()
    this.#deadlines.clear()
    this.#options.onIdle()
  }

  #feedsOf({ number }: LocalConsumer): readonly PartitionFeed[] {
    return this.#here?.places.get(number)?.feeds ?? []
  }

  #consumerOf(feed: PartitionFeed): LocalConsumer | undefined {
    return this.#here?.places.get(feed.number)?.consumer
  }

  #idOf({ number }: LocalConsumer): string {
    return memberId(this.#options.instance, number)
  }
}
