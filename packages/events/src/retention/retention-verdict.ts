/**
 * What the machine answers to a change of retention and to a tick; the bytes behind the verdict's kind (verdict.ts).
 *
 *   outcome = 0 · version u53 · state u8 (0 absent, 1 open, 2 deleted, 3 tombstoned)   changed, or so already
 *           | 1 · actual u53 (revision + 1, 0: no stream)                             wrong expected revision
 *           | 2 | 3 | 4                                                               stream not found, tombstoned; a tick was taken
 */
import { MalformedError, type ByteReader, type ByteWriter } from '@synod/codec'
import type { StreamMetadataState } from './stream-retention.ts'

export type StreamCondition = StreamMetadataState['state']

export type RetentionVerdict =
  | { readonly kind: 'retention'; readonly outcome: 'changed'; readonly version: number; readonly state: StreamCondition }
  /** `actual` is the last revision, -1 when there is none. */
  | { readonly kind: 'retention'; readonly outcome: 'wrongExpectedRevision'; readonly actual: number }
  | { readonly kind: 'retention'; readonly outcome: 'streamNotFound' | 'streamTombstoned' | 'ticked' }

const states: readonly StreamCondition[] = ['absent', 'open', 'deleted', 'tombstoned']
const plain = { streamNotFound: 2, streamTombstoned: 3, ticked: 4 } as const

export function writeRetentionVerdict(writer: ByteWriter, verdict: RetentionVerdict): ByteWriter {
  switch (verdict.outcome) {
    case 'changed':
      return writer.u8(0).u53(verdict.version).u8(states.indexOf(verdict.state))
    case 'wrongExpectedRevision':
      return writer.u8(1).u53(verdict.actual + 1)
    default:
      return writer.u8(plain[verdict.outcome])
  }
}

/** Throws a MalformedError. */
export function readRetentionVerdict(reader: ByteReader): RetentionVerdict {
  const kind = 'retention'
  const outcome = reader.u8()
  switch (outcome) {
    case 0: {
      const version = reader.u53()
      const state = states[reader.u8()]
      if (state === undefined) throw new MalformedError('a stream in a state that there is not')
      return { kind, outcome: 'changed', version, state }
    }
    case 1:
      return { kind, outcome: 'wrongExpectedRevision', actual: reader.u53() - 1 }
    case 2:
      return { kind, outcome: 'streamNotFound' }
    case 3:
      return { kind, outcome: 'streamTombstoned' }
    case 4:
      return { kind, outcome: 'ticked' }
    default:
      throw new MalformedError(`an outcome of retention of kind ${outcome}`)
  }
}
