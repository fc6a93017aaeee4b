/** The verdict of an append in the words of whoever asked for it. */
import { formatUuid } from '@synod/event-record'
import type { StreamCheck } from './event-store.ts'
import { ConditionFailedError, EventStoreError, WrongExpectedRevisionError, type AppendViolation } from './event-store-error.ts'
import type { Verdict } from './verdict.ts'

export type AppendedVerdict = Extract<Verdict, { kind: 'appended' }>

/** Returns the verdict when it is a success. Throws an EventStoreError. The expectations are those of the writes, then those of the checks. */
export function appendAnswer(verdict: Verdict, expectations: readonly StreamCheck[], idempotencyKey: string | undefined): AppendedVerdict {
  switch (verdict.kind) {
    case 'appended':
      return verdict
    case 'wrongExpectedRevision':
      throw violationError(verdict.violations.map(({ write, actual }) => revisionViolation(expectations[write], actual)))
    case 'violated': {
      const violations = verdict.revisions.map(({ place, actual }) => revisionViolation(expectations[place], actual))
      throw violationError(verdict.position === 0 ? violations : [...violations, { kind: 'condition', position: verdict.position }])
    }
    case 'conditionTooBroad':
      throw new EventStoreError(
        'condition_too_broad',
        `the condition was not decided after looking at ${verdict.scanned} postings: nothing was written; give a later \`after\`, or a rarer tag`,
      )
    case 'streamTombstoned':
      throw new EventStoreError(
        'stream_tombstoned',
        `stream ${JSON.stringify(expectations[verdict.write]?.stream)} was deleted for ever (tombstoned): nothing was written; use another stream`,
      )
    case 'eventIdConflict':
      throw new EventStoreError(
        'event_id_conflict',
        `event id ${formatUuid(verdict.id)} is taken, and the request is not a retry of what was appended with it: nothing was written; use new ids`,
      )
    case 'keyReused':
      throw new EventStoreError(
        'idempotency_key_reused',
        `idempotency key ${JSON.stringify(idempotencyKey)} stands for another request: nothing was written; use a new key`,
      )
    case 'malformed':
      throw new EventStoreError('invalid_argument', `nothing was written: ${verdict.why}`)
    case 'retention':
    case 'group':
      throw new Error(`an append was answered with a verdict of ${verdict.kind}`)
  }
}

function revisionViolation(expectation: StreamCheck | undefined, actual: number): Extract<AppendViolation, { kind: 'revision' }> {
  const { stream, expected } = expectation ?? { stream: '', expected: 'any' }
  return { kind: 'revision', stream, expected, actual: actual < 0 ? 'noStream' : actual }
}

function violationError(violations: readonly AppendViolation[]): EventStoreError {
  const [first] = violations
  if (first?.kind === 'condition') return new ConditionFailedError(first.position)
  if (first === undefined) return new EventStoreError('wrong_expected_revision', 'a stream was not as expected: nothing was written')
  return new WrongExpectedRevisionError(first.stream, first.expected, first.actual, violations)
}
