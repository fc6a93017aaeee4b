export type { Configuration, Genesis, Voter } from './configuration.ts'
export { decodeEntry, encodeEntry, envelopeBytes, noopEntry } from './entry-codec.ts'
export type { Entry } from './entry.ts'
export type { Envelope } from './envelope.ts'
export {
  reclaimedError,
  requireOwner,
  StoreError,
  type KeptSlot,
  type LogStore,
  type LogStoreFactory,
  type LogStoreOptions,
  type Piece,
  type Recovered,
  type RecoveredEpoch,
  type Slice,
  type StoreCommit,
  type StoredSlot,
  type StoreOperation,
} from './log-store.ts'
export type { Capabilities, DecidedEntry, Loglet, LogletFactory, LogletOptions, LogletStatus } from './loglet.ts'
export { LogError, type LogSpace, type LogStatus, type OrderedLog, type Outcome, type SlotSlice } from './ordered-log.ts'
export { checkKept } from './kept-slots.ts'
export { PeerNetwork, type PeerNetworkOptions } from './peer-network.ts'
export { SessionProposer, type SessionCommand } from './session-proposer.ts'
export type { Epoch, Index, Slot } from './slot.ts'
export type { CommandAt, StateMachine } from './state-machine.ts'
export { StoreOperationChecker } from './store-operation-checker.ts'
export { openVirtualLog } from './virtual-log.ts'
export type { VirtualLogLimits, VirtualLogOptions } from './virtual-log-options.ts'
