/**
 * A filtered page: what passes between where it began and how far it says that it looked, all of it, in order, and no more than
 * was asked for. A linearizable one that says it reached the end has looked at whatever was acknowledged before it was called.
 */
import { passes, type AskedFilter } from './matching.ts'
import type { SeenEvent, WitnessEvent } from './history.ts'
import type { Violation } from './violation.ts'
import type { Witness } from './witness.ts'

export interface QueryOperation {
  readonly client: string
  readonly call: number
  /** Default: never. */
  readonly returned?: number
  readonly consistency: 'linearizable' | 'local'
  readonly direction: 'forward' | 'backward'
  readonly filter: AskedFilter
  readonly from?: number
  readonly atLeast?: number
  readonly limit: number
  readonly events: readonly SeenEvent[]
  readonly considered: number
  readonly isEnd: boolean
}

/** `acknowledged`: positions by the time of the answer that told them. */
export function checkQueries(
  queries: readonly QueryOperation[],
  acknowledged: readonly { readonly returned: number; readonly position: number }[],
  witness: Witness,
): Violation[] {
  const passing = witness.events.map((event, at) => ({ ...event, position: at + 1 }))
  return queries.flatMap((query) => {
    const why = wrong(query, passing, acknowledged, witness)
    return why === undefined ? [] : [{ kind: 'query', message: `query of ${query.client} at ${query.call}: ${why}` }]
  })
}

function wrong(
  query: QueryOperation,
  all: readonly (WitnessEvent & { readonly position: number })[],
  acknowledged: readonly { readonly returned: number; readonly position: number }[],
  witness: Witness,
): string | undefined {
  const { call, returned = Infinity, consistency, direction, filter, from, atLeast = 0, limit, events, considered, isEnd } = query
  if (events.length > limit) return `${events.length} events, and the limit was ${limit}`
  const isForward = direction === 'forward'
  // Where the node's end must have been, at least.
  const before =
    consistency === 'local'
      ? 0
      : acknowledged.reduce((most, { returned, position }) => (returned < call ? Math.max(most, position) : most), 0)
  const reached = Math.max(atLeast, before)
  const [first] = events
  const shown = new Set(events.map(({ position }) => position))
  const wanted = isForward
    ? all.filter((event) => event.position >= (from ?? 1) && event.position <= considered && passes(event, filter))
    : all
        .filter((event) => event.position >= considered && event.position <= (from ?? Infinity) && passes(event, filter))
        .toReversed()
        // The newest may have come after the read: where the end was, the page says by its first event alone.
        .filter(({ position }) => position <= Math.max(first?.position ?? 0, reached))
  const seen = events.map(({ position }) => position).join(' ')
  const should = wanted
    .filter(({ position }) => shown.has(position) || !witness.isHidden(position, returned))
    .map(({ position }) => position)
    .join(' ')
  if (seen !== should) return `${direction} from ${from ?? 'its end'}, considered ${considered}: [${seen}] where [${should}] passes`
  const torn = events.find(
    (event) => all[event.position - 1]?.identity !== event.identity || all[event.position - 1]?.ordinal !== event.ordinal,
  )
  if (torn !== undefined) return `position ${torn.position} is another event`
  const comesBack = events.find(({ position }) => (all[position - 1]?.hiddenAfter ?? Infinity) < reached)
  if (comesBack !== undefined) return `it shows position ${comesBack.position}, which is hidden at ${reached}, where its node had to be`
  const mayEnd = !isForward || !isEnd || considered >= reached || (from ?? 1) > reached
  return mayEnd ? undefined : `it ended at ${considered}, and its node had to be at ${reached}`
}
