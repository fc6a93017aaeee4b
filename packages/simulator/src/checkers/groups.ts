/**
 * What consumers of a group saw, against the log: nothing is skipped, inside a key and a generation the order holds, what was told
 * to be settled does not come again (but for what is replayed), and what is parked was not acknowledged.
 */
import type { SeenEvent } from './history.ts'
import type { Violation } from './violation.ts'

export interface GroupDelivery {
  readonly consumer: string
  readonly event: SeenEvent
  readonly generation: number
  readonly partition: number
  readonly attempt: number
  readonly at: number
}

export interface GroupHistory {
  readonly deliveries: GroupDelivery[]
  readonly acknowledgements: { readonly position: number; readonly generation: number }[]
  /** Delivered and, the last time, not acknowledged: the deadline passed, or the connection broke. */
  readonly unanswered: Set<number>
  readonly rejections: { readonly position: number; readonly generation: number; readonly rejection: 'retry' | 'park' | 'skip' }[]
  readonly settled: { readonly position: number; readonly generation: number; readonly at: number }[]
}

export interface GroupEnd {
  /** Positions that the group is for, ascending, with their keys. Those that retention hides at the end may have been left out. */
  readonly wanted: readonly { readonly position: number; readonly key: string; readonly isHidden?: boolean }[]
  /** Everything at or below is settled. */
  readonly settled: number
  readonly parked: readonly number[]
}

export function checkGroup(group: string, history: GroupHistory, end: GroupEnd): Violation[] {
  const violations: Violation[] = []
  const accuse = (message: string): void => void violations.push({ kind: 'group', message: `group ${group}: ${message}` })
  const keys = new Map(end.wanted.map(({ position, key }) => [position, key]))
  const delivered = new Set(history.deliveries.map(({ event }) => event.position))
  const parked = new Set(end.parked)
  for (const position of delivered) if (!keys.has(position)) accuse(`position ${position} was delivered, and is not for the group`)
  for (const { position, key, isHidden = false } of end.wanted)
    if (!isHidden && position <= end.settled && !delivered.has(position) && !parked.has(position))
      accuse(`position ${position} of ${key} was skipped`)
  checkOrder(history.deliveries, keys, accuse)
  const settledAt = new Map<number, { readonly at: number; readonly generation: number }>()
  for (const { position, at, generation } of history.settled) if (!settledAt.has(position)) settledAt.set(position, { at, generation })
  const acknowledged = new Set(history.acknowledgements.map(({ position }) => position))
  const rejected = new Set(history.rejections.map(({ position }) => position))
  for (const { event, at, consumer, generation } of history.deliveries) {
    const before = settledAt.get(event.position)
    // A node that was cut off delivers in its generation until it hears of a newer one: what its consumers say is stale.
    if (before !== undefined && generation < before.generation) continue
    if (before !== undefined && before.at < at) accuse(`position ${event.position} was settled, and came again to ${consumer}`)
  }
  for (const position of parked)
    if (settledAt.has(position) && acknowledged.has(position) && !rejected.has(position) && !history.unanswered.has(position))
      accuse(`position ${position} was acknowledged, and is parked`)
  return violations
}

/** First deliveries of a key in a generation ascend. */
function checkOrder(deliveries: readonly GroupDelivery[], keys: ReadonlyMap<number, string>, accuse: (message: string) => void): void {
  const last = new Map<string, number>()
  const seen = new Set<string>()
  for (const { event, generation } of deliveries) {
    const { position } = event
    const key = `${generation} ${keys.get(position)}`
    if (seen.has(`${generation} ${position}`)) continue
    seen.add(`${generation} ${position}`)
    const before = last.get(key) ?? 0
    if (position < before) accuse(`position ${position} came after ${before} in generation ${key}`)
    last.set(key, position)
  }
}
