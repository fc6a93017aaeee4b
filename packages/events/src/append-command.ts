/**
 * The machine's appends, all or nothing. The command's blobs are the events, those of the first write first.
 *
 *   version 1, plain        = writes · key
 *   version 2, kind append  = kind u8 · writes · checks count u16 · check… · condition present u8 · [condition] · key
 *
 *   writes = count u16 · [stream string · expected · events u32]…
 *   check  = stream string · expected
 *   expected = u8 (0 any, 1 noStream, 2 streamExists, 3 revision) · revision u53 if 3
 *   key    = present u8 · [key string · digest 16 bytes]
 *
 * The condition is that of condition.ts. A stream stands in it once, in writes and checks together.
 */
import { ByteReader, ByteWriter, MalformedError, TextCache, type Bytes } from '@synod/codec'
import { kindWriter } from './command-kinds.ts'
import { readCondition, writeCondition, type Condition } from './condition.ts'
import type { Expected, StreamCheck } from './event-store.ts'
import { formatLimits } from './event-limits.ts'

export const digestBytes = 16
const namesCachedMax = 4096
const names = new TextCache(namesCachedMax)

export interface StreamWrite {
  readonly stream: string
  readonly expected: Expected
  /** How many of the command's blobs, after those of the writes before. */
  readonly count: number
}

export interface IdempotencyKey {
  readonly key: string
  /** Of what was asked: the same key with another digest is refused. */
  readonly digest: Bytes
}

export interface AppendCommand {
  readonly writes: readonly StreamWrite[]
  /** This and what follows: version 2 alone. There checks are there, if only as an empty list. */
  readonly checks?: readonly StreamCheck[]
  readonly condition?: Condition
  readonly key?: IdempotencyKey
}

/** Version 1. */
export function encodeAppendCommand({ writes, key }: Pick<AppendCommand, 'writes' | 'key'>): Bytes {
  let bytes = 3 + (key === undefined ? 0 : 20 + key.key.length * 3)
  for (const { stream } of writes) bytes += 17 + stream.length * 3
  const writer = ByteWriter.brief(bytes)
  writeWrites(writer, writes)
  return writeKey(writer, key).finish()
}

/** Version 2, with the kind. */
export function encodeAtomicAppend({ writes, checks = [], condition, key }: AppendCommand): Bytes {
  const writer = kindWriter('append', 256)
  writeWrites(writer, writes)
  writer.u16(checks.length)
  for (const { stream, expected } of checks) writeExpected(writer.string(stream), expected)
  writer.bool(condition !== undefined)
  if (condition !== undefined) writeCondition(writer, condition)
  return writeKey(writer, key).finish()
}

/** Of version 1. Throws a MalformedError; whether it does is the same on every node. */
export function decodeAppendCommand(body: Bytes, blobs: number): AppendCommand {
  const reader = new ByteReader(body)
  const writes = readWrites(reader, blobs)
  if (writes.length > 1 && new Set(writes.map(({ stream }) => stream)).size < writes.length)
    throw new MalformedError('two writes to one stream')
  const key = readKey(reader)
  reader.end()
  return key === undefined ? { writes } : { writes, key }
}

/** Of version 2, after the kind. Throws a MalformedError. */
export function readAtomicAppend(reader: ByteReader, blobs: number): AppendCommand {
  const writes = readWrites(reader, blobs)
  const checks = readChecks(reader)
  const streams = new Set([...writes, ...checks].map(({ stream }) => stream))
  if (streams.size < writes.length + checks.length) throw new MalformedError('a stream twice in writes and checks')
  const condition = reader.bool() ? readCondition(reader) : undefined
  const key = readKey(reader)
  reader.end()
  return { writes, checks, ...(condition !== undefined && { condition }), ...(key !== undefined && { key }) }
}

function writeWrites(writer: ByteWriter, writes: readonly StreamWrite[]): void {
  writer.u16(writes.length)
  for (const { stream, expected, count } of writes) writeExpected(writer.string(stream), expected).u32(count)
}

function writeExpected(writer: ByteWriter, expected: Expected): ByteWriter {
  if (typeof expected === 'number') return writer.u8(3).u53(expected)
  return writer.u8(expected === 'any' ? 0 : expected === 'noStream' ? 1 : 2)
}

function writeKey(writer: ByteWriter, key: IdempotencyKey | undefined): ByteWriter {
  return key === undefined ? writer.u8(0) : writer.u8(1).string(key.key).raw(key.digest)
}

function readWrites(reader: ByteReader, blobs: number): readonly StreamWrite[] {
  const count = reader.u16()
  if (count < 1 || count > formatLimits.writesMax) throw new MalformedError(`${count} writes`)
  const first = readWrite(reader)
  const writes = [first]
  let events = first.count
  for (let left = count - 1; left > 0; left--) {
    const write = readWrite(reader)
    events += write.count
    writes.push(write)
  }
  if (events !== blobs) throw new MalformedError(`${blobs} blobs for ${events} events`)
  return writes
}

function readWrite(reader: ByteReader): StreamWrite {
  const stream = readStream(reader)
  const expected = readExpected(reader)
  const count = reader.u32()
  if (count === 0) throw new MalformedError('a write without events')
  return { stream, expected, count }
}

function readChecks(reader: ByteReader): readonly StreamCheck[] {
  const checks: StreamCheck[] = []
  const count = reader.u16()
  if (count > formatLimits.checksMax) throw new MalformedError(`${count} checks`)
  for (let left = count; left > 0; left--) checks.push({ stream: readStream(reader), expected: readExpected(reader) })
  return checks
}

function readStream(reader: ByteReader): string {
  const stream = reader.string(formatLimits.streamNameBytesMax, names)
  if (stream === '') throw new MalformedError('a stream without a name')
  return stream
}

function readExpected(reader: ByteReader): Expected {
  const kind = reader.u8()
  if (kind > 3) throw new MalformedError(`an expectation of kind ${kind}`)
  return kind === 0 ? 'any' : kind === 1 ? 'noStream' : kind === 2 ? 'streamExists' : reader.u53()
}

function readKey(reader: ByteReader): IdempotencyKey | undefined {
  return reader.bool() ? { key: reader.string(formatLimits.idempotencyKeyBytesMax), digest: reader.raw(digestBytes) } : undefined
}
