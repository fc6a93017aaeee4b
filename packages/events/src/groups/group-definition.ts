/**
 * A group's definition: what is fixed for its life (what it consumes, from where, how it is partitioned), kept as the JSON of
 * the node that made it, and what may change. Two definitions are the same group's when their fixed parts are the same text.
 */
import type { ByteWriter } from '@synod/codec'
import { MalformedError, type ByteReader } from '@synod/codec'
import type { EventFilter } from '../event-store.ts'
import type { GroupDefinition } from './consumer-groups.ts'
import { groupFormat } from './group-limits.ts'

export interface DefinitionParts {
  readonly fixed: string
  readonly ackDeadlineMs: number
  readonly attemptsMax: number
  readonly parkedMax: number
}

type Fixed = Pick<Required<GroupDefinition>, 'filter' | 'from' | 'partitionBy' | 'partitions'>

export const definitionDefaults = { partitions: 64, ackDeadlineMs: 30_000, attemptsMax: 10, parkedMax: 1000 } as const

export function definitionParts(definition: GroupDefinition): DefinitionParts {
  const { filter = {}, from = 1, partitionBy = 'stream', partitions = definitionDefaults.partitions } = definition
  const { ackDeadlineMs, attemptsMax, parkedMax } = { ...definitionDefaults, ...definition }
  const by = partitionBy === 'stream' ? partitionBy : { tagPrefix: partitionBy.tagPrefix }
  const fixed: Fixed = { filter: plain(filter), from: from === 0 ? 1 : from, partitionBy: by, partitions }
  return { fixed: JSON.stringify(fixed), ackDeadlineMs, attemptsMax, parkedMax }
}

/** In one order of members, without what asks for nothing, so that the same filter is the same text. */
function plain({ items = [], prefixes = [], categories = [] }: EventFilter): EventFilter {
  return {
    ...(items.length > 0 && {
      items: items.map(({ types = [], tags = [] }) => ({ ...(types.length > 0 && { types }), ...(tags.length > 0 && { tags }) })),
    }),
    ...(prefixes.length > 0 && { prefixes }),
    ...(categories.length > 0 && { categories }),
  }
}

/** Throws a MalformedError for a text that no node wrote. */
export function wholeDefinition({ fixed, ackDeadlineMs, attemptsMax, parkedMax }: DefinitionParts): Required<GroupDefinition> {
  return { ...readFixed(fixed), ackDeadlineMs, attemptsMax, parkedMax }
}

function readFixed(text: string): Fixed {
  let fixed: Partial<Fixed> | null
  try {
    fixed = JSON.parse(text) as Partial<Fixed> | null
  } catch {
    throw new MalformedError('a group whose definition is no JSON')
  }
  if (typeof fixed !== 'object' || fixed === null) throw new MalformedError('a group whose definition is no object')
  const { filter, from, partitionBy, partitions } = fixed
  const isFrom = from === 'end' || (Number.isSafeInteger(from) && from! >= 1)
  const isBy =
    partitionBy === 'stream' || (typeof partitionBy === 'object' && partitionBy !== null && typeof partitionBy.tagPrefix === 'string')
  const isCount = Number.isSafeInteger(partitions) && partitions! >= 1 && partitions! <= groupFormat.partitionsMax
  if (typeof filter !== 'object' || filter === null || !isFrom || !isBy || !isCount)
    throw new MalformedError('a group whose definition is incomplete')
  return { filter, from: from!, partitionBy: partitionBy!, partitions: partitions! }
}

export function writeDefinition(writer: ByteWriter, { fixed, ackDeadlineMs, attemptsMax, parkedMax }: DefinitionParts): void {
  writer.string(fixed).u32(ackDeadlineMs).u32(attemptsMax).u32(parkedMax)
}

export function readDefinition(reader: ByteReader): DefinitionParts {
  const fixed = reader.string(groupFormat.definitionBytesMax)
  const parts = { fixed, ackDeadlineMs: reader.u32(), attemptsMax: reader.u32(), parkedMax: reader.u32() }
  const { ackDeadlineMs, attemptsMax, parkedMax } = parts
  if (ackDeadlineMs < 1 || attemptsMax < 1 || parkedMax > groupFormat.parkedMax)
    throw new MalformedError('a group with limits that make no sense')
  readFixed(fixed)
  return parts
}
