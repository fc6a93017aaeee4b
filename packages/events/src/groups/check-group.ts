/** Checks what callers give about groups. Throws an EventStoreError `invalid_argument` or `too_large`. */
import { checkText, invalid } from '../append-request.ts'
import { checkFilter } from '../event-filter.ts'
import { tooLarge, type EventLimits } from '../event-limits.ts'
import type { GroupDefinition } from './consumer-groups.ts'
import { definitionParts, type DefinitionParts } from './group-definition.ts'
import { groupFormat, groupNameRule, isGroupName } from './group-limits.ts'

export function checkGroupName(group: string): void {
  if (typeof group !== 'string' || !isGroupName(group)) throw invalid(`a group's name must be ${groupNameRule}`)
}

export function checkDefinition(definition: GroupDefinition, limits: EventLimits): DefinitionParts {
  if (typeof definition !== 'object' || definition === null) throw invalid('a group is defined by an object')
  const { filter = {}, from = 1, partitionBy = 'stream' } = definition
  if (from !== 'end' && !(Number.isSafeInteger(from) && from >= 0)) throw invalid(`from must be a position or end, not ${String(from)}`)
  checkPartitionBy(partitionBy, limits)
  const parts = definitionParts({ ...definition, filter: checkFilter(filter, limits) })
  checkCount('partitions', definition.partitions, 1, groupFormat.partitionsMax)
  checkCount('ackDeadlineMs', parts.ackDeadlineMs, 1, groupFormat.ackDeadlineMsMax)
  checkCount('attemptsMax', parts.attemptsMax, 1, groupFormat.attemptsMax)
  checkCount('parkedMax', parts.parkedMax, 1, groupFormat.parkedMax)
  const bytes = Buffer.byteLength(parts.fixed)
  if (bytes > groupFormat.definitionBytesMax) throw tooLarge('bytes of a group definition', bytes, groupFormat.definitionBytesMax)
  return parts
}

function checkPartitionBy(partitionBy: NonNullable<GroupDefinition['partitionBy']>, limits: EventLimits): void {
  if (partitionBy === 'stream') return
  if (typeof partitionBy !== 'object' || partitionBy === null) throw invalid('partitionBy must be stream or {tagPrefix}')
  checkText('the prefix of tags that a group is partitioned by', partitionBy.tagPrefix, limits.tagBytesMax)
  if (partitionBy.tagPrefix === '') throw invalid('the prefix of tags that a group is partitioned by must not be empty')
}

function checkCount(name: string, value: number | undefined, min: number, max: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= min && value <= max)) return
  throw invalid(`${name} must be an integer from ${min} to ${max}, not ${String(value)}`)
}

/** So much of it as is kept. */
export function shortReason(reason: string): string {
  let text = reason.toWellFormed()
  while (Buffer.byteLength(text) > groupFormat.reasonBytesMax)
    text = text.slice(0, Math.min(text.length - 1, groupFormat.reasonBytesMax)).toWellFormed()
  return text
}
