import type { ParkedEvent } from './consumer-groups.ts'
import type { EventPages } from './group-scan.ts'
import type { GroupView } from './group-state.ts'

export interface ParkedPage {
  /** A position: those above it. */
  readonly after: number
  readonly limit: number
  /** The page ends before it has more, but holds one event at least. */
  readonly bytesMax: number
}

/** By position. Those that are hidden by now are left out: nobody will see them any more. */
export async function parkedEvents(view: GroupView, pages: Pick<EventPages, 'at'>, page: ParkedPage): Promise<readonly ParkedEvent[]> {
  const found: ParkedEvent[] = []
  let bytes = 0
  for (const { position, ...parked } of parkedAfter(view, page.after)) {
    const event = await pages.at(position)
    if (event === undefined) continue
    bytes += event.record.length
    if (found.length > 0 && bytes > page.bytesMax) break
    found.push({ event, ...parked })
    if (found.length >= page.limit) break
  }
  return found
}

interface Place {
  readonly position: number
  readonly partition: number
  readonly attempts: number
  readonly reason: string
}

function parkedAfter(view: GroupView, after: number): readonly Place[] {
  const places: Place[] = []
  for (let partition = 0; partition < view.owners.length; partition++) {
    for (const [position, { attempts, reason }] of view.partition(partition).parked)
      if (position > after) places.push({ position, partition, attempts, reason })
  }
  return places.toSorted((a, b) => a.position - b.position)
}
