/** Every acknowledged append is in the log once, whole, at its acknowledged place; and the log holds nothing else. */
import type { HistoryOperation, SeenEvent } from './history.ts'
import type { Violation } from './violation.ts'
import type { Witness } from './witness.ts'

export function checkExactlyOnce(history: readonly HistoryOperation[], witness: Witness): Violation[] {
  const violations = [...witness.violations]
  const asked = new Set<string>()
  for (const operation of history) {
    if (operation.kind !== 'append') continue
    const { identity, outcome } = operation
    asked.add(identity)
    const place = witness.placeOf(identity)
    const append = witness.appends[place]
    if (append !== undefined && (append.count !== operation.count || append.stream !== operation.stream))
      violations.push({
        kind: 'torn',
        message: `append ${identity}: ${operation.count} events to ${operation.stream}; in the log ${append.count} to ${append.stream}`,
      })
    if (outcome.kind === 'rejected' && append !== undefined && operation.mayFollowRefusal !== true)
      violations.push({ kind: 'verdict', message: `append ${identity} was refused, and stands at position ${append.position}` })
    if (outcome.kind !== 'appended') continue
    if (append === undefined)
      violations.push({
        kind: 'lost',
        message: `append ${identity} was acknowledged at position ${outcome.position} and is not in the log`,
      })
    else if (append.position !== outcome.position || append.revision !== outcome.revision)
      violations.push({
        kind: 'misplaced',
        message: `append ${identity} was acknowledged at position ${outcome.position}, revision ${outcome.revision}; it stands at ${append.position}, ${append.revision}`,
      })
  }
  for (const { identity, position } of witness.appends)
    if (!asked.has(identity)) violations.push({ kind: 'invented', message: `nobody asked for append ${identity} at position ${position}` })
  return violations
}

/** What a reader saw is what stands in the log at these places. `reader` names it for the message. */
export function checkSeen(reader: string, seen: readonly SeenEvent[], witness: Witness): Violation[] {
  for (const event of seen) {
    const stands = witness.events[event.position - 1]
    const same =
      stands !== undefined &&
      stands.identity === event.identity &&
      stands.ordinal === event.ordinal &&
      stands.stream === event.stream &&
      stands.revision === event.revision
    if (!same) {
      const there = stands === undefined ? 'nothing' : `event ${stands.ordinal} of ${stands.identity}, ${stands.stream}@${stands.revision}`
      return [
        {
          kind: 'misplaced',
          message: `${reader} saw event ${event.ordinal} of ${event.identity}, ${event.stream}@${event.revision}, at position ${event.position}; there is ${there}`,
        },
      ]
    }
  }
  return []
}
