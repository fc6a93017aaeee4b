export { Agreement } from './agreement.ts'
export { checkHistory, type ClientHistory } from './check-history.ts'
export { checkExactlyOnce, checkSeen } from './exactly-once.ts'
export { hasLinearization } from './exhaustive-search.ts'
export {
  isAsExpected,
  type AllRead,
  type AppendOperation,
  type Expected,
  type HistoryOperation,
  type SeenEvent,
  type StreamRead,
  type WitnessEvents,
} from './history.ts'
export { checkLinearizability } from './linearizability.ts'
export { LogModel, verdictText, type LogModelLimits, type ModelAnswer } from './log-model.ts'
export { revealedByAll, revealedByStream, type PageAsked, type Revealed } from './revealed.ts'
export { checkSessions } from './sessions.ts'
export { checkSubscription, type SubscriptionHistory, type SubscriptionSeen } from './subscriptions.ts'
export { checkVerdicts } from './verdicts.ts'
export type { Violation } from './violation.ts'
export { Witness, type WitnessAppend } from './witness.ts'
