/** Consumer groups are made, looked at and mended over HTTP; they are consumed over a client's connection. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { HttpLimits } from '../config/node-config.ts'
import type { NodeView } from '../node/node-view.ts'
import { encodeList } from './event-json.ts'
import { encodeParked, groupShape, parkedDefault, parkedMax, replayShape, withoutPartitions } from './group-json.ts'
import { objectBody } from './json-body.ts'
import { integerOf, parseQuery } from './query.ts'
import type { BodyReader } from './read-body.ts'
import { serving } from './serving.ts'
import { withDeadline } from './with-deadline.ts'

interface Named {
  readonly Params: { readonly group: string }
}

export function groupRoutes(app: FastifyInstance, node: NodeView, limits: HttpLimits, bodies: BodyReader): void {
  const inTime = <T>(reply: FastifyReply, run: () => Promise<T>): Promise<T> => withDeadline(reply.raw, limits.answerMillisecondsMax, run)
  app.get('/groups', async (request, reply) => {
    parseQuery(request.raw.url ?? '', [])
    const { groups } = serving(node)
    return { groups: (await inTime(reply, () => groups.list())).map(withoutPartitions) }
  })
  app.get<Named>('/groups/:group', (request, reply) => {
    parseQuery(request.raw.url ?? '', [])
    const { groups } = serving(node)
    return inTime(reply, () => groups.get(request.params.group))
  })
  app.put<Named>('/groups/:group', (request, reply) => {
    parseQuery(request.raw.url ?? '', [])
    const { groups } = serving(node)
    return bodies.withBody(request.raw, (body) => {
      const definition = body.length === 0 ? {} : objectBody(body, limits.jsonDepthMax, groupShape)
      return inTime(reply, () => groups.put(request.params.group, definition))
    })
  })
  app.delete<Named>('/groups/:group', async (request, reply) => {
    parseQuery(request.raw.url ?? '', [])
    const { groups } = serving(node)
    await inTime(reply, () => groups.delete(request.params.group))
    return reply.code(204).send()
  })
  app.get<Named>('/groups/:group/parked', async (request, reply) => {
    const query = parseQuery(request.raw.url ?? '', ['after', 'limit'])
    const after = integerOf(query, 'after', 0)
    const limit = integerOf(query, 'limit', 1, parkedMax) ?? parkedDefault
    const { groups } = serving(node)
    const parked = await inTime(reply, () => groups.parked(request.params.group, { limit, ...(after !== undefined && { after }) }))
    return reply.type('application/json; charset=utf-8').send(encodeList('{"parked":[', encodeParked(parked), ']}'))
  })
  app.post<Named>('/groups/:group/replay', (request, reply) => {
    parseQuery(request.raw.url ?? '', [])
    const { groups } = serving(node)
    return bodies.withBody(request.raw, (body) => {
      const asked = body.length === 0 ? {} : objectBody(body, limits.jsonDepthMax, replayShape)
      return inTime(reply, () => groups.replay(request.params.group, asked))
    })
  })
}
