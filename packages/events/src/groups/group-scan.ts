/**
 * One scan of the events for all consumers that a group has at this node. Each partition has a place up to which it was read for;
 * those without room are left behind, and read for again when half of what they held has gone. So a page is read from the
 * place of the one that is farthest behind and, in turn, from that of the one in front: neither waits for the other for long.
 */
import type { Scheduler } from '@synod/transport'
import type { Ticket } from '../advance.ts'
import type { EventFilter, RecordedEvent } from '../event-store.ts'
import type { GroupDefinition } from './consumer-groups.ts'
import { keyOf } from './partition-key.ts'
import type { FeedShare, PartitionFeed } from './partition-feed.ts'

export interface EventPages {
  /** The next events from `from` on that pass; every one at or below `considered`, which is not below `from`, was looked at. */
  page(filter: EventFilter, from: number): Promise<{ readonly events: readonly RecordedEvent[]; readonly considered: number }>
  /** Undefined when it is not there any more. */
  at(position: number): Promise<RecordedEvent | undefined>
  head(): number
  /** Fires when something passes; without a filter when the head moves. */
  ticket(filter: EventFilter | undefined): Ticket
}

/** Of one generation. */
export interface FeedSet {
  readonly definition: Required<GroupDefinition>
  readonly feeds: ReadonlyMap<number, PartitionFeed>
  readonly share: () => FeedShare
}

export interface GroupScanOptions {
  readonly pages: EventPages
  readonly scheduler: Scheduler
  /** The present ones; another object as soon as there is another generation. */
  readonly feeds: () => FeedSet | undefined
  /** Something was read for these. */
  readonly onRead: (feeds: Iterable<PartitionFeed>) => void
  readonly onFailure: (error: unknown) => void
}

const failureMs = 1000

export class GroupScan {
  readonly #options: GroupScanOptions
  #ticket: Ticket | undefined
  #isStopped = false
  #turn = 0

  constructor(options: GroupScanOptions) {
    this.#options = options
    void this.#run()
  }

  /** Another generation, or room. */
  wake(): void {
    this.#ticket?.wake()
  }

  stop(): void {
    this.#isStopped = true
    this.wake()
  }

  async #run(): Promise<void> {
    const { pages, scheduler, onFailure } = this.#options
    while (!this.#isStopped) {
      // Before the look: what comes between the look and the wait fires it.
      const ticket = pages.ticket(this.#options.feeds()?.definition.filter)
      this.#ticket = ticket
      try {
        const hasRead = await this.#read()
        if (!hasRead && !this.#isStopped) await ticket.fired
        // What is in memory is read without a turn of the event loop, which others need.
        else await new Promise<void>((resolve) => scheduler.defer(resolve))
      } catch (error) {
        onFailure(error)
        // Whoever comes next may have more luck.
        await new Promise<void>((resolve) => scheduler.at(scheduler.now() + failureMs, resolve))
      } finally {
        ticket.cancel()
      }
    }
  }

  /** False when there is nothing to read for anybody. */
  async #read(): Promise<boolean> {
    const set = this.#options.feeds()
    if (set === undefined) return false
    const share = set.share()
    const open = [...set.feeds.values()].filter((feed) => hasRoom(feed, share))
    const replayed = open.filter(({ nextReopened }) => nextReopened !== undefined)
    if (replayed.length > 0) await this.#readReopened(set, replayed, share)
    const behind = open.filter((feed) => feed.nextReopened === undefined && feed.next <= this.#options.pages.head())
    if (behind.length > 0 && this.#options.feeds() === set) await this.#readPage(set, behind, share)
    return replayed.length + behind.length > 0
  }

  async #readReopened(set: FeedSet, feeds: readonly PartitionFeed[], share: FeedShare): Promise<void> {
    for (const feed of feeds) {
      for (let position = feed.nextReopened; position !== undefined && feed.hasRoom(share); position = feed.nextReopened) {
        const event = await this.#options.pages.at(position)
        if (this.#options.feeds() !== set) return
        feed.takeReopened(event, event === undefined ? '' : keyOf(event, set.definition.partitionBy).name)
      }
    }
    this.#options.onRead(feeds)
  }

  async #readPage(set: FeedSet, feeds: readonly PartitionFeed[], share: FeedShare): Promise<void> {
    const places = feeds.map(({ next }) => next)
    const from = this.#turn++ % 2 === 0 ? Math.min(...places) : Math.max(...places)
    const { filter, partitionBy, partitions } = set.definition
    const { events, considered } = await this.#options.pages.page(filter, from)
    if (this.#options.feeds() !== set) return
    // One that lies before the page has a gap to it.
    const reading = new Map(feeds.filter(({ next }) => next >= from && next <= considered).map((feed) => [feed.partition, feed]))
    const read = [...reading.values()]
    for (const event of events) {
      const key = keyOf(event, partitionBy)
      const feed = reading.get(key.spread % partitions)
      if (feed === undefined || event.position < feed.next) continue
      if (feed.hasRoom(share)) {
        feed.take(event, key.name)
        continue
      }
      feed.passed(event.position - 1)
      feed.isFrozen = true
      reading.delete(feed.partition)
    }
    for (const feed of reading.values()) feed.passed(considered)
    this.#options.onRead(read)
  }
}

/** After it had none: as soon as half of it is free, so that a page is not read again for each event. */
function hasRoom(feed: PartitionFeed, share: FeedShare): boolean {
  if (!feed.hasRoom(share)) return false
  if (feed.isFrozen && (feed.heldCount * 2 > share.events || feed.heldBytes * 2 > share.bytes)) return false
  feed.isFrozen = false
  return true
}
