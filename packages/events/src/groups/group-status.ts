/** What is told of a group: what the log has, and what this node knows of the consumers that it has itself. */
import type { GroupStatus, PartitionStatus } from './consumer-groups.ts'
import type { GroupDispatcher } from './group-dispatcher.ts'
import type { GroupMotion } from './group-motion.ts'
import type { GroupInstance } from './group-part.ts'
import type { GroupView } from './group-state.ts'

export interface StatusAt {
  /** The last position. */
  readonly head: number
  /** Of the monotonic clock, in milliseconds. */
  readonly now: number
  readonly instances: ReadonlyMap<string, GroupInstance>
  readonly motion: Pick<GroupMotion, 'since'>
  /** A partition elsewhere that did not move for so long stands. */
  readonly stillMs: number
}

export function groupStatus(view: GroupView, here: Pick<GroupDispatcher, 'here'> | undefined, at: StatusAt): GroupStatus {
  const partitions = view.owners.map((_owner, partition) => partitionStatus(view, partition, here, at))
  const counts = new Map<string, number>()
  for (const owner of view.owners) if (owner !== undefined) counts.set(owner, (counts.get(owner) ?? 0) + 1)
  const settled = Math.min(...partitions.map((partition) => partition.settled))
  const why = view.members.size === 0 && settled < at.head ? noConsumer : slowest(partitions)?.why
  return {
    group: view.name,
    definition: view.definition,
    generation: view.generation,
    consumers: [...view.members.values()].map(({ id, consumer, instance }) => ({
      consumer,
      node: at.instances.get(instance)?.node ?? '',
      partitions: counts.get(id) ?? 0,
    })),
    settled,
    // A group may begin ahead of the head.
    lag: Math.max(0, at.head - settled),
    parked: view.parked,
    ...(why !== undefined && { why }),
    partitions,
  }
}

const noConsumer = 'no consumer: start one'

function partitionStatus(
  view: GroupView,
  partition: number,
  here: Pick<GroupDispatcher, 'here'> | undefined,
  at: StatusAt,
): PartitionStatus {
  const { settled, parked, reopened, attempts } = view.partition(partition)
  const owner = view.owners[partition]
  const consumer = owner === undefined ? undefined : view.members.get(owner)?.consumer
  const known = here?.here(partition)
  const held = known?.feed.oldest
  // Of what is delivered elsewhere, what the log knows: replayed, or failed before.
  const position = held?.event.position ?? least(reopened.keys()) ?? least(attempts.keys())
  const why = whyNot(view, partition, known, at)
  return {
    partition,
    settled: reopened.size === 0 ? settled : Math.min(settled, least(reopened.keys())! - 1),
    ...(consumer !== undefined && { consumer }),
    inFlight: known?.given ?? 0,
    parked: parked.size,
    ...(position !== undefined && { oldest: { position, attempts: held?.attempts ?? attempts.get(position) ?? 0 } }),
    ...(why !== undefined && { why }),
  }
}

function whyNot(view: GroupView, partition: number, known: ReturnType<GroupDispatcher['here']>, at: StatusAt): string | undefined {
  const { settled, stoppedAt, reopened } = view.partition(partition)
  if (stoppedAt > 0) {
    const { parkedMax } = view.definition
    return `parked is full (${view.setAside} of ${parkedMax}) and position ${stoppedAt} has to be parked: replay what is parked, or raise parkedMax`
  }
  if (settled >= at.head && reopened.size === 0) return undefined
  if (view.owners[partition] === undefined) return noConsumer
  if (known === undefined) return standsElsewhere(view, partition, at)
  const { oldest } = known.feed
  if (oldest === undefined) return undefined
  const { position } = oldest.event
  if (known.oldestSince !== undefined)
    return `waiting for the answer to position ${position}, which its consumer has had for ${Math.round(at.now - known.oldestSince)} ms`
  if (oldest.stage === 'waiting') return `position ${position} waits for its consumer to take it`
  return `position ${position} was not acknowledged, and the log is about to hear it`
}

function standsElsewhere(view: GroupView, partition: number, { motion, now, stillMs, instances }: StatusAt): string | undefined {
  const since = motion.since(view.name, partition, view.partition(partition).settled)
  if (since === undefined || now - since < stillMs) return undefined
  const member = view.members.get(view.owners[partition] ?? '')
  const node = instances.get(member?.instance ?? '')?.node ?? ''
  return `nothing of it was settled for ${Math.round((now - since) / 1000)} s: its consumer is at node ${node}, which knows why`
}

function slowest(partitions: readonly PartitionStatus[]): PartitionStatus | undefined {
  return partitions.filter(({ why }) => why !== undefined).toSorted((a, b) => a.settled - b.settled)[0]
}

function least(positions: Iterable<number>): number | undefined {
  let found: number | undefined
  for (const position of positions) if (found === undefined || position < found) found = position
  return found
}
