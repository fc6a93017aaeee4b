/** What was answered is what a sequential model answers when it goes through the log from the first append on. */
import { isAsExpected, type AppendOperation, type HistoryOperation } from './history.ts'
import type { Violation } from './violation.ts'
import type { Witness } from './witness.ts'

export function checkVerdicts(history: readonly HistoryOperation[], witness: Witness): Violation[] {
  const violations: Violation[] = []
  const appends = new Map<string, AppendOperation>()
  for (const operation of history) {
    if (operation.kind !== 'append') continue
    appends.set(operation.identity, operation)
    const { outcome, expected, identity } = operation
    if (outcome.kind === 'rejected' && isAsExpected(expected, outcome.actual))
      violations.push({
        kind: 'verdict',
        message: `append ${identity} expected ${expected}, and was refused because it was ${outcome.actual}`,
      })
  }
  const revisions = new Map<string, number>()
  for (const { identity, stream, count, position, isReborn } of witness.appends) {
    const revision = revisions.get(stream) ?? -1
    const expected = appends.get(identity)?.expected ?? 'any'
    if (!isAsExpected(expected, isReborn ? -1 : revision))
      violations.push({
        kind: 'verdict',
        message: `append ${identity} expected ${expected} and took effect at position ${position}, where ${stream} was at ${revision}`,
      })
    revisions.set(stream, revision + count)
  }
  return violations
}
