/**
 * Client → node.
 *
 *   1 append    = stream string · expected u8 (0 any, 1 noStream, 2 streamExists, 3 revision) [revision u53] · count u32 · record bytes…
 *   2 read      = stream? string · from? u53 · backward bool · limit u32 · local bool
 *   3 subscribe = stream? string · start u8 (0 beginning, 1 from, 2 after a position) [u53] · credit u32
 *   4 credit    = bytes u32
 *   5 cancel    =
 *   6 ping      =
 *
 * `x?` is a bool, then x if it is true.
 */
import { MalformedError, type ByteReader, type ByteWriter, type Bytes } from '@synod/codec'
import { readMessages, readOptional, requireNoRequest, requireRequest, writeMessage, writeOptional } from './message-frame.ts'
import type { ClientMessage, Expected, Start } from './messages.ts'

const kinds = { append: 1, read: 2, subscribe: 3, credit: 4, cancel: 5, ping: 6 } as const

export function writeClientMessage(writer: ByteWriter, message: ClientMessage): void {
  const request = message.kind === 'ping' ? 0 : message.request
  writeMessage(writer, kinds[message.kind], request, () => writeBody(writer, message))
}

/** Records are views into the frame. @throws MalformedError */
export function readClientFrame(frame: Bytes): ClientMessage[] {
  return readMessages(frame, readClientMessage)
}

function writeBody(writer: ByteWriter, message: ClientMessage): void {
  switch (message.kind) {
    case 'append':
      writer.string(message.stream)
      writeExpected(writer, message.expected)
      writer.u32(message.records.length)
      for (const record of message.records) writer.bytes(record)
      return
    case 'read':
      writeOptional(writer, message.stream, (stream) => writer.string(stream))
      writeOptional(writer, message.from, (from) => writer.u53(from))
      writer
        .bool(message.direction === 'backward')
        .u32(message.limit)
        .bool(message.consistency === 'local')
      return
    case 'subscribe':
      writeOptional(writer, message.stream, (stream) => writer.string(stream))
      writeStart(writer, message.start)
      writer.u32(message.creditBytes)
      return
    case 'credit':
      writer.u32(message.bytes)
      return
    case 'cancel':
    case 'ping':
  }
}

function readClientMessage(kind: number, request: number, body: ByteReader): ClientMessage {
  switch (kind) {
    case kinds.append:
      return {
        kind: 'append',
        request: requireRequest(request, 'append'),
        stream: body.string(),
        expected: readExpected(body),
        records: readRecords(body),
      }
    case kinds.read: {
      const stream = readOptional(body, () => body.string())
      const from = readOptional(body, () => body.u53())
      return {
        kind: 'read',
        request: requireRequest(request, 'read'),
        ...(stream !== undefined && { stream }),
        ...(from !== undefined && { from }),
        direction: body.bool() ? 'backward' : 'forward',
        limit: body.u32(),
        consistency: body.bool() ? 'local' : 'linearizable',
      }
    }
    case kinds.subscribe: {
      const stream = readOptional(body, () => body.string())
      return {
        kind: 'subscribe',
        request: requireRequest(request, 'subscribe'),
        ...(stream !== undefined && { stream }),
        start: readStart(body),
        creditBytes: body.u32(),
      }
    }
    case kinds.credit:
      return { kind: 'credit', request: requireRequest(request, 'credit'), bytes: body.u32() }
    case kinds.cancel:
      return { kind: 'cancel', request: requireRequest(request, 'cancel') }
    case kinds.ping:
      requireNoRequest(request, 'ping')
      return { kind: 'ping' }
    default:
      throw new MalformedError(`a client's message of kind ${kind}`)
  }
}

function readRecords(body: ByteReader): Bytes[] {
  const count = body.count(4)
  if (count === 0) throw new MalformedError('an append without events')
  return Array.from({ length: count }, () => body.bytes())
}

function writeExpected(writer: ByteWriter, expected: Expected): void {
  if (typeof expected === 'number') writer.u8(3).u53(expected)
  else writer.u8(expected === 'any' ? 0 : expected === 'noStream' ? 1 : 2)
}

function readExpected(body: ByteReader): Expected {
  const kind = body.u8()
  if (kind > 3) throw new MalformedError(`an expectation of kind ${kind}`)
  return kind === 0 ? 'any' : kind === 1 ? 'noStream' : kind === 2 ? 'streamExists' : body.u53()
}

function writeStart(writer: ByteWriter, start: Start): void {
  if (start.kind === 'beginning') writer.u8(0)
  else if (start.kind === 'from') writer.u8(1).u53(start.from)
  else writer.u8(2).u53(start.position)
}

function readStart(body: ByteReader): Start {
  const kind = body.u8()
  if (kind > 2) throw new MalformedError(`a start of kind ${kind}`)
  if (kind === 0) return { kind: 'beginning' }
  return kind === 1 ? { kind: 'from', from: body.u53() } : { kind: 'afterPosition', position: body.u53() }
}
