export { connect } from './connect.ts'
export {
  BusyError,
  ClientClosedError,
  ClientError,
  EventIdConflictError,
  InvalidArgumentError,
  ProtocolViolationError,
  SchemaError,
  StreamNotFoundError,
  TooLargeError,
  UnavailableError,
  WrongExpectedRevisionError,
  type ClientErrorCode,
} from './client-error.ts'
export type { Appended, AppendOptions, Client, Expected, ReadOptions, SubscribeOptions, SubscriptionMessage } from './client.ts'
export type { ClientCounters, ClientStatus, ConnectionStatus } from './client-status.ts'
export type { EventSchemas, EventType, InputsOf, NewEvent, OutputsOf, RecordedEvent } from './event-types.ts'
export type { ConnectOptions, SchemaOptions } from './options.ts'
