/** A sequential store and clients that overlap: clean histories of any size, and what to spoil in them. */
import type { AppendOperation, HistoryOperation, WitnessEvents } from '@synod/simulator/checkers'
import { seededRandom } from '@synod/transport/memory'

export interface CleanHistory {
  readonly operations: HistoryOperation[]
  readonly events: WitnessEvents
}

export interface HistorySize {
  readonly operations: number
  readonly clients: number
  readonly streams: number
}

/** Every operation takes effect at a moment of its own between its call and its return. */
export function cleanHistory(seed: string, { operations: count, clients, streams }: HistorySize): CleanHistory {
  const roll = seededRandom(seed)
  const whole = (below: number): number => Math.floor(roll() * below)
  const events: WitnessEvents[number][] = []
  const revisions = Array.from({ length: streams }, () => -1)
  const operations: HistoryOperation[] = []
  const free = Array.from({ length: clients }, () => 0)
  for (let at = 1; at <= count; at++) {
    const moment = at * 10
    const client = whole(clients)
    const earliest = Math.max(free[client] ?? 0, moment - 60)
    if (earliest >= moment) continue
    const call = earliest + roll() * (moment - earliest)
    const returned = moment + roll() * 60
    free[client] = returned
    const common = { client: `c${client}`, call, returned }
    const stream = whole(streams)
    const name = `s${stream}`
    const actual = revisions[stream] ?? -1
    const kind = whole(10)
    if (kind < 5) {
      const size = 1 + whole(3)
      const identity = `a${at}`
      const isUnknown = whole(12) === 0
      const expected = whole(4) === 0 ? actual + 1 : 'any'
      if (expected === actual + 1) {
        operations.push({ kind: 'append', ...common, identity, stream: name, expected, count: size, outcome: { kind: 'rejected', actual } })
        continue
      }
      if (isUnknown && whole(2) === 0) {
        operations.push({
          kind: 'append',
          ...common,
          returned: Infinity,
          identity,
          stream: name,
          expected,
          count: size,
          outcome: { kind: 'unknown' },
        })
        continue
      }
      for (let ordinal = 0; ordinal < size; ordinal++) events.push({ stream: name, revision: actual + 1 + ordinal, identity, ordinal })
      revisions[stream] = actual + size
      const outcome: AppendOperation['outcome'] = isUnknown
        ? { kind: 'unknown' }
        : { kind: 'appended', revision: actual + size, position: events.length }
      operations.push({
        kind: 'append',
        ...common,
        returned: isUnknown ? Infinity : returned,
        identity,
        stream: name,
        expected,
        count: size,
        outcome,
      })
    } else if (kind < 7) operations.push({ kind: 'readAll', ...common, consistency: 'linearizable', head: { is: events.length } })
    else if (kind < 9)
      operations.push({ kind: 'readStream', ...common, consistency: 'linearizable', stream: name, revision: { is: actual } })
    else if (actual >= 0)
      operations.push({
        kind: 'readStream',
        ...common,
        consistency: 'linearizable',
        stream: name,
        revision: { atLeast: whole(actual + 1) },
      })
  }
  return { operations, events }
}
