/**
 * The command by which a stream's retention changes.
 *
 *   change = op u8 (1 metadata, 2 delete, 3 tombstone) · stream string · metadata (retention-metadata.ts) if 1
 *            · expected u8 (0 any, 1 noStream, 2 streamExists, 3 revision) · revision u53 if 3, if 2 or 3
 */
import { MalformedError, type ByteReader, type Bytes } from '@synod/codec'
import { kindWriter } from '../command-kinds.ts'
import { formatLimits } from '../event-limits.ts'
import type { Expected } from '../event-store.ts'
import { readMetadata, writeMetadata, type StoredMetadata } from './retention-metadata.ts'

export type RetentionCommand =
  | { readonly op: 'setMetadata'; readonly stream: string; readonly metadata: StoredMetadata }
  | { readonly op: 'delete' | 'tombstone'; readonly stream: string; readonly expected: Expected }

/** With its kind. */
export function encodeRetentionCommand(command: RetentionCommand): Bytes {
  const { op, stream } = command
  const writer = kindWriter('retention')
    .u8(op === 'setMetadata' ? 1 : op === 'delete' ? 2 : 3)
    .string(stream)
  if (op === 'setMetadata') {
    writeMetadata(writer, command.metadata)
    return writer.finish()
  }
  const { expected } = command
  if (typeof expected === 'number') writer.u8(3).u53(expected)
  else writer.u8(expected === 'any' ? 0 : expected === 'noStream' ? 1 : 2)
  return writer.finish()
}

/** Behind its kind, to the reader's end. Throws a MalformedError; whether it does is the same on every node. */
export function readRetentionCommand(reader: ByteReader, blobs: number): RetentionCommand {
  if (blobs > 0) throw new MalformedError(`${blobs} blobs with a change of retention`)
  const op = reader.u8()
  const stream = reader.string(formatLimits.streamNameBytesMax)
  if (stream === '' || stream.startsWith('$')) throw new MalformedError(`retention of stream ${JSON.stringify(stream)}`)
  const command = readChange(op, stream, reader)
  reader.end()
  return command
}

function readChange(op: number, stream: string, reader: ByteReader): RetentionCommand {
  switch (op) {
    case 1:
      return { op: 'setMetadata', stream, metadata: readMetadata(reader) }
    case 2:
    case 3:
      return { op: op === 2 ? 'delete' : 'tombstone', stream, expected: readExpected(reader) }
    default:
      throw new MalformedError(`a change of retention of kind ${op}`)
  }
}

function readExpected(reader: ByteReader): Expected {
  const kind = reader.u8()
  if (kind > 3) throw new MalformedError(`an expectation of kind ${kind}`)
  return kind === 0 ? 'any' : kind === 1 ? 'noStream' : kind === 2 ? 'streamExists' : reader.u53()
}
