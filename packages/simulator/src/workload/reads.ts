/** The reads of the workload, and what each reveals. */
import type { EventStore, ReadOptions, RecordedEvent } from '@synod/events'
import type { AllRead, SeenEvent, StreamRead } from '../checkers/history.ts'
import type { Dice } from '../world/dice.ts'
import { seen } from './sim-event.ts'

type Common = 'client' | 'call' | 'returned' | 'session'
export type Revealed = Omit<AllRead, Common> | Omit<StreamRead, Common>

export interface ReadDrawn {
  readonly text: string
  readonly run: (events: EventStore, signal: AbortSignal) => Promise<readonly RecordedEvent[]>
  /** Undefined: there is no such stream. Text: why the answer cannot be. */
  readonly operation: (events: readonly RecordedEvent[] | undefined) => Revealed | string
}

/** `tail`: the newest event of all, linearizable. */
export function drawRead(dice: Dice, kind: 'tail' | 'linearizable' | 'local', streams: readonly string[]): ReadDrawn {
  const consistency = kind === 'local' ? 'local' : 'linearizable'
  const direction = kind === 'tail' || dice.chance(0.6) ? 'backward' : 'forward'
  const isFromAnywhere = direction === 'forward' || dice.chance(0.3)
  const from = kind !== 'tail' && isFromAnywhere ? dice.whole(0, dice.chance(0.5) ? 10 : 200) : undefined
  const limit = kind === 'tail' ? 1 : dice.whole(1, 30)
  const options: ReadOptions = { consistency, direction, limit, ...(from === undefined ? {} : { from }) }
  if (kind === 'tail' || dice.chance(0.5)) {
    return {
      text: `${consistency} all ${direction} ${from ?? ''} ${limit}`,
      run: (events, signal) => events.readAll({ ...options, signal }),
      operation: (events = []) => revealedByAll(events.map(seen), options),
    }
  }
  const stream = dice.pick(streams)
  return {
    text: `${consistency} ${stream} ${direction} ${from ?? ''} ${limit}`,
    run: (events, signal) => events.readStream(stream, { ...options, signal }),
    operation: (events) => revealedByStream(events?.map(seen), stream, options),
  }
}

function revealedByAll(events: readonly SeenEvent[], options: ReadOptions): Revealed | string {
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

function revealedByStream(events: readonly SeenEvent[] | undefined, stream: string, options: ReadOptions): Revealed | string {
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
function disorder(numbers: readonly number[], { from, direction, limit }: ReadOptions, first: number): string | undefined {
  if (numbers.length > limit) return `${numbers.length} events, and the limit was ${limit}`
  const step = direction === 'backward' ? -1 : 1
  const hole = numbers.findIndex((number, at) => at > 0 && number !== (numbers[at - 1] ?? 0) + step)
  if (hole >= 0) return `${numbers[hole]} after ${numbers[hole - 1]}`
  const [begins] = numbers
  if (begins === undefined || direction === 'backward')
    return begins !== undefined && begins > (from ?? Infinity) ? `it began at ${begins}` : undefined
  return begins === Math.max(first, from ?? first) ? undefined : `it began at ${begins}`
}
