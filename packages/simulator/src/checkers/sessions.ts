/**
 * Sessions never go back: a client that stays with one life of one node sees what it wrote there and what it saw there,
 * local reads included. Nothing is promised from one life to the next.
 */
import { coordinateOfAppend, intervalOf, whileRevisionIs, type Interval } from './coordinates.ts'
import type { HistoryOperation } from './history.ts'
import type { Violation } from './violation.ts'
import type { Witness } from './witness.ts'

export function checkSessions(history: readonly HistoryOperation[], witness: Witness): Violation[] {
  const violations: Violation[] = []
  const bounds = new Map<string, { coordinate: number; returned: number }>()
  for (const operation of history.toSorted((left, right) => left.call - right.call)) {
    if (operation.session === undefined || operation.returned === Infinity) continue
    const interval = intervalIn(operation, witness)
    if (interval === undefined) continue
    const key = `${operation.client} at ${operation.session}`
    const before = bounds.get(key)
    // Operations that overlap have no order between them.
    const bound = before === undefined || before.returned > operation.call ? 0 : before.coordinate
    const coordinate = operation.kind === 'append' && operation.outcome.kind === 'appended' ? interval.low : Math.max(interval.low, bound)
    const isOldAnswer = operation.kind === 'append' && coordinate < bound
    if (coordinate >= interval.high && !isOldAnswer)
      violations.push({
        kind: 'session',
        message: `${key}: ${operation.kind} called at ${operation.call} saw [${interval.low}, ${interval.high}), after ${bound} was seen`,
      })
    bounds.set(key, {
      coordinate: Math.max(coordinate, before?.coordinate ?? 0),
      returned: Math.max(operation.returned, before?.returned ?? 0),
    })
  }
  return violations
}

function intervalIn(operation: HistoryOperation, witness: Witness): Interval | undefined {
  if (operation.kind !== 'append') return intervalOf(operation, witness)
  const { outcome, identity, stream } = operation
  if (outcome.kind === 'unknown') return undefined
  // A refusal under a key may be the answer to an earlier try, at another node: it says where the stream was then.
  if (outcome.kind === 'rejected')
    return operation.mayFollowRefusal === true ? undefined : { low: whileRevisionIs(stream, outcome.actual, witness).low, high: Infinity }
  const place = witness.placeOf(identity)
  return place < 0 ? undefined : { low: coordinateOfAppend(place), high: Infinity }
}
