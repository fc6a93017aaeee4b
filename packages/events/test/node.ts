import {
  createEventMachine,
  openEventStore,
  type EventLimits,
  type EventMachine,
  type EventMachineLimits,
  type EventStore,
  type ProposedEvent,
  type ReadSide,
  type RecordedEvent,
  type SubscriptionMessage,
  type Verdict,
} from '@synod/events'
import { memoryReadSide, memoryReadSideStorage, type MemoryReadSideStorage } from '@synod/events/memory'
import type { Bytes } from '@synod/codec'
import type { OrderedLog } from '@synod/log'
import { SequentialLog } from './sequential-log.ts'

export interface NodeOptions {
  readonly machine?: Partial<EventMachineLimits>
  readonly limits?: Partial<EventLimits>
  readonly storage?: MemoryReadSideStorage
  readonly readSide?: ReadSide
  readonly slots?: Bytes[]
}

export interface TestNode {
  readonly store: EventStore
  readonly machine: EventMachine
  readonly log: SequentialLog<Verdict>
  readonly storage: MemoryReadSideStorage
}

/** One node on a log of its own, with a read side in memory. */
export async function openNode({
  machine: machineLimits = {},
  limits = {},
  storage = memoryReadSideStorage(),
  slots = [],
  readSide = memoryReadSide({ storage }),
}: NodeOptions = {}): Promise<TestNode> {
  const machine = createEventMachine({ readSide, limits: machineLimits })
  const log = await SequentialLog.open(machine, slots)
  const store = openEventStore({ log: log as unknown as OrderedLog<Verdict>, machine, limits, now: () => 1_700_000_000_000 })
  return { store, machine, log, storage }
}

export function event(type: string, value: unknown = {}, more: Partial<ProposedEvent> = {}): ProposedEvent {
  return { type, data: new TextEncoder().encode(JSON.stringify(value)), ...more }
}

export function uuid(number: number): string {
  return `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`
}

/** Takes messages until the predicate says that this was the last one. */
export async function take(
  messages: AsyncIterable<SubscriptionMessage>,
  isLast: (message: SubscriptionMessage) => boolean,
): Promise<SubscriptionMessage[]> {
  const taken: SubscriptionMessage[] = []
  for await (const message of messages) {
    taken.push(message)
    if (isLast(message)) break
  }
  return taken
}

export function eventsOf(messages: readonly SubscriptionMessage[]): RecordedEvent[] {
  return messages.flatMap((message) => (message.kind === 'events' ? message.events : []))
}
