/** What the messages of both directions share: the head of each, and optional values. */
import { ByteReader, MalformedError, type ByteWriter, type Bytes } from '@synod/codec'

const lengthOffset = 5

/** Kind, request, length, then whatever `body` writes. */
export function writeMessage(writer: ByteWriter, kind: number, request: number, body: (writer: ByteWriter) => void): void {
  const at = writer.length
  writer.u8(kind).u32(request).u32(0)
  const from = writer.length
  body(writer)
  writer.setU32(at + lengthOffset, writer.length - from)
}

/** All messages of a frame. Nothing of a frame that does not decode is used. @throws MalformedError */
export function readMessages<M>(frame: Bytes, read: (kind: number, request: number, body: ByteReader) => M): M[] {
  const reader = new ByteReader(frame)
  if (reader.remaining === 0) throw new MalformedError('a frame without a message')
  const messages: M[] = []
  while (reader.remaining > 0) {
    const kind = reader.u8()
    const request = reader.u32()
    const body = new ByteReader(reader.bytes())
    messages.push(read(kind, request, body))
    body.end()
  }
  return messages
}

export function writeOptional<T>(writer: ByteWriter, value: T | undefined, write: (value: T) => void): void {
  writer.bool(value !== undefined)
  if (value !== undefined) write(value)
}

export function readOptional<T>(reader: ByteReader, read: () => T): T | undefined {
  return reader.bool() ? read() : undefined
}

/** The request of a message that belongs to one. */
export function requireRequest(request: number, kind: string): number {
  if (request === 0) throw new MalformedError(`${kind} of request 0, which is the connection itself`)
  return request
}

export function requireNoRequest(request: number, kind: string): void {
  if (request !== 0) throw new MalformedError(`${kind} of request ${request}: it belongs to the connection`)
}
