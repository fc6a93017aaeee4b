/** What the partitions of a generation have to tell the log, in one command, and what their consumers are told of its fate. */
import type { GroupCommand, SettledPart } from './group-command.ts'
import type { Here } from './group-here.ts'
import type { PartitionFeed } from './partition-feed.ts'

/** Positions in one settlement; the next takes the rest. */
const positionsMax = 4096

export class GroupSettlement {
  readonly command: Extract<GroupCommand, { form: 'settle' }>
  readonly #here: Here
  readonly #feeds: readonly PartitionFeed[]

  private constructor(here: Here, feeds: readonly PartitionFeed[], command: Extract<GroupCommand, { form: 'settle' }>) {
    this.#here = here
    this.#feeds = feeds
    this.command = command
  }

  /** `isAll`: partitions with nothing to settle say how far they are, too. Undefined when there is nothing to tell. */
  static begin(here: Here, group: string, instance: string, isAll: boolean): GroupSettlement | undefined {
    const feeds: PartitionFeed[] = []
    const parts: SettledPart[] = []
    let positions = 0
    for (const feed of here.feeds.values()) {
      if (!feed.hasPending && !(isAll && feed.canAdvance)) continue
      const part = feed.begin()
      feeds.push(feed)
      parts.push(part)
      positions += part.settled.length + part.failures.length
      if (positions >= positionsMax) break
    }
    if (parts.length === 0) return undefined
    return new GroupSettlement(here, feeds, { form: 'settle', group, instance, generation: here.generation, parts })
  }

  onSettled(): void {
    for (const feed of this.#feeds) {
      this.#tell('settled', feed, feed.applied())
      if (feed.hasReady) this.#here.places.get(feed.number)?.consumer.wake()
    }
  }

  onStale(): void {
    for (const feed of this.#feeds) this.#tell('stale', feed, feed.onItsWay())
  }

  /** Told again in this generation; in a later one it cannot come to be any more, and the state says whether it had. */
  onUnknown(present: Here | undefined): void {
    for (const feed of this.#feeds) {
      if (present === this.#here) {
        feed.returned()
        continue
      }
      const { view } = feed
      const positions = feed.onItsWay()
      this.#tell(
        'settled',
        feed,
        positions.filter((position) => !view.isOpen(position)),
      )
      this.#tell(
        'stale',
        feed,
        positions.filter((position) => view.isOpen(position)),
      )
    }
  }

  #tell(kind: 'settled' | 'stale', feed: PartitionFeed, positions: readonly number[]): void {
    const { places, generation } = this.#here
    if (positions.length > 0) places.get(feed.number)?.consumer.tell({ kind, generation, positions })
  }
}
