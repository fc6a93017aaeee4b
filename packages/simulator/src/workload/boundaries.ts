/**
 * What clients of boundaries ask for: appends to several streams with checks and conditions, and queries, all on a few types and
 * tags, so that they meet. Streams have two categories, so that a filter parts them.
 */
import type { AppendCondition, EventFilter, QueryItem, StreamCheck } from '@synod/events'
import type { AtomicOperation } from '../checkers/atomic-appends.ts'
import type { Dice } from '../world/dice.ts'
import type { Labels } from './sim-event.ts'

const types = ['opened', 'joined', 'left']
const tags = ['a:1', 'a:2', 'b:1', 'b:2', 'b:3']
const streams = ['desk-1', 'desk-2', 'room-1', 'room-2', 'room']

export function drawLabels(dice: Dice): Labels {
  return { type: dice.pick(types), tags: dice.shuffled(tags).slice(0, dice.whole(0, 3)) }
}

export function drawItem(dice: Dice): QueryItem {
  return {
    ...(dice.chance(0.6) ? { types: dice.shuffled(types).slice(0, dice.whole(1, 2)) } : {}),
    ...(dice.chance(0.7) ? { tags: dice.shuffled(tags).slice(0, dice.whole(1, 2)) } : {}),
  }
}

export function drawFilter(dice: Dice): EventFilter {
  const items = Array.from({ length: dice.whole(1, 2) }, () => drawItem(dice))
  switch (dice.whole(0, 4)) {
    case 0:
      return { prefixes: [dice.pick(['room', 'desk-', 's', 'nothing'])] }
    case 1:
      return { categories: dice.shuffled(['room', 'desk']).slice(0, dice.whole(1, 2)) }
    case 2:
      return { items, categories: ['room'] }
    default:
      return { items }
  }
}

/** `head`: a position that the client has heard of. */
export function drawCondition(dice: Dice, head: number): AppendCondition | undefined {
  if (dice.chance(0.35)) return undefined
  const failIfEventsMatch = { items: Array.from({ length: dice.whole(1, 2) }, () => drawItem(dice)) }
  if (dice.chance(0.2)) return { failIfEventsMatch }
  return { failIfEventsMatch, after: dice.chance(0.6) ? head : dice.whole(0, head + 5) }
}

type Write = AtomicOperation['writes'][number]

/** Streams of writes and checks differ; `known` are last revisions that the client has heard of. */
export function drawWrites(
  dice: Dice,
  eventsMax: number,
  known: ReadonlyMap<string, number>,
): { readonly writes: readonly Write[]; readonly checks: readonly StreamCheck[] } {
  const mixed = dice.shuffled(streams)
  const writes = mixed
    .slice(0, dice.whole(1, 3))
    .map((stream) => ({ stream, expected: drawExpected(dice, known.get(stream)), count: dice.whole(1, eventsMax) }))
  const checks = mixed
    .slice(writes.length)
    .slice(0, dice.chance(0.3) ? dice.whole(1, 2) : 0)
    .map((stream) => ({ stream, expected: drawExpected(dice, known.get(stream)) }))
  return { writes, checks }
}

export function drawExpected(dice: Dice, known: number | undefined): Write['expected'] {
  if (dice.chance(0.7)) return 'any'
  if (dice.chance(0.2)) return dice.pick(['noStream', 'streamExists'] as const)
  return known === undefined ? 'noStream' : dice.chance(0.8) ? known : known + 1
}
