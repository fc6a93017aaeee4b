/**
 * An event as bytes: encoded once, by the client (or by the node that takes it over HTTP), and opaque on every way after that.
 * It is a blob of its command, so that it is hashed and read back alone.
 *
 *   record = version u8 (1) · recordedAt u53 · id 16 bytes · key u32 (0: not encrypted; reserved) · content u8 (0: JSON)
 *            · type string · data bytes · metadata present u8 · [metadata bytes] · tags count u32 · tag string…
 *
 * The id and the time stand at fixed offsets: the machine reads the one and the proposing node stamps the other without
 * decoding the rest. A new version of the record comes with a new
 * version of the command, because all nodes must agree on what is malformed.
 */
import { ByteReader, ByteWriter, MalformedError, type Bytes } from '@synod/codec'
import { formatUuid } from './uuid.ts'

const version = 1
const jsonContent = 0
/** Where the 16 bytes of the id stand in a record. */
export const recordIdOffset = 9
const recordedAtOffset = 1
const fixedBytes = 30
/** Where the length of the type stands, and behind it the type as UTF-8. */
export const recordTypeAt = fixedBytes

export interface EventToRecord {
  readonly type: string
  readonly data: Bytes
  readonly metadata?: Bytes
  readonly tags?: readonly string[]
}

export function encodeRecord(event: EventToRecord, id: Bytes, recordedAt: number): Bytes {
  const { type, data, metadata, tags = [] } = event
  const tagBytes = tags.reduce((sum, tag) => sum + 4 + tag.length * 3, 0)
  const writer = new ByteWriter(fixedBytes + 17 + type.length * 3 + data.length + (metadata?.length ?? 0) + tagBytes)
  writer.u8(version).u53(recordedAt).raw(id).u32(0).u8(jsonContent).string(type).bytes(data)
  if (metadata === undefined) writer.u8(0)
  else writer.u8(1).bytes(metadata)
  writer.u32(tags.length)
  for (const tag of tags) writer.string(tag)
  return writer.finish()
}

/** Whether the bytes have the shape of a record; text is not decoded. The same answer on every node. */
export function isRecord(bytes: Bytes): boolean {
  return recordTagsAt(bytes) > 0
}

/**
 * Where the tags of a record begin: count u32, then each as length u32 and text; they reach to the record's end. The type is
 * found in the same way at `recordTypeAt`. 0 when the bytes do not have the shape of a record. Text is not looked at.
 */
export function recordTagsAt(bytes: Bytes): number {
  if (bytes.length < fixedBytes || bytes[0] !== version || bytes[29] !== jsonContent) return 0
  if (u32(bytes, 25) !== 0) return 0
  let at = fixedBytes
  at += 4 + u32(bytes, at)
  at += 4 + u32(bytes, at)
  const metadata = bytes[at++]
  if (metadata === 1) at += 4 + u32(bytes, at)
  else if (metadata !== 0) return 0
  const tagsAt = at
  const tags = u32(bytes, at)
  at += 4
  if (tags * 4 > bytes.length) return 0
  for (let tag = 0; tag < tags; tag++) at += 4 + u32(bytes, at)
  return at === bytes.length ? tagsAt : 0
}

/** The part of a record that its author wrote. */
export interface RecordBody {
  readonly type: string
  readonly data: Bytes
  readonly metadata?: Bytes
  readonly tags: readonly string[]
}

/** What a record says of its event; where the event stands (stream, revision, position) is known beside it. */
export interface EventContent extends RecordBody {
  readonly id: string
  /** Milliseconds since 1970 by the proposing node's clock. */
  readonly recordedAt: number
}

/** Writes the time into a record in place: a client leaves it 0. @throws MalformedError when there is no room for it */
export function stampRecord(record: Bytes, recordedAt: number): void {
  if (record.length < fixedBytes) throw new MalformedError(`a record of ${record.length} bytes`)
  let high = Math.floor(recordedAt / 0x1_0000_0000)
  let low = recordedAt >>> 0
  for (let at = 3; at >= 0; at--) {
    record[recordedAtOffset + at] = high
    record[recordedAtOffset + 4 + at] = low
    high >>>= 8
    low >>>= 8
  }
}

/** Data and metadata are views into `bytes`. @throws MalformedError */
export function decodeRecord(bytes: Bytes): EventContent {
  const reader = new ByteReader(bytes)
  readVersion(reader)
  const recordedAt = reader.u53()
  const id = formatUuid(reader.raw(16))
  return { id, ...readBody(reader), recordedAt }
}

/** As `decodeRecord`, without id and time: what a node looks at before it takes a record from a client. @throws MalformedError */
export function decodeRecordBody(bytes: Bytes): RecordBody {
  const reader = new ByteReader(bytes)
  readVersion(reader)
  reader.raw(fixedBytes - 6)
  return readBody(reader)
}

function readVersion(reader: ByteReader): void {
  const format = reader.u8()
  if (format !== version) throw new MalformedError(`an event record of version ${format}, this build knows ${version}`)
}

/** From the key on, to the end. */
function readBody(reader: ByteReader): RecordBody {
  const key = reader.u32()
  const content = reader.u8()
  if (key !== 0 || content !== jsonContent) throw new MalformedError(`an event record with key ${key} and content ${content}`)
  const type = reader.string()
  const data = reader.bytes()
  const metadata = reader.bool() ? reader.bytes() : undefined
  const tags: string[] = []
  for (let left = reader.count(4); left > 0; left--) tags.push(reader.string())
  reader.end()
  return metadata === undefined ? { type, data, tags } : { type, data, metadata, tags }
}

/** NaN beyond the end, so that what is computed from it equals no length. */
function u32(bytes: Bytes, at: number): number {
  const [a, b, c, d] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]
  if (a === undefined || b === undefined || c === undefined || d === undefined) return Number.NaN
  return a * 0x100_0000 + ((b << 16) | (c << 8) | d)
}
