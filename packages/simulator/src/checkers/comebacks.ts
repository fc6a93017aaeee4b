/**
 * Nothing comes back: what a read of one life of a node left out as hidden, no read that is called there afterwards shows. Hidden
 * events of a stream are its first ones, so the highest revision that was left out tells it.
 */
import type { AllRead, HistoryOperation, StreamRead } from './history.ts'
import type { Violation } from './violation.ts'
import type { Witness } from './witness.ts'

interface Look {
  readonly read: AllRead | StreamRead
  /** The highest revision that it left out, -1: none. */
  readonly leftOut: number
  /** The lowest one that it showed. */
  readonly shown: number
}

export function checkComebacks(operations: readonly HistoryOperation[], witness: Witness): Violation[] {
  if (!witness.hidesSome) return []
  const looks = new Map<string, Look[]>()
  for (const operation of operations) {
    if (operation.kind === 'append' || operation.page === undefined || operation.session === undefined) continue
    for (const [stream, look] of looksOf(operation, witness)) {
      const key = `${stream} at ${operation.session}`
      let of = looks.get(key)
      if (of === undefined) looks.set(key, (of = []))
      of.push(look)
    }
  }
  return [...looks].flatMap(([key, of]) => checkLife(key, of))
}

function checkLife(key: string, looks: readonly Look[]): Violation[] {
  const returned = looks.toSorted((left, right) => left.read.returned - right.read.returned)
  let [next, leftOut] = [0, -1]
  for (const { read, shown } of looks.toSorted((left, right) => left.read.call - right.read.call)) {
    for (let before = returned[next]; before !== undefined && before.read.returned < read.call; before = returned[++next])
      leftOut = Math.max(leftOut, before.leftOut)
    if (shown <= leftOut) {
      const { kind, client, call } = read
      return [{ kind: 'comeback', message: `${kind} of ${client} at ${call} saw revision ${shown} of ${key}, where ${leftOut} was hidden` }]
    }
  }
  return []
}

/** By stream. */
function looksOf({ events = [], page, ...read }: AllRead | StreamRead, witness: Witness): Map<string, Look> {
  const looks = new Map<string, Look>()
  const add = (stream: string, leftOut: number, shown: number): void => {
    const known = looks.get(stream)
    const look = { leftOut: Math.max(leftOut, known?.leftOut ?? -1), shown: Math.min(shown, known?.shown ?? Infinity) }
    looks.set(stream, { read, ...look })
  }
  for (const { stream, revision } of events) add(stream, -1, revision)
  const ascending = page?.direction === 'backward' ? events.toReversed() : events
  if (read.kind === 'readStream') {
    const [first] = ascending
    if (first !== undefined && page?.direction === 'forward' && first.revision > (page.from ?? 0))
      add(read.stream, first.revision - 1, Infinity)
    return looks
  }
  ascending.forEach(({ position }, at) => {
    const before = ascending[at - 1]?.position ?? (page?.direction === 'forward' ? Math.max(0, (page.from ?? 1) - 1) : position)
    for (let between = before + 1; between < position; between++) {
      const left = witness.events[between - 1]
      if (left !== undefined) add(left.stream, left.revision, Infinity)
    }
  })
  return looks
}
