/**
 * The search of Wing and Gong with Lowe's memory of visited states, for small histories: is there an order of the operations
 * that respects time, that a sequential store explains, and whose appends are the witness's, in its order? It knows nothing
 * of coordinates, so it checks the sweep. Exponential: at most 24 operations.
 */
import { isAsExpected, type HistoryOperation } from './history.ts'
import type { Witness } from './witness.ts'

const operationsMax = 24

/** Throws a RangeError for a history that is too large. */
export function hasLinearization(history: readonly HistoryOperation[], witness: Witness): boolean {
  const operations = history.filter((operation) => takesPart(operation, witness))
  if (operations.length > operationsMax)
    throw new RangeError(`${operations.length} operations, and at most ${operationsMax} can be searched`)
  const needed = operations.reduce((mask, operation, at) => (operation.returned < Infinity ? mask | (1 << at) : mask), 0)
  const visited = new Set<string>()
  const search = (done: number, appended: number): boolean => {
    if ((done & needed) === needed && appended === witness.appends.length) return true
    const key = `${done} ${appended}`
    if (visited.has(key)) return false
    visited.add(key)
    const deadline = Math.min(...operations.map(({ returned }, at) => ((done & (1 << at)) === 0 ? returned : Infinity)))
    return operations.some((operation, at) => {
      if ((done & (1 << at)) !== 0 || operation.call > deadline) return false
      const after = step(operation, appended, witness)
      return after !== undefined && search(done | (1 << at), after)
    })
  }
  return search(0, 0)
}

/** How many appends of the witness have taken effect after it; undefined: it cannot stand here. */
function step(operation: HistoryOperation, appended: number, witness: Witness): number | undefined {
  const head = witness.appends[appended - 1]?.position ?? 0
  const revisionOf = (stream: string): number =>
    witness.appends.slice(0, appended).findLast((append) => append.stream === stream)?.revision ?? -1
  if (operation.kind === 'append') {
    const { outcome, identity, stream, expected } = operation
    if (outcome.kind === 'rejected' && witness.placeOf(identity) < 0) {
      return !isAsExpected(expected, outcome.actual) && revisionOf(stream) === outcome.actual ? appended : undefined
    }
    return witness.appends[appended]?.identity === identity ? appended + 1 : undefined
  }
  if (operation.kind === 'readAll') {
    const seen = operation.head
    const fits = 'is' in seen ? head === seen.is : 'atLeast' in seen ? head >= seen.atLeast : head < seen.below
    return fits ? appended : undefined
  }
  const revision = revisionOf(operation.stream)
  const seen = operation.revision
  const fits = 'is' in seen ? revision === seen.is : revision >= seen.atLeast && revision < (seen.below ?? Infinity)
  return fits ? appended : undefined
}

function takesPart(operation: HistoryOperation, witness: Witness): boolean {
  if (operation.kind !== 'append') return operation.consistency === 'linearizable'
  return witness.placeOf(operation.identity) >= 0 || operation.outcome.kind === 'rejected'
}
