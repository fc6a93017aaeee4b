/**
 * Changes of what streams keep, as clients heard of them, against the model's changes of the same streams: each that was
 * acknowledged is there, as it was asked for, and whoever asks afterwards, linearizably, sees what it made.
 */
import { isDeepStrictEqual } from 'node:util'
import type { HistoryOperation } from './history.ts'
import type { StreamChange } from './retention-model.ts'
import type { Violation } from './violation.ts'

export interface RetentionOperation {
  readonly client: string
  readonly call: number
  readonly returned: number
  readonly op: StreamChange['op'] | 'metadata'
  readonly consistency?: 'linearizable' | 'local'
  readonly stream: string
  /** What was set, or read. */
  readonly metadata: object
  readonly version: number
  readonly state: string
}

/** `operations`: those that were answered with a version. */
export function checkRetention(
  operations: readonly RetentionOperation[],
  reads: readonly HistoryOperation[],
  changesOf: (stream: string) => readonly StreamChange[],
): Violation[] {
  const violations: Violation[] = []
  const accuse = (message: string): void => void violations.push({ kind: 'retention', message })
  for (const operation of operations) {
    const { client, call, op, stream, metadata, version, state, consistency } = operation
    const who = `${op} of ${stream} by ${client} at ${call}`
    const made = changesOf(stream)[version - 1]
    const change = made && { ...made, metadata: asTold(made.metadata) }
    const isRead = op === 'metadata'
    if (change === undefined ? !isRead || version > 0 || Object.keys(metadata).length > 0 : !isDeepStrictEqual(metadata, change.metadata))
      accuse(`${who} was answered with version ${version} and ${JSON.stringify(metadata)}; the log says ${JSON.stringify(change)}`)
    else if (change !== undefined && !isRead && ((change.op !== op && change.state !== 'deleted') || change.state !== state))
      accuse(`${who} was answered with version ${version} ${state}; the log says ${JSON.stringify(change)}`)
    const known = consistency === 'local' ? 0 : versionBefore(operations, stream, call)
    if (version < known) accuse(`${who} was answered with version ${version}, and ${known} was acknowledged before`)
  }
  for (const read of reads) {
    if (read.kind !== 'readStream' || read.consistency !== 'linearizable' || read.events === undefined) continue
    const change = changesOf(read.stream)[versionBefore(operations, read.stream, read.call) - 1]
    const early = read.events.find(({ revision }) => revision < (change?.first ?? 0))
    if (early !== undefined)
      accuse(
        `readStream of ${read.stream} by ${read.client} at ${read.call} shows revision ${early.revision}, and ${change?.first} was the first one`,
      )
  }
  return violations
}

/** The log has the caller's own as JSON text. */
function asTold({ custom, ...rest }: StreamChange['metadata']): object {
  return custom === undefined ? rest : { ...rest, custom: JSON.parse(custom) as object }
}

/** The highest that somebody had been told. */
function versionBefore(operations: readonly RetentionOperation[], stream: string, call: number): number {
  return operations.reduce((most, other) => (other.stream === stream && other.returned < call ? Math.max(most, other.version) : most), 0)
}
