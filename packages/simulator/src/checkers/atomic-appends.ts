/**
 * Appends to several streams: all of one is in the log, side by side, or nothing of it; what was acknowledged stands where it was
 * said; what was refused is not there. That each verdict is the right one is for LogModel, which goes through the log itself; what the
 * clients heard is for here. Each write has an identity of its own, `append/write`.
 */
import type { AppendOperation } from './history.ts'
import type { Violation } from './violation.ts'
import type { Witness } from './witness.ts'

export interface AtomicOperation {
  readonly client: string
  readonly call: number
  /** Infinity: the client never heard. */
  readonly returned: number
  readonly session?: string
  readonly identity: string
  readonly writes: readonly Pick<AppendOperation, 'stream' | 'expected' | 'count'>[]
  readonly outcome:
    | { readonly kind: 'appended'; readonly position: number; readonly revisions: readonly number[] }
    | { readonly kind: 'refused' }
    | { readonly kind: 'unknown' }
  /** Several tries, and nothing that remembers a refusal. */
  readonly mayFollowRefusal: boolean
}

export function checkAtomicAppends(operations: readonly AtomicOperation[], witness: Witness): Violation[] {
  const violations: Violation[] = []
  for (const { identity, writes, outcome, mayFollowRefusal } of operations) {
    const places = writes.map((_, write) => witness.placeOf(`${identity}/${write}`))
    const first = places[0] ?? -1
    const isThere = places.some((place) => place >= 0)
    if (isThere && (first < 0 || places.some((place, write) => place !== first + write)))
      violations.push({ kind: 'torn', message: `append ${identity} of ${writes.length} writes stands at places ${places.join(' ')}` })
    if (outcome.kind === 'refused' && isThere && !mayFollowRefusal)
      violations.push({ kind: 'verdict', message: `append ${identity} was refused, and stands in the log` })
    if (outcome.kind !== 'appended') continue
    const last = witness.appends[places.at(-1) ?? -1]
    if (last === undefined)
      violations.push({ kind: 'lost', message: `append ${identity} was acknowledged at ${outcome.position} and is not in the log` })
    else if (last.position !== outcome.position)
      violations.push({
        kind: 'misplaced',
        message: `append ${identity} was acknowledged at ${outcome.position}, it ends at ${last.position}`,
      })
  }
  return violations
}

/** As appends to one stream each, for the checks of those. Of a refusal they say nothing. */
export function singleAppends({ client, call, returned, session, identity, writes, outcome }: AtomicOperation): AppendOperation[] {
  let position = outcome.kind === 'appended' ? outcome.position - writes.reduce((sum, { count }) => sum + count, 0) : 0
  return writes.map(({ stream, expected, count }, write) => {
    position += count
    return {
      kind: 'append',
      client,
      call,
      returned: outcome.kind === 'appended' ? returned : Infinity,
      ...(session === undefined || outcome.kind !== 'appended' ? {} : { session }),
      identity: `${identity}/${write}`,
      stream,
      expected,
      count,
      outcome: outcome.kind === 'appended' ? { kind: 'appended', position, revision: outcome.revisions[write] ?? -1 } : { kind: 'unknown' },
    }
  })
}
