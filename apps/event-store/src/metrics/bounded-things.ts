import type { Counting } from './metrics-source.ts'

/** Something that may pile up, and how much of it may: two counters of one package. */
export interface BoundedThing {
  /** The label; docs/metrics.md says which bound of docs/limits.md it is. */
  readonly what: string
  readonly unit: 'items' | 'bytes'
  readonly from: Counting
  readonly now: string
  readonly max: string
}

export const boundedThings: readonly BoundedThing[] = [
  { what: 'pending_commands', unit: 'items', from: 'log', now: 'open', max: 'pendingCommandsMax' },
  { what: 'pending_commands', unit: 'bytes', from: 'log', now: 'openBytes', max: 'pendingBytesMax' },
  { what: 'waiting_reads', unit: 'items', from: 'log', now: 'readsWaiting', max: 'readsMax' },
  { what: 'unflushed_events', unit: 'items', from: 'machine', now: 'unflushedEvents', max: 'unflushedEventsMax' },
  { what: 'unflushed_events', unit: 'bytes', from: 'machine', now: 'unflushedBytes', max: 'unflushedBytesMax' },
  { what: 'store_writes', unit: 'bytes', from: 'store', now: 'outstanding_bytes', max: 'outstanding_bytes_max' },
  { what: 'reads_for_later', unit: 'items', from: 'events', now: 'waitingReads', max: 'waitingReadsMax' },
  { what: 'groups', unit: 'items', from: 'events', now: 'groups', max: 'groupsMax' },
  { what: 'group_consumers', unit: 'items', from: 'events', now: 'groupConsumers', max: 'groupConsumersMax' },
  { what: 'subscriptions', unit: 'items', from: 'http', now: 'subscriptions', max: 'subscriptionsMax' },
  { what: 'connections', unit: 'items', from: 'http', now: 'connections', max: 'connectionsMax' },
  { what: 'request_bodies', unit: 'bytes', from: 'http', now: 'bodyBytes', max: 'bodyBytesInFlightMax' },
  { what: 'client_sends', unit: 'bytes', from: 'clients', now: 'sendBytes', max: 'sendBytesMax' },
  { what: 'subscription_pages', unit: 'bytes', from: 'events', now: 'pageBytes', max: 'pageBytesMax' },
]
