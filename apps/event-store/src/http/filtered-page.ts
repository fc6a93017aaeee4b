/**
 * A page of events that pass a filter, over HTTP: only an empty page is the end, there too. The store reads a rare filter in
 * bounded steps, so steps without an event are gone on from here, until the deadline: then the answer is a 503 that says how far
 * the node looked and where to go on, never an empty page that would be taken for the end.
 */
import type { EventStore, QueryOptions, QueryPage } from '@synod/events'
import { HttpError } from './http-error.ts'

/** @throws HttpError 503 `unavailable` with `considered`, and whatever the store throws */
export async function filteredPage(store: EventStore, options: QueryOptions, signal: AbortSignal): Promise<QueryPage> {
  const isBackward = options.direction === 'backward'
  let asked = { ...options, signal }
  for (let considered: number | undefined; ;) {
    let page: QueryPage
    try {
      page = await store.query(asked)
    } catch (error) {
      if (considered === undefined || !signal.aborted) throw error
      throw goOn(considered, isBackward)
    }
    if (page.events.length > 0 || page.isEnd) return page
    ;({ considered } = page)
    if (signal.aborted) throw goOn(considered, isBackward)
    // The first step saw how far the read must see: this node has that now.
    asked = { ...asked, from: isBackward ? considered - 1 : considered + 1, consistency: 'local' }
  }
}

function goOn(considered: number, isBackward: boolean): HttpError {
  const [side, from] = isBackward ? ['above', considered - 1] : ['below', considered + 1]
  return new HttpError(
    503,
    'unavailable',
    `no event at or ${side} position ${considered} passes the filter, and there was no time to look further: go on with from=${from}`,
    { considered },
  )
}
