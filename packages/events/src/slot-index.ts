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
import { ReadSideError, type SlotRow } from './read-side.ts'
import type { SlotAnswer, SlotRecord } from './slot-record.ts'
import { decodeVerdict, encodeVerdict, type Verdict } from './verdict.ts'

const version = 1

/** By event, as in a SlotRecord. */
export interface SlotIndex {
  readonly streamNumbers: Uint32Array
  readonly revisions: Float64Array
  readonly offsets: Uint32Array
  readonly lengths: Uint32Array
  readonly ids: Bytes
  readonly answers: ReadonlyMap<number, Verdict>
}

export function encodeSlotIndex(record: SlotRecord, answers: readonly SlotAnswer[]): Bytes {
  const refusals = answers.map(({ verdict, wrote }) => (wrote === undefined ? encodeVerdict(verdict) : undefined))
  const writes = answers.reduce((sum, { wrote }) => sum + (wrote?.length ?? 0), 0)
  const refusalBytes = refusals.reduce((sum, refusal) => sum + (refusal?.length ?? 0), 0)
  const out = new VarintWriter(16 + answers.length * 16 + refusalBytes + writes * 24 + record.offsets.length * 26)
  out.raw(version)
  out.varint(answers.length)
  let [last, event, end] = [-1, 0, 0]
  answers.forEach(({ index, wrote = [] }, at) => {
    out.varint(index - last - 1)
    last = index
    out.varint(wrote.length)
    const refusal = refusals[at]
    if (refusal !== undefined) {
      out.varint(refusal.length)
      out.bytes(refusal, 0, refusal.length)
    }
    for (const count of wrote) {
      out.varint(record.streams[event]?.number ?? 0)
      out.varint(record.revisions[event] ?? 0)
      out.varint(count)
      for (let left = count; left > 0; left--, event++) {
        const [offset = 0, length = 0] = [record.offsets[event], record.lengths[event]]
        out.varint(offset - end)
        out.varint(length)
        out.bytes(record.entry, offset + recordIdOffset, 16)
        end = offset + length
      }
    }
  })
  return out.sealed()
}

/** Throws a ReadSideError `damaged` that names the slot. */
export function decodeSlotIndex(row: SlotRow): SlotIndex {
  const { index: bytes, slot, firstPosition, count } = row
  const damaged = (why: string): ReadSideError =>
    new ReadSideError(
      'damaged',
      `the read side's row of slot ${slot} is damaged (${why}): drop this node's read side, it is built again from the log`,
    )
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

/** Integers from 0 to 2^53 - 1 in one to eight bytes, low ones first. The size is known to suffice. */
class VarintWriter {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytesMax: number) {
    this.#bytes = new Uint8Array(bytesMax)
  }

  raw(byte: number): void {
    this.#bytes[this.#at++] = byte
  }

  varint(value: number): void {
    let rest = value
    while (rest >= 128) {
      this.#bytes[this.#at++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#at++] = rest
  }

  bytes(from: Bytes, offset: number, length: number): void {
    for (let at = 0; at < length; at++) this.#bytes[this.#at++] = from[offset + at] ?? 0
  }

  sealed(): Bytes {
    const sum = crc32(this.#bytes.subarray(0, this.#at))
    for (const shift of [24, 16, 8, 0]) this.raw((sum >>> shift) & 0xff)
    return this.#bytes.subarray(0, this.#at)
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
