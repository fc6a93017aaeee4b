export { readClientFrame } from './client-message-codec.ts'
export { clientFrameWriter, frameBytesMax, nodeFrameWriter, type FrameWriter } from './frame-writer.ts'
export { connectionPath, subprotocol } from './messages.ts'
export type {
  AppendCondition,
  ClientMessage,
  EventFilter,
  Expected,
  GroupRecord,
  Member,
  NodeMessage,
  QueryItem,
  Rejection,
  RequestNumber,
  Start,
  StoredRecord,
  StreamCheck,
  StreamWrite,
} from './messages.ts'
export { readNodeFrame } from './node-message-codec.ts'
export { storedRecordHeadBytes } from './stored-records.ts'
