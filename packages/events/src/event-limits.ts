import { EventStoreError } from './event-store-error.ts'

/** What one node accepts over its API. Beyond: EventStoreError `too_large` or `invalid_argument`, and nothing was sent. */
export interface EventLimits {
  /** Data, metadata, type and tags of one event together, in bytes. */
  readonly eventBytesMax: number
  /** The same over all events of a request. */
  readonly requestBytesMax: number
  readonly requestEventsMax: number
  readonly streamNameBytesMax: number
  readonly typeBytesMax: number
  readonly tagsMax: number
  readonly tagBytesMax: number
  readonly idempotencyKeyBytesMax: number
  /** Of an append to several streams: writes and checks together. */
  readonly requestStreamsMax: number
  /** Of a condition: items, and the types and tags of all items together. */
  readonly conditionItemsMax: number
  readonly conditionTermsMax: number
  readonly principalBytesMax: number
  /** The caller's own part of a stream's metadata, as JSON text. */
  readonly customMetadataBytesMax: number
  /** The largest `limit` of a read. */
  readonly readEventsMax: number
  /** A page ends before it has more bytes than this, but holds one event at least. */
  readonly pageBytesMax: number
  /** Of a filter: items, and types, tags, prefixes and categories together. Beyond, `too_large`. */
  readonly filterItemsMax: number
  readonly filterTermsMax: number
  /** Steps that one page of a filtered read takes: postings looked at, positions whose stream was; a fetch from the read side counts as 32. The page ends. */
  readonly scanEventsMax: number
  /** Reads that wait for `atLeast` on this node; beyond, `busy`. */
  readonly waitingReadsMax: number
  /** A slow subscriber costs one page of this size, while there is room for it. */
  readonly subscriptionPageEventsMax: number
  readonly subscriptionPageBytesMax: number
  /**
   * What all subscriptions of this node hold together. Beyond, the page of the slowest reader is let go and read again when it
   * takes more; events in hand alone are more: further subscriptions wait to read.
   */
  readonly subscriptionBytesMax: number
  /** Open subscriptions on this node; beyond, `busy`. */
  readonly subscriptionsMax: number
  /** A subscription that had caught up tells `fellBehind` when more events than this wait for it. */
  readonly fellBehindEvents: number
  /** A moved subscription tells a checkpoint at least this often. */
  readonly checkpointIntervalMs: number
  /** And after it has considered so many events; one that has nothing to look at, at most eight times an interval. */
  readonly checkpointEventsMax: number
  /** Events that a consumer of a group has and has not answered; beyond, it is given none. */
  readonly groupWindowMax: number
  /** Read for a group's consumers on this node and not settled: each of its partitions here has its share, and is read on when that has room. */
  readonly groupHeldEventsMax: number
  /** The same in bytes, of all groups on this node together. One event a partition in any case. */
  readonly groupHeldBytesMax: number
  /** Consumers of groups on this node; beyond, `busy`. */
  readonly groupConsumersMax: number
  /** How often a node with consumers says that it lives, and after what silence the others take it for dead. */
  readonly groupHeartbeatMs: number
  readonly groupMemberSilenceMs: number
  /** How often partitions in which nothing is to be settled say how far they are. */
  readonly groupProgressMs: number
}

export const eventLimits: EventLimits = {
  eventBytesMax: 1024 * 1024,
  requestBytesMax: 8 * 1024 * 1024,
  requestEventsMax: 4096,
  streamNameBytesMax: 512,
  typeBytesMax: 256,
  tagsMax: 64,
  tagBytesMax: 256,
  idempotencyKeyBytesMax: 256,
  requestStreamsMax: 256,
  conditionItemsMax: 64,
  conditionTermsMax: 256,
  principalBytesMax: 256,
  customMetadataBytesMax: 2048,
  readEventsMax: 4096,
  pageBytesMax: 8 * 1024 * 1024,
  filterItemsMax: 32,
  filterTermsMax: 256,
  scanEventsMax: 16_384,
  waitingReadsMax: 16_384,
  subscriptionPageEventsMax: 512,
  subscriptionPageBytesMax: 1024 * 1024,
  subscriptionBytesMax: 256 * 1024 * 1024,
  subscriptionsMax: 10_000,
  fellBehindEvents: 2048,
  checkpointIntervalMs: 5000,
  checkpointEventsMax: 10_000,
  groupWindowMax: 256,
  groupHeldEventsMax: 4096,
  groupHeldBytesMax: 64 * 1024 * 1024,
  groupConsumersMax: 4096,
  groupHeartbeatMs: 3000,
  groupMemberSilenceMs: 15_000,
  groupProgressMs: 2000,
}

/** The machine cannot hold more, whatever a node's limits say: the same on every node, for ever in this command version. */
export const formatLimits = {
  streamNameBytesMax: 2048,
  idempotencyKeyBytesMax: 2048,
  customMetadataBytesMax: 16_384,
  writesMax: 4096,
  checksMax: 4096,
  conditionItemsMax: 1024,
  /** Types and tags of all items together. */
  conditionTermsMax: 4096,
  /** A type or a tag in a condition. */
  termBytesMax: 65_536,
} as const

/** Throws a RangeError that names the limit: a wrong limit is the operator's mistake, found at start. */
export function checkEventLimits(limits: EventLimits): EventLimits {
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`limit ${name} must be a positive integer, not ${value}`)
  }
  for (const name of ['streamNameBytesMax', 'idempotencyKeyBytesMax', 'customMetadataBytesMax'] as const) {
    if (limits[name] > formatLimits[name]) throw new RangeError(`limit ${name} may be at most ${formatLimits[name]}, not ${limits[name]}`)
  }
  for (const name of ['conditionItemsMax', 'conditionTermsMax'] as const) {
    if (limits[name] > formatLimits[name]) throw new RangeError(`limit ${name} may be at most ${formatLimits[name]}, not ${limits[name]}`)
  }
  for (const name of ['typeBytesMax', 'tagBytesMax'] as const) {
    if (limits[name] > formatLimits.termBytesMax)
      throw new RangeError(`limit ${name} may be at most ${formatLimits.termBytesMax}, not ${limits[name]}`)
  }
  if (limits.requestStreamsMax > formatLimits.writesMax)
    throw new RangeError(`limit requestStreamsMax may be at most ${formatLimits.writesMax}, not ${limits.requestStreamsMax}`)
  if (limits.principalBytesMax > 256) throw new RangeError(`limit principalBytesMax may be at most 256, not ${limits.principalBytesMax}`)
  return limits
}

export function tooLarge(what: string, is: number, max: number): EventStoreError {
  return new EventStoreError('too_large', `${what}: ${is}, at most ${max} are allowed`)
}
