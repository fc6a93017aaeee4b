/**
 * Where things stand in a JSON text, without building them. `JSON.parse` is the judge of what is JSON; this only walks, and
 * never recurses, so depth costs nothing.
 */
import type { Bytes } from '@synod/codec'

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

/** How deep brackets and braces nest; stops counting just above `depthMax`. Of any bytes, JSON or not. */
export function jsonDepth(bytes: Bytes, depthMax: number): number {
  let depth = 0
  let deepest = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === quote) at = endOfString(bytes, at) - 1
    else if (byte === openBracket || byte === openBrace) {
      depth++
      if (depth > deepest) deepest = depth
      if (deepest > depthMax) return deepest
    } else if (byte === closeBracket || byte === closeBrace) depth--
  }
  return deepest
}

export interface JsonMember {
  /** The key as JSON text, quotes included. */
  readonly key: Bytes
  readonly value: Bytes
}

/** The members of an object, in order, as views. The text must be valid JSON, and an object. */
export function membersOfObject(bytes: Bytes): JsonMember[] {
  return membersAt(bytes, skipSpace(bytes, 0)).members
}

/** The members of each object in an array of objects, in order, as views. The text must be valid JSON of that shape. */
export function membersOfObjects(bytes: Bytes): JsonMember[][] {
  const objects: JsonMember[][] = []
  let at = skipSpace(bytes, 0) + 1
  for (;;) {
    at = skipSpace(bytes, at)
    if (bytes[at] !== openBrace) return objects
    const { members, end } = membersAt(bytes, at)
    objects.push(members)
    at = skipSpace(bytes, end)
    if (bytes[at] === comma) at++
  }
}

/** Of the object that opens at `from`; `end` is the place after it. */
function membersAt(bytes: Bytes, from: number): { readonly members: JsonMember[]; readonly end: number } {
  const members: JsonMember[] = []
  let at = skipSpace(bytes, from + 1)
  while (bytes[at] === quote) {
    const keyEnd = endOfString(bytes, at)
    const valueStart = skipSpace(bytes, skipSpace(bytes, keyEnd) + 1)
    const valueEnd = endOfValue(bytes, valueStart)
    members.push({ key: bytes.subarray(at, keyEnd), value: bytes.subarray(valueStart, valueEnd) })
    at = skipSpace(bytes, valueEnd)
    if (bytes[at] === comma) at = skipSpace(bytes, at + 1)
  }
  return { members, end: at + 1 }
}

function skipSpace(bytes: Bytes, from: number): number {
  let at = from
  while (at < bytes.length && isSpace(bytes[at])) at++
  return at
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

/** The place after the closing quote, or the end of the bytes. */
function endOfString(bytes: Bytes, from: number): number {
  for (let at = from + 1; at < bytes.length; at++) {
    if (bytes[at] === backslash) at++
    else if (bytes[at] === quote) return at + 1
  }
  return bytes.length
}

function endOfValue(bytes: Bytes, from: number): number {
  const first = bytes[from]
  if (first === quote) return endOfString(bytes, from)
  let at = from
  if (first === openBracket || first === openBrace) {
    let depth = 0
    for (; at < bytes.length; at++) {
      const byte = bytes[at]
      if (byte === quote) at = endOfString(bytes, at) - 1
      else if (byte === openBracket || byte === openBrace) depth++
      else if (byte === closeBracket || byte === closeBrace) {
        depth--
        if (depth === 0) return at + 1
      }
    }
    return at
  }
  while (at < bytes.length && !endsScalar(bytes[at])) at++
  return at
}

function endsScalar(byte: number | undefined): boolean {
  return byte === comma || byte === closeBrace || byte === closeBracket || byte === colon || isSpace(byte)
}
