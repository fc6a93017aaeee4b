/**
 * The first bytes of a connection, each way. The dialler says who it is and whom it believes it talks to, so a wrong
 * address is noticed before a frame passes; the answer says who is really there and how large a frame it takes.
 *
 *   hello   "SYNh" · length u8 of the rest · version u8 · [length u8, id] of the dialler · [length u8, id] it wants ·
 *           u32 how often it probes, in milliseconds
 *   answer  "SYNa" · length u8 of the rest · version u8 · verdict u8 · [length u8, id] of who is here · frameBytesMax u32
 *
 * They differ, so that a connection to itself, which TCP permits, is no peer. Nothing here is secret and nothing is
 * proved: identity is checked in every frame by the layer above.
 */
import { ByteReader, ByteWriter, MalformedError, type Bytes } from '@synod/codec'
import type { NodeId } from '@synod/transport'

const version = 1
const helloMagic = 0x5359_4e68
const answerMagic = 0x5359_4e61
const prefixBytes = 5

/** No greeting is longer than this many bytes. */
export const greetingBytesMax = prefixBytes + 255

const verdicts = ['welcome', 'wrongAddress', 'notAPeer', 'wrongVersion'] as const

export type Hello =
  | { readonly known: true; readonly from: NodeId; readonly to: NodeId; readonly pingMs: number }
  /** A node of another version: what follows the version is not read. */
  | { readonly known: false }

export interface Answer {
  readonly verdict: (typeof verdicts)[number]
  readonly self: NodeId
  readonly frameBytesMax: number
}

/** A greeting, and how many bytes it took: what follows belongs to the link. */
export interface Greeted<T> {
  readonly greeting: T
  readonly bytes: number
}

export function encodeHello(from: NodeId, to: NodeId, pingMs: number): Bytes {
  const rest = new ByteWriter().u8(version)
  writeId(rest, from)
  writeId(rest, to)
  return withPrefix(helloMagic, rest.u32(pingMs).finish())
}

export function encodeAnswer({ verdict, self, frameBytesMax }: Answer): Bytes {
  const rest = new ByteWriter().u8(version).u8(verdicts.indexOf(verdict))
  writeId(rest, self)
  return withPrefix(answerMagic, rest.u32(frameBytesMax).finish())
}

/** Nothing while bytes are missing. Throws a MalformedError at the first byte that is wrong. */
export function decodeHello(bytes: Bytes): Greeted<Hello> | undefined {
  return decode(bytes, helloMagic, (rest) => {
    if (rest.u8() !== version) return { known: false }
    const hello = { known: true, from: readId(rest), to: readId(rest), pingMs: rest.u32() } as const
    rest.end()
    return hello
  })
}

/** As `decodeHello`. An answer of another version is malformed. */
export function decodeAnswer(bytes: Bytes): Greeted<Answer> | undefined {
  return decode(bytes, answerMagic, (rest) => {
    const theirs = rest.u8()
    if (theirs !== version) throw new MalformedError(`an answer of version ${theirs}; this node speaks ${version}`)
    const verdict = verdicts[rest.u8()]
    if (verdict === undefined) throw new MalformedError('an unknown verdict')
    const answer = { verdict, self: readId(rest), frameBytesMax: rest.u32() }
    rest.end()
    return answer
  })
}

function decode<T>(bytes: Bytes, magic: number, read: (rest: ByteReader) => T): Greeted<T> | undefined {
  for (let at = 0; at < Math.min(4, bytes.length); at++)
    if (bytes[at] !== ((magic >>> (24 - 8 * at)) & 0xff)) throw new MalformedError('not a greeting of a Synod node')
  const length = prefixBytes + (bytes[4] ?? greetingBytesMax)
  if (bytes.length < length) return undefined
  return { greeting: read(new ByteReader(bytes.subarray(prefixBytes, length))), bytes: length }
}

function withPrefix(magic: number, rest: Bytes): Bytes {
  return new ByteWriter(greetingBytesMax).u32(magic).u8(rest.length).raw(rest).finish()
}

/** Node ids are a-z, 0-9 and `-`: a byte a character. */
function writeId(writer: ByteWriter, id: NodeId): void {
  writer.u8(id.length).raw(Uint8Array.from(id, (character) => character.charCodeAt(0)))
}

function readId(reader: ByteReader): NodeId {
  const id = String.fromCharCode(...reader.raw(reader.u8()))
  if (!/^[a-z0-9-]{1,64}$/.test(id)) throw new MalformedError('a node id that is none')
  return id
}
