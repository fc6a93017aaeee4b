/**
 * What a page of a read reveals of the order of events, for a history: where the head of all events, or the end of a stream, must
 * have been when it was read. Or why a page cannot be: it has a hole, begins elsewhere, or holds more than was asked for.
 */
import type { AllRead, PageAsked, SeenEvent, StreamRead } from './history.ts'

export type { PageAsked } from './history.ts'

type Common = 'client' | 'call' | 'returned' | 'session'
export type Revealed = Omit<AllRead, Common> | Omit<StreamRead, Common>

/** Of a page of all events; a text says why it cannot be one. */
export function revealedByAll(events: readonly SeenEvent[], options: PageAsked): Revealed | string {
  const { from, direction, consistency } = options
  const positions = events.map(({ position }) => position)
  const wrong = disorder(positions, options, 1)
  if (wrong !== undefined) return wrong
  const [first] = positions
  const common = { kind: 'readAll', consistency, events } as const
  if (direction === 'backward') {
    if (from === undefined) return { ...common, head: { is: first ?? 0 } }
    if (first === undefined) return from < 1 ? { ...common, head: { atLeast: 0 } } : { ...common, head: { is: 0 } }
    return { ...common, head: first < from ? { is: first } : { atLeast: first } }
  }
  const last = positions.at(-1)
  return { ...common, head: last === undefined ? { below: Math.max(1, from ?? 1) } : { atLeast: last } }
}

/** Of a page of a stream; undefined where there is no such stream. */
export function revealedByStream(events: readonly SeenEvent[] | undefined, stream: string, options: PageAsked): Revealed | string {
  const { from, direction, consistency } = options
  const common = { kind: 'readStream', consistency, stream, events: events ?? [] } as const
  if (events === undefined) return { ...common, revision: { is: -1 } }
  const revisions = events.map(({ revision }) => revision)
  const wrong = disorder(revisions, options, 0)
  if (wrong !== undefined) return wrong
  if (events.some((event) => event.stream !== stream)) return 'an event of another stream'
  const [first] = revisions
  if (direction === 'backward') {
    if (first === undefined) return 'an existing stream without an event'
    return { ...common, revision: first < (from ?? Infinity) ? { is: first } : { atLeast: first } }
  }
  const last = revisions.at(-1)
  return { ...common, revision: last === undefined ? { atLeast: 0, below: from ?? 0 } : { atLeast: last } }
}

/** Pages are dense, go the way that was asked for, begin where they should, and hold no more than the limit. */
function disorder(numbers: readonly number[], { from, direction, limit }: PageAsked, first: number): string | undefined {
  if (numbers.length > limit) return `${numbers.length} events, and the limit was ${limit}`
  const step = direction === 'backward' ? -1 : 1
  const hole = numbers.findIndex((number, at) => at > 0 && number !== (numbers[at - 1] ?? 0) + step)
  if (hole >= 0) return `${numbers[hole]} after ${numbers[hole - 1]}`
  const [begins] = numbers
  if (begins === undefined || direction === 'backward')
    return begins !== undefined && begins > (from ?? Infinity) ? `it began at ${begins}` : undefined
  return begins === Math.max(first, from ?? first) ? undefined : `it began at ${begins}`
}
