/**
 * What a stream keeps, as the machine knows it: beside the stream's number and revision (stream-state.ts), immutable, one for
 * all streams that nobody ever asked anything of. Only what cannot be computed is stored: what `maxCount` hides follows from
 * the last revision, what `maxAge` hides from retention time, so that neither an append nor a tick changes this.
 *
 * What is hidden never comes back: when the metadata are replaced, what they hide by then is written into `belowRevision` and
 * `throughPosition`.
 *
 *   cell = version u8 (1) · changes u53 · belowRevision u53 · throughPosition u53 · deletedRevision + 1 u53 · isTombstoned u8
 *          · metadata (retention-metadata.ts)
 */
import { ByteReader, ByteWriter, MalformedError, type Bytes } from '@synod/codec'
import { rebuildHint, ReadSideError } from '../read-side.ts'
import { noMetadata, readMetadata, writeMetadata, type StoredMetadata } from './retention-metadata.ts'

const cellVersion = 1

export interface RetentionState {
  readonly metadata: StoredMetadata
  /** Changes so far. */
  readonly version: number
  readonly belowRevision: number
  readonly throughPosition: number
  /** The last revision when it was deleted, so it is deleted as long as that is still the last one. -1: never. */
  readonly deletedRevision: number
  readonly isTombstoned: boolean
}

export const keepsEverything: RetentionState = {
  metadata: noMetadata,
  version: 0,
  belowRevision: 0,
  throughPosition: 0,
  deletedRevision: -1,
  isTombstoned: false,
}

/** The key of a stream's cell. */
export function retentionCell(stream: string): string {
  return `stream/${stream}`
}

export function encodeRetentionState(state: RetentionState): Bytes {
  const writer = new ByteWriter(64).u8(cellVersion).u53(state.version).u53(state.belowRevision).u53(state.throughPosition)
  writer.u53(state.deletedRevision + 1).bool(state.isTombstoned)
  writeMetadata(writer, state.metadata)
  return writer.finish().slice()
}

/** Throws a ReadSideError. */
export function decodeRetentionState(stream: string, bytes: Bytes): RetentionState {
  return decodeCell(retentionCell(stream), bytes, (reader) => {
    const [version, belowRevision, throughPosition] = [reader.u53(), reader.u53(), reader.u53()]
    const deletedRevision = reader.u53() - 1
    const isTombstoned = reader.bool()
    return { metadata: readMetadata(reader), version, belowRevision, throughPosition, deletedRevision, isTombstoned }
  })
}

/** What a cell holds behind its version, which is 1. Throws a ReadSideError that names the cell. */
export function decodeCell<T>(key: string, bytes: Bytes, read: (reader: ByteReader) => T): T {
  const reader = new ByteReader(bytes)
  try {
    const version = reader.u8()
    if (version !== cellVersion)
      throw new ReadSideError('unknown_version', `the read side's cell ${key} has version ${version}, this build knows ${cellVersion}`)
    const value = read(reader)
    reader.end()
    return value
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    throw new ReadSideError('damaged', `the read side's cell ${key} is damaged (${error.message}): ${rebuildHint}`)
  }
}
