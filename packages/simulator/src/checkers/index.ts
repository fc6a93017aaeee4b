export { checkAtomicAppends, singleAppends, type AtomicOperation } from './atomic-appends.ts'
export { Agreement } from './agreement.ts'
export { checkComebacks } from './comebacks.ts'
export { revealAmongHidden } from './among-hidden.ts'
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
  type WitnessEvent,
  type WitnessEvents,
} from './history.ts'
export { checkLinearizability } from './linearizability.ts'
export { LogModel, verdictText, type LogModelLimits, type ModelAnswer } from './log-model.ts'
export { passes, type AskedFilter, type AskedItem } from './matching.ts'
export { checkGroup, type GroupEnd, type GroupHistory } from './groups.ts'
export { checkQueries, type QueryOperation } from './queries.ts'
export { revealedByAll, revealedByStream, type PageAsked, type Revealed } from './revealed.ts'
export { checkRetention, type RetentionOperation } from './retention.ts'
export type { StreamChange } from './retention-model.ts'
export { checkSessions } from './sessions.ts'
export { checkSubscription, type SubscriptionHistory, type SubscriptionSeen } from './subscriptions.ts'
export { checkVerdicts } from './verdicts.ts'
export type { Violation } from './violation.ts'
export { Witness, type WitnessAppend } from './witness.ts'
