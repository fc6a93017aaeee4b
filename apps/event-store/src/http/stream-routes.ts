/** A stream as a whole: is it there, how long is it, what does it keep; and its end. */
import type { FastifyInstance } from 'fastify'
import type { StreamInfo } from '@synod/events'
import type { HttpLimits } from '../config/node-config.ts'
import type { NodeView } from '../node/node-view.ts'
import { expectedOf } from './append-route.ts'
import { objectBody } from './json-body.ts'
import { parseQuery, wordOf } from './query.ts'
import type { BodyReader } from './read-body.ts'
import { sightOf, storeFor, streamReadOptionsOf } from './read-routes.ts'
import { serving } from './serving.ts'
import { encodeStreamInfo, metadataShape } from './stream-json.ts'
import { withDeadline } from './with-deadline.ts'

interface Named {
  readonly Params: { readonly stream: string }
}

export function streamRoutes(app: FastifyInstance, node: NodeView, limits: HttpLimits, bodies: BodyReader): void {
  const { answerMillisecondsMax, jsonDepthMax } = limits
  infoRoutes(app, node, limits)
  app.get<Named>('/streams/:stream/metadata', (request, reply) => {
    const consistency = wordOf(parseQuery(request.raw.url ?? '', ['consistency']), 'consistency', ['linearizable', 'local'])
    const { retention } = storeFor(node, { consistency })
    return withDeadline(reply.raw, answerMillisecondsMax, (signal) => retention.metadata(request.params.stream, { consistency, signal }))
  })
  app.put<Named>('/streams/:stream/metadata', (request, reply) => {
    parseQuery(request.raw.url ?? '', [])
    const { retention } = serving(node)
    return bodies.withBody(request.raw, (body) => {
      const metadata = objectBody(body, jsonDepthMax, metadataShape)
      return withDeadline(reply.raw, answerMillisecondsMax, (signal) => retention.setMetadata(request.params.stream, metadata, { signal }))
    })
  })
  app.delete<Named>('/streams/:stream', (request, reply) => {
    const query = parseQuery(request.raw.url ?? '', ['hard', 'expected'])
    const isHard = wordOf(query, 'hard', ['false', 'true']) === 'true'
    const expected = expectedOf(query)
    const { retention } = serving(node)
    return withDeadline(reply.raw, answerMillisecondsMax, (signal) => retention.delete(request.params.stream, { isHard, expected, signal }))
  })
}

/** `HEAD /streams/{stream}` says the same in its headers, whatever page is asked for. */
function infoRoutes(app: FastifyInstance, node: NodeView, { answerMillisecondsMax }: HttpLimits): void {
  app.get<Named>('/streams/:stream/info', async (request, reply) => {
    const sight = sightOf(parseQuery(request.raw.url ?? '', ['consistency', 'atLeast']))
    const store = storeFor(node, sight)
    const info = await withDeadline(reply.raw, answerMillisecondsMax, (signal) =>
      store.streamInfo(request.params.stream, { ...sight, signal }),
    )
    return reply.type('application/json; charset=utf-8').send(encodeStreamInfo(info))
  })
  app.head<Named>('/streams/:stream', async (request, reply) => {
    const { consistency, atLeast } = streamReadOptionsOf(request)
    const sight = { consistency, ...(atLeast !== undefined && { atLeast }) }
    const store = storeFor(node, sight)
    const info = await withDeadline(reply.raw, answerMillisecondsMax, (signal) =>
      store.streamInfo(request.params.stream, { ...sight, signal }),
    )
    return reply.headers(headersOf(info)).type('application/json; charset=utf-8').send()
  })
}

function headersOf({ firstRevision, lastRevision, length, lastEvent }: StreamInfo): Record<string, string> {
  return {
    'synod-first-revision': String(firstRevision),
    'synod-last-revision': String(lastRevision),
    'synod-length': String(length),
    ...(lastEvent !== undefined && { 'synod-last-position': String(lastEvent.position) }),
  }
}
