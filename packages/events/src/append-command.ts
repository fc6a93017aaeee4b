/**
 * The machine's command, version 1: appends to streams, all or nothing. The API sends one write so far; the form takes
 * several. The command's blobs are the events, those of the first write first.
 *
 *   append = count u16 · [stream string · expected u8 (0 any, 1 noStream, 2 streamExists, 3 revision) · revision u53 if 3
 *            · events u32]… · key present u8 · [key string · digest 16 bytes]
 */
import { ByteReader, ByteWriter, MalformedError, TextCache, type Bytes } from '@synod/codec'
import type { Expected } from './event-store.ts'
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
  readonly key?: IdempotencyKey
}

export function encodeAppendCommand({ writes, key }: AppendCommand): Bytes {
  let bytes = 3 + (key === undefined ? 0 : 20 + key.key.length * 3)
  for (const { stream } of writes) bytes += 17 + stream.length * 3
  const writer = ByteWriter.brief(bytes)
  writer.u16(writes.length)
  for (const { stream, expected, count } of writes) {
    writer.string(stream)
    if (typeof expected === 'number') writer.u8(3).u53(expected)
    else writer.u8(expected === 'any' ? 0 : expected === 'noStream' ? 1 : 2)
    writer.u32(count)
  }
  if (key === undefined) return writer.u8(0).finish()
  return writer.u8(1).string(key.key).raw(key.digest).finish()
}

/** Throws a MalformedError; whether it does is the same on every node. */
export function decodeAppendCommand(body: Bytes, blobs: number): AppendCommand {
  return readAppendCommand(new ByteReader(body), blobs)
}

/** To the reader's end. Throws a MalformedError. */
export function readAppendCommand(reader: ByteReader, blobs: number): AppendCommand {
  const count = reader.u16()
  if (count < 1 || count > formatLimits.writesMax) throw new MalformedError(`${count} writes`)
  const first = decodeWrite(reader)
  const writes = [first]
  let events = first.count
  for (let left = count - 1; left > 0; left--) {
    const write = decodeWrite(reader)
    events += write.count
    writes.push(write)
  }
  if (events !== blobs) throw new MalformedError(`${blobs} blobs for ${events} events`)
  if (count > 1 && new Set(writes.map(({ stream }) => stream)).size < count) throw new MalformedError('two writes to one stream')
  const key = reader.bool() ? { key: reader.string(formatLimits.idempotencyKeyBytesMax), digest: reader.raw(digestBytes) } : undefined
  reader.end()
  return key === undefined ? { writes } : { writes, key }
}

function decodeWrite(reader: ByteReader): StreamWrite {
  const stream = reader.string(formatLimits.streamNameBytesMax, names)
  const kind = reader.u8()
  if (kind > 3) throw new MalformedError(`an expectation of kind ${kind}`)
  const expected = kind === 0 ? 'any' : kind === 1 ? 'noStream' : kind === 2 ? 'streamExists' : reader.u53()
  const count = reader.u32()
  if (stream === '' || count === 0) throw new MalformedError('a write without a stream or without events')
  return { stream, expected, count }
}
