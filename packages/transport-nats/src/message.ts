/**
 * What one NATS message holds.
 *
 *   head    "SYNn" · version u8 · kind u8 · [length u8, id] of the sender · [length u8, id] it is for · life u53 · link u32
 *   frames  0 · head · (length u32, frame)…         what the layer above sent in one turn, 4,096 frames at most
 *   hello   1 · head · [length u8, subject]         "are you there? answer on this subject"
 *   answer  2 · head · verdict u8 · [length u8, id] "I am", or who is here instead of the node that was wanted
 *   bye     3 · head                                the sender closes
 *
 * `life` is drawn by a process when it opens its transport, `link` counts its connections: a frame of an earlier connection
 * that comes after one of a later is stale. Nothing here is secret and nothing is proved: whoever may publish on the subject may
 * claim to be anybody, and identity is checked in every frame by the layer above.
 */
import { ByteReader, ByteWriter, MalformedError, type Bytes } from '@synod/codec'
import type { NodeId } from '@synod/transport'
import { isNodeId, isSubject } from './address.ts'

const magic = 0x5359_4e6e
const version = 1
const kinds = ['frames', 'hello', 'answer', 'bye'] as const
const verdicts = ['welcome', 'wrongAddress', 'notAPeer'] as const
const lengthBytes = 4

/** More frames in a message are malformed, so that a message of empty frames costs little. */
export const framesMax = 4096

/** Head and the length of one frame, at most: what a server's limit on messages leaves less for a frame. */
export const overheadBytesMax = 4 + 1 + 1 + 65 + 65 + 8 + 4 + lengthBytes

export type Verdict = (typeof verdicts)[number]

export interface Head {
  readonly from: NodeId
  readonly to: NodeId
  readonly life: number
  readonly link: number
}

export type Message =
  | (Head & { readonly kind: 'frames'; readonly frames: readonly Bytes[] })
  | (Head & { readonly kind: 'hello'; readonly answerTo: string })
  | (Head & { readonly kind: 'answer'; readonly verdict: Verdict; readonly wanted: NodeId })
  | (Head & { readonly kind: 'bye' })
  /** Of a node of another version: what follows the version is not read. */
  | { readonly kind: 'otherVersion' }

export function frameCost(frame: Bytes): number {
  return lengthBytes + frame.length
}

export function encodeFrames(head: Head, frames: readonly Bytes[]): Bytes {
  const before = headOf('frames', head).finish()
  const bytes = frames.reduce((sum, frame) => sum + frameCost(frame), before.length)
  const message = Buffer.allocUnsafe(bytes)
  message.set(before)
  let at = before.length
  for (const frame of frames) {
    at = message.writeUInt32BE(frame.length, at)
    message.set(frame, at)
    at += frame.length
  }
  return message
}

export function encodeHello(head: Head, answerTo: string): Bytes {
  return text(headOf('hello', head), answerTo).finish()
}

export function encodeAnswer(head: Head, verdict: Verdict, wanted: NodeId): Bytes {
  return text(headOf('answer', head).u8(verdicts.indexOf(verdict)), wanted).finish()
}

export function encodeBye(head: Head): Bytes {
  return headOf('bye', head).finish()
}

/** Frames are views of what is given. Throws a MalformedError for whatever no node sends. */
export function decodeMessage(bytes: Bytes): Message {
  // A plain Uint8Array, whatever came: `slice` of a Buffer means something else.
  const reader = new ByteReader(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length))
  if (reader.u32() !== magic) throw new MalformedError('not a message of a Synod node')
  if (reader.u8() !== version) return { kind: 'otherVersion' }
  const kind = kinds[reader.u8()]
  if (kind === undefined) throw new MalformedError('an unknown kind of message')
  const head = { from: readId(reader), to: readId(reader), life: reader.u53(), link: reader.u32() }
  const message = readBody(kind, head, reader)
  reader.end()
  return message
}

function readBody(kind: (typeof kinds)[number], head: Head, reader: ByteReader): Message {
  switch (kind) {
    case 'frames':
      return { ...head, kind, frames: readFrames(reader) }
    case 'hello': {
      const answerTo = readText(reader)
      if (!isSubject(answerTo)) throw new MalformedError('a subject to answer on that is none')
      return { ...head, kind, answerTo }
    }
    case 'answer': {
      const verdict = verdicts[reader.u8()]
      if (verdict === undefined) throw new MalformedError('an unknown verdict')
      return { ...head, kind, verdict, wanted: readId(reader) }
    }
    case 'bye':
      return { ...head, kind }
  }
}

function readFrames(reader: ByteReader): Bytes[] {
  const frames: Bytes[] = []
  while (reader.remaining > 0) {
    if (frames.length === framesMax) throw new MalformedError(`more than ${framesMax} frames`)
    frames.push(reader.bytes())
  }
  return frames
}

function headOf(kind: (typeof kinds)[number], { from, to, life, link }: Head): ByteWriter {
  const writer = new ByteWriter().u32(magic).u8(version).u8(kinds.indexOf(kind))
  return text(text(writer, from), to).u53(life).u32(link)
}

/** Node ids and subjects are a byte a character. */
function text(writer: ByteWriter, characters: string): ByteWriter {
  return writer.u8(characters.length).raw(Buffer.from(characters, 'latin1'))
}

function readText(reader: ByteReader): string {
  return String.fromCharCode(...reader.raw(reader.u8()))
}

function readId(reader: ByteReader): NodeId {
  const id = readText(reader)
  if (!isNodeId(id)) throw new MalformedError('a node id that is none')
  return id
}
