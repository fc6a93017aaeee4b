/**
 * Client → node.
 *
 *    1 append            = stream string · expected · [record bytes]…
 *    2 read              = stream? string · from? u53 · backward bool · limit u32 · local bool
 *    3 subscribe         = stream? string · start · credit u32
 *    4 credit            = bytes u32
 *    5 cancel            =
 *    6 ping              =
 *    7 appendAtomically  = [stream string · expected · [record bytes]…]… · [stream string · expected]… (checks) · condition?
 *    8 query             = filter · from? u53 · backward bool · limit u32 · local bool · atLeast? u53
 *    9 read with atLeast = as read · atLeast u53
 *   10 subscribeFiltered = filter · start · credit u32
 *   11 consume           = group string · consumer? string · credit u32
 *   12 acknowledge       = generation u53 · [position u53]…
 *   13 reject            = generation u53 · position u53 · rejection u8 (0 retry, 1 park, 2 skip) · reason string
 *   14 call              = method string · argument string
 *
 * `x?` is a bool, then x if it is true; `[x]…` is a u32 count, then so many. Expected, start, filter, condition: message-shapes.ts.
 */
import { MalformedError, type ByteReader, type ByteWriter, type Bytes } from '@synod/codec'
import { readMessages, readOptional, requireNoRequest, requireRequest, writeMessage, writeOptional } from './message-frame.ts'
import {
  readCondition,
  readEntries,
  readExpected,
  readFilter,
  readNumbers,
  readStart,
  writeCondition,
  writeExpected,
  writeFilter,
  writeNumbers,
  writeStart,
} from './message-shapes.ts'
import type { ClientMessage, Rejection, StreamWrite } from './messages.ts'

const kinds = {
  append: 1,
  read: 2,
  subscribe: 3,
  credit: 4,
  cancel: 5,
  ping: 6,
  appendAtomically: 7,
  query: 8,
  readAtLeast: 9,
  subscribeFiltered: 10,
  consume: 11,
  acknowledge: 12,
  reject: 13,
  call: 14,
} as const

const rejections: readonly Rejection[] = ['retry', 'park', 'skip']

type Of<K extends ClientMessage['kind']> = Extract<ClientMessage, { kind: K }>

export function writeClientMessage(writer: ByteWriter, message: ClientMessage): void {
  const request = message.kind === 'ping' ? 0 : message.request
  const kind = message.kind === 'read' && message.atLeast !== undefined ? 'readAtLeast' : message.kind
  writeMessage(writer, kinds[kind], request, () => writeBody(writer, message))
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
      return writeRecords(writer, message.records)
    case 'read':
      writeOptional(writer, message.stream, (stream) => writer.string(stream))
      writeReading(writer, message)
      if (message.atLeast !== undefined) writer.u53(message.atLeast)
      return
    case 'subscribe':
      writeOptional(writer, message.stream, (stream) => writer.string(stream))
      writeStart(writer, message.start)
      writer.u32(message.creditBytes)
      return
    case 'credit':
      writer.u32(message.bytes)
      return
    case 'appendAtomically':
      return writeAtomicAppend(writer, message)
    case 'query':
      writeFilter(writer, message.filter)
      writeReading(writer, message)
      return writeOptional(writer, message.atLeast, (position) => writer.u53(position))
    case 'subscribeFiltered':
      writeFilter(writer, message.filter)
      writeStart(writer, message.start)
      writer.u32(message.creditBytes)
      return
    case 'consume':
      writer.string(message.group)
      writeOptional(writer, message.consumer, (consumer) => writer.string(consumer))
      writer.u32(message.creditBytes)
      return
    case 'acknowledge':
      writer.u53(message.generation)
      return writeNumbers(writer, message.positions)
    case 'reject':
      writer
        .u53(message.generation)
        .u53(message.position)
        // One that is none gives -1, which has no encoding.
        .u8(rejections.indexOf(message.rejection))
        .string(message.reason)
      return
    case 'call':
      writer.string(message.method).string(message.argument)
      return
    case 'cancel':
    case 'ping':
  }
}

function readClientMessage(kind: number, request: number, body: ByteReader): ClientMessage {
  switch (kind) {
    case kinds.append: {
      const of = requireRequest(request, 'append')
      return { kind: 'append', request: of, stream: body.string(), expected: readExpected(body), records: readRecords(body) }
    }
    case kinds.read:
      return readRead(request, body)
    case kinds.readAtLeast:
      return { ...readRead(request, body), atLeast: body.u53() }
    case kinds.subscribe: {
      const of = requireRequest(request, 'subscribe')
      const stream = readOptional(body, () => body.string())
      const start = readStart(body)
      return { kind: 'subscribe', request: of, ...(stream !== undefined && { stream }), start, creditBytes: body.u32() }
    }
    case kinds.credit:
      return { kind: 'credit', request: requireRequest(request, 'credit'), bytes: body.u32() }
    case kinds.cancel:
      return { kind: 'cancel', request: requireRequest(request, 'cancel') }
    case kinds.ping:
      requireNoRequest(request, 'ping')
      return { kind: 'ping' }
    case kinds.appendAtomically:
      return readAtomicAppend(requireRequest(request, 'appendAtomically'), body)
    case kinds.query: {
      const head = { kind: 'query', request: requireRequest(request, 'query'), filter: readFilter(body) } as const
      const reading = readReading(body)
      const atLeast = readOptional(body, () => body.u53())
      return { ...head, ...reading, ...(atLeast !== undefined && { atLeast }) }
    }
    case kinds.subscribeFiltered: {
      const of = requireRequest(request, 'subscribeFiltered')
      return { kind: 'subscribeFiltered', request: of, filter: readFilter(body), start: readStart(body), creditBytes: body.u32() }
    }
    default:
      return readGroupMessage(kind, request, body)
  }
}

function readGroupMessage(kind: number, request: number, body: ByteReader): ClientMessage {
  switch (kind) {
    case kinds.consume: {
      const head = { kind: 'consume', request: requireRequest(request, 'consume'), group: body.string() } as const
      const consumer = readOptional(body, () => body.string())
      return { ...head, ...(consumer !== undefined && { consumer }), creditBytes: body.u32() }
    }
    case kinds.acknowledge: {
      const of = requireRequest(request, 'acknowledge')
      return { kind: 'acknowledge', request: of, generation: body.u53(), positions: readNumbers(body) }
    }
    case kinds.reject: {
      const head = { kind: 'reject', request: requireRequest(request, 'reject'), generation: body.u53(), position: body.u53() } as const
      return { ...head, rejection: readRejection(body), reason: body.string() }
    }
    case kinds.call:
      return { kind: 'call', request: requireRequest(request, 'call'), method: body.string(), argument: body.string() }
    default:
      throw new MalformedError(`a client's message of kind ${kind}`)
  }
}

type Reading = Pick<Of<'read'>, 'from' | 'direction' | 'limit' | 'consistency'>

function writeReading(writer: ByteWriter, { from, direction, limit, consistency }: Reading): void {
  writeOptional(writer, from, (position) => writer.u53(position))
  writer
    .bool(direction === 'backward')
    .u32(limit)
    .bool(consistency === 'local')
}

function readReading(body: ByteReader): Reading {
  const from = readOptional(body, () => body.u53())
  return {
    ...(from !== undefined && { from }),
    direction: body.bool() ? 'backward' : 'forward',
    limit: body.u32(),
    consistency: body.bool() ? 'local' : 'linearizable',
  }
}

function readRead(request: number, body: ByteReader): Of<'read'> {
  const of = requireRequest(request, 'read')
  const stream = readOptional(body, () => body.string())
  return { kind: 'read', request: of, ...(stream !== undefined && { stream }), ...readReading(body) }
}

function writeAtomicAppend(writer: ByteWriter, { writes, checks, condition }: Of<'appendAtomically'>): void {
  writer.u32(writes.length)
  for (const { stream, expected, records } of writes) {
    writer.string(stream)
    writeExpected(writer, expected)
    writeRecords(writer, records)
  }
  writer.u32(checks.length)
  for (const { stream, expected } of checks) {
    writer.string(stream)
    writeExpected(writer, expected)
  }
  writeOptional(writer, condition, (given) => writeCondition(writer, given))
}

function readAtomicAppend(request: number, body: ByteReader): Of<'appendAtomically'> {
  // A name, an expectation, a count and one empty record.
  const writes = readEntries(body, 13, (): StreamWrite => {
    return { stream: body.string(), expected: readExpected(body), records: readRecords(body) }
  })
  if (writes.length === 0) throw new MalformedError('an append without writes')
  const checks = readEntries(body, 5, () => ({ stream: body.string(), expected: readExpected(body) }))
  const condition = readOptional(body, () => readCondition(body))
  return { kind: 'appendAtomically', request, writes, checks, ...(condition !== undefined && { condition }) }
}

function writeRecords(writer: ByteWriter, records: readonly Bytes[]): void {
  writer.u32(records.length)
  for (const record of records) writer.bytes(record)
}

function readRecords(body: ByteReader): Bytes[] {
  const count = body.count(4)
  if (count === 0) throw new MalformedError('an append without events')
  return Array.from({ length: count }, () => body.bytes())
}

function readRejection(body: ByteReader): Rejection {
  const at = body.u8()
  const rejection = rejections[at]
  if (rejection === undefined) throw new MalformedError(`a rejection of kind ${at}`)
  return rejection
}
