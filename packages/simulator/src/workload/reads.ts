/** The reads of the workload. */
import type { EventStore, RecordedEvent } from '@synod/events'
import { revealedByAll, revealedByStream, type PageAsked, type Revealed } from '../checkers/revealed.ts'
import type { Dice } from '../world/dice.ts'
import { seen } from './sim-event.ts'

export interface ReadDrawn {
  readonly text: string
  readonly run: (events: EventStore, signal: AbortSignal) => Promise<readonly RecordedEvent[]>
  /** Undefined: there is no such stream. Text: why the answer cannot be. */
  readonly operation: (events: readonly RecordedEvent[] | undefined) => Revealed | string
}

/** `tail`: the newest event of all, linearizable. `mayHide`: what a read of all events reveals is known in the end only. */
export function drawRead(dice: Dice, kind: 'tail' | 'linearizable' | 'local', streams: readonly string[], mayHide: boolean): ReadDrawn {
  const consistency = kind === 'local' ? 'local' : 'linearizable'
  const direction = kind === 'tail' || dice.chance(0.6) ? 'backward' : 'forward'
  const isFromAnywhere = direction === 'forward' || dice.chance(0.3)
  const from = kind !== 'tail' && isFromAnywhere ? dice.whole(0, dice.chance(0.5) ? 10 : 200) : undefined
  const limit = kind === 'tail' ? 1 : dice.whole(1, 30)
  const options: PageAsked = { consistency, direction, limit, ...(from === undefined ? {} : { from }) }
  if (kind === 'tail' || dice.chance(0.5)) {
    return {
      text: `${consistency} all ${direction} ${from ?? ''} ${limit}`,
      run: (events, signal) => events.readAll({ ...options, signal }),
      operation: (events = []) =>
        mayHide
          ? { kind: 'readAll', consistency, head: { atLeast: 0 }, events: events.map(seen), page: options }
          : revealedByAll(events.map(seen), options),
    }
  }
  const stream = dice.pick(streams)
  return {
    text: `${consistency} ${stream} ${direction} ${from ?? ''} ${limit}`,
    run: (events, signal) => events.readStream(stream, { ...options, signal }),
    operation: (events) => revealedByStream(events?.map(seen), stream, options),
  }
}
