/**
 * What the machine answers to a command: kept in the session table, under the idempotency key, and in the slot's row, so
 * it is small. Streams are told by the order of the command's writes, which whoever asked knows.
 *
 *   verdict = 1 · position u53 · count u16 · revision u53…                  appended
 *           | 2 · count u16 · [write u16 · actual u53 (revision + 1, 0: no stream)]…   wrong expected revision
 *           | 3 · id 16 bytes                                              event id conflict
 *           | 4                                                            idempotency key reused
 *           | 5 · why string                                               malformed
 *           | 6 · count u16 · [place u16 · actual u53 (revision + 1, 0: no stream)]… · position u53   violated
 *           | 7 · scanned u32                                              condition too broad
 *           | 9 · write u16                                                stream tombstoned
 *           | 10 · outcome (retention/retention-verdict.ts)                of retention, and ticks
 *           | 11 · group verdict (groups/group-verdict.ts)
 */
import { ByteReader, ByteWriter, MalformedError, type Bytes } from '@synod/codec'
import { readRetentionVerdict, writeRetentionVerdict, type RetentionVerdict } from './retention/retention-verdict.ts'
import { readGroupVerdict, writeGroupVerdict, type GroupVerdict } from './groups/group-verdict.ts'

export type Verdict =
  /** `position` and the revisions, one for each write, are those of the last event. */
  | { readonly kind: 'appended'; readonly position: number; readonly revisions: readonly number[] }
  /** Every violated check at once. `actual` is the last revision, -1 when there is no such stream. */
  | { readonly kind: 'wrongExpectedRevision'; readonly violations: readonly { readonly write: number; readonly actual: number }[] }
  /** The first id that stands elsewhere, or stands already where others of the request do not. */
  | { readonly kind: 'eventIdConflict'; readonly id: Bytes }
  | { readonly kind: 'keyReused' }
  /** A bug of the node that proposed it. */
  | { readonly kind: 'malformed'; readonly why: string }
  /** Of an append of version 2: everything that was violated. */
  | {
      readonly kind: 'violated'
      /** A place is that of a write, or the number of writes and that of a check. `actual` as above. */
      readonly revisions: readonly { readonly place: number; readonly actual: number }[]
      /** The newest event found that matches the condition; 0 when it held. */
      readonly position: number
    }
  /** So much was looked at, and neither a match was found nor the end reached. */
  | { readonly kind: 'conditionTooBroad'; readonly scanned: number }
  /** The first of the writes whose stream takes nothing any more. */
  | { readonly kind: 'streamTombstoned'; readonly write: number }
  | RetentionVerdict
  /** Of a command of groups. */
  | { readonly kind: 'group'; readonly group: GroupVerdict }

const keyReused: Verdict = { kind: 'keyReused' }

/** What it gives is brief (`ByteWriter.brief`): copy it to keep it. */
export function encodeVerdict(verdict: Verdict): Bytes {
  const writer = ByteWriter.brief(32)
  switch (verdict.kind) {
    case 'appended':
      writer.u8(1).u53(verdict.position).u16(verdict.revisions.length)
      for (const revision of verdict.revisions) writer.u53(revision)
      return writer.finish()
    case 'wrongExpectedRevision':
      writer.u8(2).u16(verdict.violations.length)
      for (const { write, actual } of verdict.violations) writer.u16(write).u53(actual + 1)
      return writer.finish()
    case 'eventIdConflict':
      return writer.u8(3).raw(verdict.id).finish()
    case 'keyReused':
      return writer.u8(4).finish()
    case 'malformed':
      return writer.u8(5).string(verdict.why).finish()
    case 'violated':
      writer.u8(6).u16(verdict.revisions.length)
      for (const { place, actual } of verdict.revisions) writer.u16(place).u53(actual + 1)
      return writer.u53(verdict.position).finish()
    case 'conditionTooBroad':
      return writer.u8(7).u32(verdict.scanned).finish()
    case 'streamTombstoned':
      return writer.u8(9).u16(verdict.write).finish()
    case 'retention':
      return writeRetentionVerdict(writer.u8(10), verdict).finish()
    case 'group':
      return writeGroupVerdict(writer.u8(11), verdict.group).finish()
  }
}

/** Throws a MalformedError. */
export function decodeVerdict(bytes: Bytes): Verdict {
  const reader = new ByteReader(bytes)
  const verdict = decodeKind(reader.u8(), reader)
  reader.end()
  return verdict
}

function decodeKind(kind: number, reader: ByteReader): Verdict {
  switch (kind) {
    case 1: {
      const position = reader.u53()
      const revisions: number[] = []
      for (let left = reader.u16(); left > 0; left--) revisions.push(reader.u53())
      return { kind: 'appended', position, revisions }
    }
    case 2: {
      const violations: { write: number; actual: number }[] = []
      for (let left = reader.u16(); left > 0; left--) violations.push({ write: reader.u16(), actual: reader.u53() - 1 })
      return { kind: 'wrongExpectedRevision', violations }
    }
    case 3:
      return { kind: 'eventIdConflict', id: reader.raw(16) }
    case 4:
      return keyReused
    case 5:
      return { kind: 'malformed', why: reader.string() }
    case 6: {
      const revisions: { place: number; actual: number }[] = []
      for (let left = reader.u16(); left > 0; left--) revisions.push({ place: reader.u16(), actual: reader.u53() - 1 })
      return { kind: 'violated', revisions, position: reader.u53() }
    }
    case 7:
      return { kind: 'conditionTooBroad', scanned: reader.u32() }
    case 9:
      return { kind: 'streamTombstoned', write: reader.u16() }
    case 10:
      return readRetentionVerdict(reader)
    case 11:
      return { kind: 'group', group: readGroupVerdict(reader) }
    default:
      throw new MalformedError(`a verdict of kind ${kind}`)
  }
}
