export type { Ballot } from './ballot.ts'
export type { PaxosMessage } from './messages.ts'
export { protocol } from './protocol.ts'
export { decodeSlotHeader, type SlotHeader } from './slot-header.ts'
