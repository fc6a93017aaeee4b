/**
 * Since when partitions stand still, as far as this node sees: for those whose consumers are elsewhere, where what stands in
 * front of them is known. Looked at now and then, so it costs nothing between.
 */
import type { GroupView } from './group-state.ts'

interface Seen {
  readonly settled: number
  /** When it was first seen so. */
  readonly since: number
}

export class GroupMotion {
  #groups = new Map<string, readonly Seen[]>()

  look(groups: Iterable<GroupView>, now: number): void {
    const before = this.#groups
    this.#groups = new Map()
    for (const view of groups) {
      const seen = before.get(view.name)
      this.#groups.set(
        view.name,
        view.owners.map((_owner, partition) => {
          const { settled } = view.partition(partition)
          const known = seen?.[partition]
          return known?.settled === settled ? known : { settled, since: now }
        }),
      )
    }
  }

  /** Undefined when it moved since the last look, or was never looked at. */
  since(group: string, partition: number, settled: number): number | undefined {
    const seen = this.#groups.get(group)?.[partition]
    return seen?.settled === settled ? seen.since : undefined
  }
}
