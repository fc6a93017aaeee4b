/**
 * Which partition an event belongs to. Its key is its stream, or the first of its tags that begins with the group's prefix (its
 * stream when none does). Of SHA-256(key as UTF-8) the first four bytes, big-endian, modulo the number of partitions are the
 * partition; the next eight name the key where the machine has to remember one, in hexadecimal. This never changes: what is
 * parked and how far partitions are is counted by it.
 */
import { createHash } from 'node:crypto'
import { decodeRecordBody } from '@synod/event-record'
import type { GroupDefinition } from './consumer-groups.ts'
import type { RecordedEvent } from '../event-store.ts'

export interface PartitionKey {
  /** Modulo the number of partitions: the partition. */
  readonly spread: number
  /** Eight bytes as 16 hexadecimal digits. Two keys of a partition with one name would be parked together: once in 2^64. */
  readonly name: string
}

/** When it is full it begins anew. */
const cachedMax = 16_384
const cached = new Map<string, PartitionKey>()

export function partitionKey(text: string): PartitionKey {
  const known = cached.get(text)
  if (known !== undefined) return known
  const hash = createHash('sha256').update(text).digest()
  const key = { spread: hash.readUInt32BE(0), name: hash.toString('hex', 4, 12) }
  if (cached.size >= cachedMax) cached.clear()
  cached.set(text, key)
  return key
}

export function keyOf(
  { stream, record }: Pick<RecordedEvent, 'stream' | 'record'>,
  partitionBy: GroupDefinition['partitionBy'],
): PartitionKey {
  if (partitionBy === undefined || partitionBy === 'stream') return partitionKey(stream)
  const { tagPrefix } = partitionBy
  return partitionKey(decodeRecordBody(record).tags?.find((tag) => tag.startsWith(tagPrefix)) ?? stream)
}
