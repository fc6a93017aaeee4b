/** The events of the workload say in their data whose they are: `"identity ordinal padding"`, JSON text. */
import { decodeRecord } from '@synod/event-record'
import type { ProposedEvent, RecordedEvent } from '@synod/events'
import type { SeenEvent } from '../checkers/history.ts'

/** What a filter looks at, beside the stream. */
export interface Labels {
  readonly type: string
  readonly tags: readonly string[]
}

const plain: Labels = { type: 'simulated', tags: [] }

export function simEvent(
  identity: string,
  ordinal: number,
  paddingBytes: number,
  id: string | undefined,
  { type, tags }: Labels = plain,
): ProposedEvent {
  const data = Buffer.from(`"${identity} ${ordinal} ${'x'.repeat(paddingBytes)}"`, 'latin1')
  return { type, data: new Uint8Array(data), ...(tags.length === 0 ? {} : { tags }), ...(id === undefined ? {} : { id }) }
}

export function seen({ record, position, stream, revision }: RecordedEvent): SeenEvent {
  const { data, type, tags } = decodeRecord(record)
  const [identity = '', ordinal = '0'] = Buffer.from(data.buffer, data.byteOffset + 1, Math.min(data.length - 1, 64))
    .toString('latin1')
    .split(' ')
  return { identity, ordinal: Number(ordinal), position, stream, revision, type, tags }
}
