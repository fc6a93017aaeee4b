/** The events of the workload say in their data whose they are: `"identity ordinal padding"`, JSON text. */
import { decodeRecord } from '@synod/event-record'
import type { ProposedEvent, RecordedEvent } from '@synod/events'
import type { SeenEvent } from '../checkers/history.ts'

export function simEvent(identity: string, ordinal: number, paddingBytes: number, id: string | undefined): ProposedEvent {
  const data = Buffer.from(`"${identity} ${ordinal} ${'x'.repeat(paddingBytes)}"`, 'latin1')
  return { type: 'simulated', data: new Uint8Array(data), ...(id === undefined ? {} : { id }) }
}

export function seen({ record, position, stream, revision }: RecordedEvent): SeenEvent {
  const { data } = decodeRecord(record)
  const [identity = '', ordinal = '0'] = Buffer.from(data.buffer, data.byteOffset + 1, Math.min(data.length - 1, 64))
    .toString('latin1')
    .split(' ')
  return { identity, ordinal: Number(ordinal), position, stream, revision }
}
