/**
 * What a page reveals where events may be hidden: a hole is no mistake when some node had hidden everything in it by the time that
 * the read returned, and where the end was is told by what nobody may have left out. That the read's own node had hidden it is not
 * checked (comebacks.ts and retention.ts say what is).
 */
import type { AllRead, HistoryOperation, PageAsked, StreamRead } from './history.ts'
import type { Violation } from './violation.ts'
import type { Witness } from './witness.ts'

/** The same operations, with what their pages reveal. */
export function revealAmongHidden(
  operations: readonly HistoryOperation[],
  witness: Witness,
): { readonly operations: readonly HistoryOperation[]; readonly violations: readonly Violation[] } {
  const violations: Violation[] = []
  const revealed = operations.map((operation) => {
    if (operation.kind === 'append' || operation.page === undefined) return operation
    const end = endOf(operation, operation.page, witness)
    if (typeof end !== 'string') return operation.kind === 'readAll' ? { ...operation, head: end } : { ...operation, revision: end }
    const { client, call, returned, kind, page } = operation
    violations.push({ kind: 'query', message: `${kind} of ${client}, ${call} to ${returned}, ${JSON.stringify(page)}: ${end}` })
    return { ...operation, ...(kind === 'readAll' ? { head: { atLeast: 0 } } : { revision: { atLeast: -1 } }) } as AllRead | StreamRead
  })
  return { operations: revealed, violations }
}

type End = { readonly atLeast: number; readonly below: number }

function endOf(read: AllRead | StreamRead, page: PageAsked, witness: Witness): End | string {
  const { events = [], returned } = read
  if (read.kind === 'readAll') {
    const positions = events.map(({ position }) => position)
    return endOfPage(positions, page, 1, (from) => witness.nextKept(from, returned))
  }
  if (events.some(({ stream }) => stream !== read.stream)) return 'an event of another stream'
  const revisions = events.map(({ revision }) => revision)
  return endOfPage(revisions, page, 0, (from) => witness.nextKeptRevision(read.stream, from, returned))
}

/** `first`: the least number there is. */
function endOfPage(
  numbers: readonly number[],
  { direction, from, limit }: PageAsked,
  first: number,
  nextKept: (from: number) => number,
): End | string {
  if (numbers.length > limit) return `${numbers.length} events, and the limit was ${limit}`
  const isForward = direction === 'forward'
  const ascending = isForward ? numbers : numbers.toReversed()
  const start = Math.max(first, isForward ? (from ?? first) : first)
  const top = isForward ? Infinity : (from ?? Infinity)
  for (const [at, number] of ascending.entries()) {
    // Where a page backward ends, it may have been full.
    const before = at > 0 ? ascending[at - 1]! + 1 : isForward ? start : number
    if (number < before || number > top) return `${number} stands in its page out of order`
    if (nextKept(before) < number) return `it left out ${nextKept(before)}, which is not hidden`
  }
  const last = ascending.at(-1)
  if (isForward) return { atLeast: last ?? first - 1, below: last === undefined ? nextKept(start) : Infinity }
  const next = nextKept(last === undefined ? first : last + 1)
  return { atLeast: last ?? first - 1, below: next <= top ? next : Infinity }
}
