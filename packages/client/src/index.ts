export { connect } from './connect.ts'
export {
  BusyError,
  ClientClosedError,
  ClientError,
  ConditionFailedError,
  ConditionTooBroadError,
  EventIdConflictError,
  GroupExistsError,
  GroupNotFoundError,
  InvalidArgumentError,
  ProtocolViolationError,
  SchemaError,
  StreamNotFoundError,
  StreamTombstonedError,
  TooLargeError,
  TooManyConflictsError,
  UnavailableError,
  WrongExpectedRevisionError,
  type ClientErrorCode,
  type Violation,
} from './client-error.ts'
export type {
  Appended,
  AppendOptions,
  AtomicallyAppended,
  AtomicWrites,
  Client,
  Expected,
  QueryOptions,
  QueryResult,
  ReadAllOptions,
  ReadOptions,
  StreamCheck,
  StreamWrite,
  SubscribeOptions,
  SubscriptionMessage,
} from './client.ts'
export type { ClientCounters, ClientStatus, ConnectionStatus } from './client-status.ts'
export type {
  ConsumeOptions,
  ConsumerGroups,
  GroupConsumption,
  GroupDefinition,
  GroupDelivery,
  GroupStatus,
  GroupSummary,
  HandleOptions,
  ParkedEvent,
  ParkedOptions,
  PartitionStatus,
  Rejection,
} from './consumer-groups.ts'
export type { Decided, DecideOptions, Fold, QueryDecider, StreamDecider } from './decision.ts'
export type { AppendCondition, EventFilter, EventQuery, QueryItem } from './event-query.ts'
export type { EventSchemas, EventType, InputsOf, NewEvent, OutputsOf, RecordedEvent } from './event-types.ts'
export type { ConnectOptions, SchemaOptions } from './options.ts'
export type {
  DeleteStreamOptions,
  MetadataOptions,
  StreamInfo,
  StreamInfoOptions,
  StreamMetadata,
  StreamMetadataState,
} from './stream-facts.ts'
