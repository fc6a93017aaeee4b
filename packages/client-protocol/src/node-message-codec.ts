/**
 * Node → client.
 *
 *   64 topology   = cluster string · node string · count u32 · [id string · url string]… · leader? string · serving bool
 *   65 appended   = revision u53 · position u53
 *   66 refused    = code string · message string · details string
 *   67 page       = streams u32 · name string… · count u32 · [stream u32 (place among the names) · revision u53 · position u53 · record bytes]…
 *   68 events     = as page
 *   69 caughtUp   = position u53
 *   70 fellBehind = position u53 · lag u53
 *   71 checkpoint = position u53
 *   72 pong       =
 */
import { MalformedError, type ByteReader, type ByteWriter, type Bytes } from '@synod/codec'
import { readMessages, readOptional, requireNoRequest, requireRequest, writeMessage, writeOptional } from './message-frame.ts'
import type { NodeMessage, StoredRecord } from './messages.ts'

const kinds = {
  topology: 64,
  appended: 65,
  refused: 66,
  page: 67,
  events: 68,
  caughtUp: 69,
  fellBehind: 70,
  checkpoint: 71,
  pong: 72,
} as const

/** Stream, revision, position and length of an event in a page. */
export const storedRecordHeadBytes = 24

export function writeNodeMessage(writer: ByteWriter, message: NodeMessage): void {
  const request = message.kind === 'pong' || message.kind === 'topology' ? 0 : message.request
  writeMessage(writer, kinds[message.kind], request, () => writeBody(writer, message))
}

/** Records are views into the frame. @throws MalformedError */
export function readNodeFrame(frame: Bytes): NodeMessage[] {
  return readMessages(frame, readNodeMessage)
}

function writeBody(writer: ByteWriter, message: NodeMessage): void {
  switch (message.kind) {
    case 'topology':
      writer.string(message.cluster).string(message.node).u32(message.members.length)
      for (const { id, url } of message.members) writer.string(id).string(url)
      writeOptional(writer, message.leader, (leader) => writer.string(leader))
      writer.bool(message.isServing)
      return
    case 'appended':
      writer.u53(message.revision).u53(message.position)
      return
    case 'refused':
      writer.string(message.code).string(message.message).string(message.details)
      return
    case 'page':
    case 'events':
      writeEvents(writer, message.events)
      return
    case 'caughtUp':
    case 'checkpoint':
      writer.u53(message.position)
      return
    case 'fellBehind':
      writer.u53(message.position).u53(message.lag)
      return
    case 'pong':
  }
}

function readNodeMessage(kind: number, request: number, body: ByteReader): NodeMessage {
  switch (kind) {
    case kinds.topology:
      requireNoRequest(request, 'topology')
      return readTopology(body)
    case kinds.appended:
      return { kind: 'appended', request: requireRequest(request, 'appended'), revision: body.u53(), position: body.u53() }
    case kinds.refused:
      return {
        kind: 'refused',
        request: requireRequest(request, 'refused'),
        code: body.string(),
        message: body.string(),
        details: body.string(),
      }
    case kinds.page:
      return { kind: 'page', request: requireRequest(request, 'page'), events: readEvents(body) }
    case kinds.events:
      return { kind: 'events', request: requireRequest(request, 'events'), events: readEvents(body) }
    case kinds.caughtUp:
      return { kind: 'caughtUp', request: requireRequest(request, 'caughtUp'), position: body.u53() }
    case kinds.fellBehind:
      return { kind: 'fellBehind', request: requireRequest(request, 'fellBehind'), position: body.u53(), lag: body.u53() }
    case kinds.checkpoint:
      return { kind: 'checkpoint', request: requireRequest(request, 'checkpoint'), position: body.u53() }
    case kinds.pong:
      requireNoRequest(request, 'pong')
      return { kind: 'pong' }
    default:
      throw new MalformedError(`a node's message of kind ${kind}`)
  }
}

function readTopology(body: ByteReader): NodeMessage {
  const cluster = body.string()
  const node = body.string()
  const members = Array.from({ length: body.count(8) }, () => ({ id: body.string(), url: body.string() }))
  const leader = readOptional(body, () => body.string())
  return { kind: 'topology', cluster, node, members, ...(leader !== undefined && { leader }), isServing: body.bool() }
}

/** Names once each: a page of one stream has one. */
function writeEvents(writer: ByteWriter, events: readonly StoredRecord[]): void {
  const places = new Map<string, number>()
  for (const { stream } of events) if (!places.has(stream)) places.set(stream, places.size)
  writer.u32(places.size)
  for (const name of places.keys()) writer.string(name)
  writer.u32(events.length)
  for (const { stream, revision, position, record } of events) {
    writer
      .u32(places.get(stream) ?? 0)
      .u53(revision)
      .u53(position)
      .bytes(record)
  }
}

function readEvents(body: ByteReader): StoredRecord[] {
  const names = Array.from({ length: body.count(4) }, () => body.string())
  return Array.from({ length: body.count(storedRecordHeadBytes) }, () => {
    const place = body.u32()
    const stream = names[place]
    if (stream === undefined) throw new MalformedError(`stream ${place} of ${names.length}`)
    return { stream, revision: body.u53(), position: body.u53(), record: body.bytes() }
  })
}
