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
  readonly principalBytesMax: number
  /** The largest `limit` of a read. */
  readonly readEventsMax: number
  /** A page ends before it has more bytes than this, but holds one event at least. */
  readonly pageBytesMax: number
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
  principalBytesMax: 256,
  readEventsMax: 4096,
  pageBytesMax: 8 * 1024 * 1024,
  subscriptionPageEventsMax: 512,
  subscriptionPageBytesMax: 1024 * 1024,
  subscriptionBytesMax: 256 * 1024 * 1024,
  subscriptionsMax: 10_000,
  fellBehindEvents: 2048,
  checkpointIntervalMs: 5000,
}

/** The machine cannot hold more, whatever a node's limits say: the same on every node, for ever in this command version. */
export const formatLimits = { streamNameBytesMax: 2048, idempotencyKeyBytesMax: 2048, writesMax: 4096 } as const

/** Throws a RangeError that names the limit: a wrong limit is the operator's mistake, found at start. */
export function checkEventLimits(limits: EventLimits): EventLimits {
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`limit ${name} must be a positive integer, not ${value}`)
  }
  for (const name of ['streamNameBytesMax', 'idempotencyKeyBytesMax'] as const) {
    if (limits[name] > formatLimits[name]) throw new RangeError(`limit ${name} may be at most ${formatLimits[name]}, not ${limits[name]}`)
  }
  if (limits.principalBytesMax > 256) throw new RangeError(`limit principalBytesMax may be at most 256, not ${limits.principalBytesMax}`)
  return limits
}

export function tooLarge(what: string, is: number, max: number): EventStoreError {
  return new EventStoreError('too_large', `${what}: ${is}, at most ${max} are allowed`)
}
