/**
 * What a slot's row says: which commands took effect and how the others were answered, and for each event its stream,
 * revision, place in the slot's entry and id. From these rows the ids are loaded at a start, readAll finds events, and
 * the log gets answers back that it had not saved. About 25 bytes an event.
 *
 *   index  = version u8 (1) · answers varint · answer… · crc32 u32
 *   answer = index in the batch, less the one before, varint · writes varint
 *            · 0 writes: verdict length varint, verdict | n writes: write…
 *   write  = stream varint · first revision varint · events varint · event…
 *   event  = offset less the end of the one before varint · length varint · id 16 bytes
 */
import { crc32 } from 'node:zlib'
import type { Bytes } from '@synod/codec'
import { recordIdOffset } from '@synod/event-record'
import { rebuildHint, ReadSideError, type SlotRow } from './read-side.ts'
import { decodeVerdict, encodeVerdict, type Verdict } from './verdict.ts'

const version = 1
/** The room for one slot's index that is kept for the next; about 10,000 events. */
const keptBytesMax = 256 * 1024

/** By event, as in a SlotRecord. */
export interface SlotIndex {
  readonly streamNumbers: Uint32Array
  readonly revisions: Float64Array
  readonly offsets: Uint32Array
  readonly lengths: Uint32Array
  readonly ids: Bytes
  readonly answers: ReadonlyMap<number, Verdict>
}

/**
 * Writes the index of one slot after the other, each while its commands are applied: what waits for the read side is then
 * one piece of bytes a slot, and no object lives longer than its slot.
 */
export class SlotIndexWriter {
  readonly #body = new VarintWriter(4096)
  #answers = 0
  #last = -1
  /** Where the last event ends in the entry. */
  #end = 0

  get answers(): number {
    return this.#answers
  }

  /** A command, by its index in the batch, that wrote nothing. */
  refused(index: number, verdict: Verdict): void {
    const encoded = encodeVerdict(verdict)
    this.#answer(index, 0)
    this.#body.room(9 + encoded.length)
    this.#body.varint(encoded.length)
    this.#body.bytes(encoded, 0, encoded.length)
  }

  /** A command that took effect; so many writes follow. */
  appended(index: number, writes: number): void {
    this.#answer(index, writes)
  }

  /** A write; so many events follow. */
  write(stream: number, firstRevision: number, events: number): void {
    this.#body.room(24)
    this.#body.varint(stream)
    this.#body.varint(firstRevision)
    this.#body.varint(events)
  }

  /** An event, by where its record lies in the entry. */
  event(entry: Bytes, offset: number, length: number): void {
    this.#body.room(32)
    this.#body.varint(offset - this.#end)
    this.#body.varint(length)
    this.#body.bytes(entry, offset + recordIdOffset, 16)
    this.#end = offset + length
  }

  /** The slot's index; the next slot begins. */
  finish(): Bytes {
    const head = new VarintWriter(16)
    head.raw(version)
    head.varint(this.#answers)
    const index = sealed(head, this.#body)
    this.#body.clear()
    this.#answers = this.#end = 0
    this.#last = -1
    return index
  }

  #answer(index: number, writes: number): void {
    this.#body.room(16)
    this.#body.varint(index - this.#last - 1)
    this.#body.varint(writes)
    this.#last = index
    this.#answers++
  }
}

/** Throws a ReadSideError `damaged` that names the slot. */
export function decodeSlotIndex(row: SlotRow): SlotIndex {
  const { index: bytes, slot, firstPosition, count } = row
  const damaged = (why: string): ReadSideError =>
    new ReadSideError('damaged', `the read side's row of slot ${slot} is damaged (${why}): ${rebuildHint}`)
  const body = bytes.subarray(0, Math.max(0, bytes.length - 4))
  const sum = crc32(body)
  const stored =
    ((bytes[body.length] ?? 0) << 24) |
    ((bytes[body.length + 1] ?? 0) << 16) |
    ((bytes[body.length + 2] ?? 0) << 8) |
    (bytes[body.length + 3] ?? 0)
  if (bytes.length < 6 || sum >>> 0 !== stored >>> 0) throw damaged('its checksum is wrong')
  if (body[0] !== version)
    throw new ReadSideError('unknown_version', `the read side's row of slot ${slot} has version ${body[0]}, this build knows ${version}`)
  const index: SlotIndex = {
    streamNumbers: new Uint32Array(count),
    revisions: new Float64Array(count),
    offsets: new Uint32Array(count),
    lengths: new Uint32Array(count),
    ids: new Uint8Array(count * 16),
    answers: new Map(),
  }
  const read = readAnswers(new VarintReader(body, 1), index, index.answers as Map<number, Verdict>, firstPosition)
  if (read !== count) throw damaged(`it has ${read} events where ${count} are told`)
  return index
}

function readAnswers(reader: VarintReader, to: SlotIndex, answers: Map<number, Verdict>, firstPosition: number): number {
  let [index, event, end] = [-1, 0, 0]
  for (let left = reader.varint(); left > 0; left--) {
    index += reader.varint() + 1
    const writes = reader.varint()
    if (writes === 0) {
      answers.set(index, decodeVerdict(reader.bytes(reader.varint())))
      continue
    }
    const revisions: number[] = []
    for (let write = 0; write < writes; write++) {
      const stream = reader.varint()
      const first = reader.varint()
      const count = reader.varint()
      for (let at = 0; at < count; at++, event++) {
        to.streamNumbers[event] = stream
        to.revisions[event] = first + at
        const offset = end + reader.varint()
        const length = reader.varint()
        to.offsets[event] = offset
        to.lengths[event] = length
        to.ids.set(reader.bytes(16), event * 16)
        end = offset + length
      }
      revisions.push(first + count - 1)
    }
    answers.set(index, { kind: 'appended', position: firstPosition + event - 1, revisions })
  }
  return event
}

/** Both parts and the checksum of them, in a piece of their own. */
function sealed(head: VarintWriter, body: VarintWriter): Bytes {
  const bytes = new Uint8Array(head.length + body.length + 4)
  bytes.set(head.written(), 0)
  bytes.set(body.written(), head.length)
  const end = bytes.length - 4
  const sum = crc32(bytes.subarray(0, end))
  bytes[end] = sum >>> 24
  bytes[end + 1] = sum >>> 16
  bytes[end + 2] = sum >>> 8
  bytes[end + 3] = sum
  return bytes
}

/** Integers from 0 to 2^53 - 1 in one to eight bytes, low ones first. Whoever writes makes `room` first: it is not looked at again. */
class VarintWriter {
  #bytes: Uint8Array
  #at = 0

  constructor(initialBytes: number) {
    this.#bytes = new Uint8Array(initialBytes)
  }

  get length(): number {
    return this.#at
  }

  room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(this.#at + bytes, this.#bytes.length * 2))
    larger.set(this.written())
    this.#bytes = larger
  }

  raw(byte: number): void {
    this.#bytes[this.#at++] = byte
  }

  varint(value: number): void {
    let rest = value
    for (; rest > 0x7fff_ffff; rest = Math.floor(rest / 128)) this.#bytes[this.#at++] = (rest % 128) | 128
    for (; rest >= 128; rest >>>= 7) this.#bytes[this.#at++] = (rest & 127) | 128
    this.#bytes[this.#at++] = rest
  }

  bytes(from: Bytes, offset: number, length: number): void {
    const bytes = this.#bytes
    let to = this.#at
    for (let at = offset; at < offset + length; at++) bytes[to++] = from[at]!
    this.#at = to
  }

  /** A view. */
  written(): Bytes {
    return this.#bytes.subarray(0, this.#at)
  }

  clear(): void {
    // One large slot must not be remembered for ever.
    if (this.#bytes.length > keptBytesMax) this.#bytes = new Uint8Array(4096)
    this.#at = 0
  }
}

/** Of bytes whose checksum was right. */
class VarintReader {
  readonly #bytes: Bytes
  #at: number

  constructor(bytes: Bytes, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  varint(): number {
    let [value, scale] = [0, 1]
    for (;;) {
      const byte = this.#bytes[this.#at++] ?? 0
      value += (byte & 127) * scale
      if (byte < 128) return value
      scale *= 128
    }
  }

  bytes(length: number): Bytes {
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}
