/** All checks of one history against one witness. */
import { revealAmongHidden } from './among-hidden.ts'
import { checkAtomicAppends, singleAppends, type AtomicOperation } from './atomic-appends.ts'
import { checkComebacks } from './comebacks.ts'
import { checkExactlyOnce, checkSeen } from './exactly-once.ts'
import type { HistoryOperation, WitnessEvents } from './history.ts'
import { checkLinearizability } from './linearizability.ts'
import { checkQueries, type QueryOperation } from './queries.ts'
import { checkSessions } from './sessions.ts'
import { checkSubscription, type SubscriptionHistory } from './subscriptions.ts'
import { checkVerdicts } from './verdicts.ts'
import type { Violation } from './violation.ts'
import { Witness } from './witness.ts'

export interface ClientHistory {
  readonly operations: readonly HistoryOperation[]
  /** Appends to several streams. */
  readonly atomic?: readonly AtomicOperation[]
  readonly queries?: readonly QueryOperation[]
  readonly subscriptions: readonly SubscriptionHistory[]
}

export function checkHistory(history: ClientHistory, events: WitnessEvents): Violation[] {
  const { atomic = [], queries = [], subscriptions } = history
  const witness = new Witness(events)
  const revealed = revealAmongHidden(history.operations, witness)
  const operations = [...revealed.operations, ...atomic.flatMap(singleAppends)]
  const acknowledged = operations.flatMap((operation) =>
    operation.kind === 'append' && operation.outcome.kind === 'appended'
      ? [{ returned: operation.returned, position: operation.outcome.position }]
      : [],
  )
  return [
    ...checkAtomicAppends(atomic, witness),
    ...revealed.violations,
    ...checkComebacks(operations, witness),
    ...checkQueries(queries, acknowledged, witness),
    ...checkExactlyOnce(operations, witness),
    ...checkVerdicts(operations, witness),
    ...checkLinearizability(operations, witness),
    ...checkSessions(operations, witness),
    ...operations.flatMap((operation) =>
      operation.kind === 'append'
        ? []
        : checkSeen(`${operation.kind} of ${operation.client} at ${operation.call}`, operation.events ?? [], witness),
    ),
    ...subscriptions.flatMap((subscription) => checkSubscription(subscription, witness)),
  ]
}
