/** As append-request.ts, for an append to several streams with checks and a condition. The limits of a request hold over all its writes together. */
import { createHash } from 'node:crypto'
import { ByteWriter, type Bytes } from '@synod/codec'
import { encodeRecord, recordIdOffset, stampRecord } from '@synod/event-record'
import type { SessionCommand } from '@synod/log'
import { digestBytes, encodeAtomicAppend, type IdempotencyKey, type StreamWrite } from './append-command.ts'
import {
  bodyOf,
  checkCount,
  checkEvent,
  checkExpected,
  checkId,
  checkKey,
  checkNoneTwice,
  checkStreamName,
  checkTarget,
  describe,
  digestWrite,
  invalid,
  type Added,
} from './append-request.ts'
import { kindVersion } from './command-kinds.ts'
import { writeCondition, type Condition } from './condition.ts'
import { checkCondition } from './condition-request.ts'
import { tooLarge, type EventLimits } from './event-limits.ts'
import type { AtomicAppendRequest, AtomicRecordsRequest, StreamCheck } from './event-store.ts'

/** A command, and the expectations of its writes and checks, by which its verdict is told. */
export interface AtomicCommand {
  readonly command: SessionCommand
  readonly expectations: readonly StreamCheck[]
}

/** What a request asks, checked, but for its events. */
interface Frame {
  readonly principal: string
  readonly writes: readonly StreamWrite[]
  readonly checks: readonly StreamCheck[]
  readonly condition: Condition | undefined
}

/** Throws an EventStoreError `invalid_argument` or `too_large`. */
export function atomicCommand(request: AtomicAppendRequest, limits: EventLimits, { recordedAt, drawId }: Added): AtomicCommand {
  const frame = checkFrame(request, (write) => write.events, limits)
  const { idempotencyKey } = request
  const events = request.writes.flatMap((write) => write.events)
  const room = new RequestRoom(limits)
  const ids = events.map((event, at) => {
    room.take(checkEvent(event, at, limits))
    return checkId(event, at)
  })
  checkNoneTwice(ids)
  const blobs = events.map((event, at) => encodeRecord(event, ids[at] ?? drawId(), recordedAt))
  if (idempotencyKey === undefined) return commandOf(frame, blobs)
  checkKey(idempotencyKey, limits)
  return commandOf(frame, blobs, { key: idempotencyKey, digest: digest(request, frame, ids) })
}

/** Of records that the caller encoded. Writes the time into them, when all is well. Throws an EventStoreError `invalid_argument` or `too_large`. */
export function atomicRecordsCommand(request: AtomicRecordsRequest, limits: EventLimits, recordedAt: number): AtomicCommand {
  const frame = checkFrame(request, (write) => write.records, limits)
  const records = request.writes.flatMap((write) => write.records)
  const room = new RequestRoom(limits)
  for (const [at, record] of records.entries()) room.take(checkEvent(bodyOf(record, at), at, limits))
  checkNoneTwice(records.map((record) => record.subarray(recordIdOffset, recordIdOffset + 16)))
  for (const record of records) stampRecord(record, recordedAt)
  return commandOf(frame, records)
}

class RequestRoom {
  readonly #max: number
  #bytes = 0

  constructor({ requestBytesMax }: EventLimits) {
    this.#max = requestBytesMax
  }

  take(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes > this.#max) throw tooLarge('bytes of a request', this.#bytes, this.#max)
  }
}

function commandOf({ principal, writes, checks, condition }: Frame, blobs: readonly Bytes[], key?: IdempotencyKey): AtomicCommand {
  const body = encodeAtomicAppend({
    writes,
    checks,
    ...(condition !== undefined && { condition }),
    ...(key !== undefined && { key }),
  })
  return { command: { version: kindVersion, principal, body, blobs }, expectations: [...writes, ...checks] }
}

function checkFrame<W extends AtomicAppendRequest['writes'][number] | AtomicRecordsRequest['writes'][number]>(
  request: Omit<AtomicAppendRequest, 'writes'> & { readonly writes: readonly W[] },
  eventsOf: (write: W) => readonly unknown[],
  limits: EventLimits,
): Frame {
  const { writes, checks = [], condition, principal = '' } = request
  if (!Array.isArray(writes) || writes.length === 0) throw invalid('writes must be a list of at least one write')
  if (!Array.isArray(checks)) throw invalid('checks must be a list')
  const streams = writes.length + checks.length
  if (streams > limits.requestStreamsMax) throw tooLarge('streams in a request, written and checked', streams, limits.requestStreamsMax)
  const checkedWrites = writes.map((write: W, at) => checkWrite(write, at, eventsOf, principal, limits))
  const events = checkedWrites.reduce((sum, { count }) => sum + count, 0)
  if (events > limits.requestEventsMax) throw tooLarge('events in a request', events, limits.requestEventsMax)
  const checkedChecks = checks.map((check: StreamCheck, at) => checkCheck(check, at, limits))
  checkStreamsOnce([...checkedWrites, ...checkedChecks])
  const checkedCondition = condition === undefined ? undefined : checkCondition(condition, limits)
  return { principal, writes: checkedWrites, checks: checkedChecks, condition: checkedCondition }
}

function checkWrite<W extends { readonly stream: string; readonly expected?: StreamCheck['expected'] }>(
  write: W,
  at: number,
  eventsOf: (write: W) => readonly unknown[],
  principal: string,
  limits: EventLimits,
): StreamWrite {
  if (typeof write !== 'object' || write === null) throw invalid(`write ${at} must be an object, not ${describe(write)}`)
  const { stream, expected = 'any' } = write
  checkTarget(stream, expected, principal, limits)
  const events = eventsOf(write)
  checkCount(events, limits)
  return { stream, expected, count: events.length }
}

function checkCheck(check: StreamCheck, at: number, limits: EventLimits): StreamCheck {
  if (typeof check !== 'object' || check === null) throw invalid(`check ${at} must be an object, not ${describe(check)}`)
  const { stream, expected } = check
  checkStreamName(stream, limits)
  checkExpected(expected)
  return { stream, expected }
}

function checkStreamsOnce(named: readonly { readonly stream: string }[]): void {
  const seen = new Set<string>()
  for (const { stream } of named) {
    if (seen.has(stream)) throw invalid(`stream ${JSON.stringify(stream)} stands twice in writes and checks: each stream may stand once`)
    seen.add(stream)
  }
}

/** Covers everything that was asked. No append to one stream has the same: its digest begins with the length of a name. */
function digest({ writes: asked }: AtomicAppendRequest, { writes, checks, condition }: Frame, ids: readonly (Bytes | undefined)[]): Bytes {
  const hash = createHash('sha256').update(new ByteWriter().u32(0xffff_ffff).u32(writes.length).finish())
  let first = 0
  for (const [at, { stream, expected, count }] of writes.entries()) {
    digestWrite(hash, { stream, expected, events: asked[at]!.events }, ids.slice(first, first + count))
    first += count
  }
  const rest = new ByteWriter().u32(checks.length)
  for (const { stream, expected } of checks) rest.string(stream).string(String(expected))
  rest.bool(condition !== undefined)
  if (condition !== undefined) writeCondition(rest, condition)
  return hash.update(rest.finish()).digest().subarray(0, digestBytes)
}
