/** How consumer groups are, for a scrape: asked of the store, which may take its time; a scrape does not. */
import type { EventStore } from '@synod/events'

export interface GroupSize {
  readonly group: string
  readonly lag: number
  readonly parked: number
  readonly consumers: number
}

/** Each is a time series, and names are the clients'. */
const groupsShownMax = 100
const groupsMillisecondsMax = 500

/** Of the first groups by name. None when this node cannot tell now. */
export async function groupSizes(store: () => EventStore): Promise<readonly GroupSize[]> {
  let timer: NodeJS.Timeout | undefined
  try {
    const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), groupsMillisecondsMax)))
    const groups = await Promise.race([store().groups.list({ consistency: 'local' }), late])
    if (groups === undefined) return []
    return groups
      .toSorted((a, b) => (a.group < b.group ? -1 : 1))
      .slice(0, groupsShownMax)
      .map(({ group, lag, parked, consumers }) => ({ group, lag, parked, consumers: consumers.length }))
  } catch {
    return [] // a node that starts, is wiped or stops has none to tell; the other metrics say so
  } finally {
    clearTimeout(timer)
  }
}
