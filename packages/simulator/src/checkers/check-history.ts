/** All checks of one history against one witness. */
import { checkExactlyOnce, checkSeen } from './exactly-once.ts'
import type { HistoryOperation, WitnessEvents } from './history.ts'
import { checkLinearizability } from './linearizability.ts'
import { checkSessions } from './sessions.ts'
import { checkSubscription, type SubscriptionHistory } from './subscriptions.ts'
import { checkVerdicts } from './verdicts.ts'
import type { Violation } from './violation.ts'
import { Witness } from './witness.ts'

export interface ClientHistory {
  readonly operations: readonly HistoryOperation[]
  readonly subscriptions: readonly SubscriptionHistory[]
}

export function checkHistory({ operations, subscriptions }: ClientHistory, events: WitnessEvents): Violation[] {
  const witness = new Witness(events)
  return [
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
