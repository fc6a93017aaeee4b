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
 *   73 atomicallyAppended = position u53 · count u32 · revision u53…
 *   74 queryPage   = considered u53 · end bool · as page
 *   75 assigned    = generation u53 · count u32 · partition u32…
 *   76 groupEvents = generation u53 · as page, each with partition u32 · attempt u32 behind its record
 *   77 settled     = generation u53 · count u32 · position u53…
 *   78 stale       = as settled
 *   79 result      = result string
 */
import { MalformedError, type ByteReader, type ByteWriter, type Bytes } from '@synod/codec'
import { readMessages, readOptional, requireNoRequest, requireRequest, writeMessage, writeOptional } from './message-frame.ts'
import { readNumbers, writeNumbers } from './message-shapes.ts'
import type { NodeMessage } from './messages.ts'
import { readEvents, writeEvents } from './stored-records.ts'

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
  atomicallyAppended: 73,
  queryPage: 74,
  assigned: 75,
  groupEvents: 76,
  settled: 77,
  stale: 78,
  result: 79,
} as const

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
      return writeEvents(writer, message.events)
    case 'caughtUp':
    case 'checkpoint':
      writer.u53(message.position)
      return
    case 'fellBehind':
      writer.u53(message.position).u53(message.lag)
      return
    case 'atomicallyAppended':
      writer.u53(message.position)
      return writeNumbers(writer, message.revisions)
    case 'queryPage':
      writer.u53(message.considered).bool(message.isEnd)
      return writeEvents(writer, message.events)
    case 'assigned':
      writer.u53(message.generation).u32(message.partitions.length)
      for (const partition of message.partitions) writer.u32(partition)
      return
    case 'groupEvents':
      writer.u53(message.generation)
      return writeEvents(writer, message.events, ({ partition, attempt }) => writer.u32(partition).u32(attempt))
    case 'settled':
    case 'stale':
      writer.u53(message.generation)
      return writeNumbers(writer, message.positions)
    case 'result':
      writer.string(message.result)
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
      return readLaterMessage(kind, request, body)
  }
}

/** Kinds from 73 on: each belongs to a request. */
function readLaterMessage(kind: number, request: number, body: ByteReader): NodeMessage {
  const of = (name: string): number => requireRequest(request, name)
  switch (kind) {
    case kinds.atomicallyAppended:
      return { kind: 'atomicallyAppended', request: of('atomicallyAppended'), position: body.u53(), revisions: readNumbers(body) }
    case kinds.queryPage: {
      const head = { kind: 'queryPage', request: of('queryPage'), considered: body.u53(), isEnd: body.bool() } as const
      return { ...head, events: readEvents(body) }
    }
    case kinds.assigned: {
      const head = { kind: 'assigned', request: of('assigned'), generation: body.u53() } as const
      return { ...head, partitions: Array.from({ length: body.count(4) }, () => body.u32()) }
    }
    case kinds.groupEvents: {
      const head = { kind: 'groupEvents', request: of('groupEvents'), generation: body.u53() } as const
      return { ...head, events: readEvents(body, () => ({ partition: body.u32(), attempt: body.u32() }), 8) }
    }
    case kinds.settled:
      return { kind: 'settled', request: of('settled'), generation: body.u53(), positions: readNumbers(body) }
    case kinds.stale:
      return { kind: 'stale', request: of('stale'), generation: body.u53(), positions: readNumbers(body) }
    case kinds.result:
      return { kind: 'result', request: of('result'), result: body.string() }
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
