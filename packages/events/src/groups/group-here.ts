/** A generation of a group, as far as it concerns this node: the partitions of its consumers here. */
import type { FeedSet } from './group-scan.ts'
import { memberId, type GroupView } from './group-state.ts'
import type { LocalConsumer } from './local-consumer.ts'
import { PartitionFeed, type FeedShare } from './partition-feed.ts'

export interface Place {
  readonly consumer: LocalConsumer
  readonly feeds: readonly PartitionFeed[]
}

export interface Here extends FeedSet {
  readonly generation: number
  /** By the numbers of the members. */
  readonly places: ReadonlyMap<number, Place>
}

/** Of the consumers that are members. `share`: what one of so many partitions may hold. */
export function groupHere(
  view: GroupView,
  consumers: Iterable<LocalConsumer>,
  instance: string,
  share: (partitions: number) => FeedShare,
): Here {
  const places = new Map<number, { readonly consumer: LocalConsumer; readonly feeds: PartitionFeed[] }>()
  const byId = new Map<string, { readonly consumer: LocalConsumer; readonly feeds: PartitionFeed[] }>()
  for (const consumer of consumers) {
    if (consumer.state !== 'member') continue
    const place = { consumer, feeds: [] }
    places.set(consumer.number, place)
    byId.set(memberId(instance, consumer.number), place)
  }
  const feeds = new Map<number, PartitionFeed>()
  for (const [partition, owner] of view.owners.entries()) {
    const place = owner === undefined ? undefined : byId.get(owner)
    if (place === undefined) continue
    const feed = new PartitionFeed({ partition, number: place.consumer.number, group: view })
    place.feeds.push(feed)
    feeds.set(partition, feed)
  }
  const { definition, generation } = view
  return { definition, generation, feeds, places, share: () => share(feeds.size) }
}

/** What was said in it and is not on its way to the log, has no effect any more. */
export function endHere({ feeds, places, generation }: Here): void {
  for (const feed of feeds.values()) {
    const positions = feed.unsettled()
    if (positions.length > 0) places.get(feed.number)?.consumer.tell({ kind: 'stale', generation, positions })
  }
}
