import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { EventStore, ReadOptions, RecordedEvent } from '@synod/events'
import type { HttpLimits } from '../config/node-config.ts'
import type { NodeView } from '../node/node-view.ts'
import { encodePage } from './event-json.ts'
import { integerOf, parseQuery, wordOf, type Query } from './query.ts'
import { serving } from './serving.ts'
import { withDeadline } from './with-deadline.ts'

const parameters = ['from', 'direction', 'limit', 'consistency']
const limitMax = 4096
const limitDefault = 256

/** `GET /streams/{stream}` and `GET /events` → `{events: […]}`. */
export function readRoutes(app: FastifyInstance, node: NodeView, limits: HttpLimits): void {
  const answer = async (
    request: FastifyRequest,
    reply: FastifyReply,
    read: (store: EventStore, options: ReadOptions) => Promise<readonly RecordedEvent[]>,
  ): Promise<void> => {
    const options = readOptionsOf(parseQuery(request.raw.url ?? '', parameters))
    const store = options.consistency === 'local' ? node.store() : serving(node)
    const events = await withDeadline(reply.raw, limits.answerMillisecondsMax, (signal) => read(store, { ...options, signal }))
    await reply.type('application/json; charset=utf-8').send(encodePage(events))
  }
  app.get<{ Params: { stream: string } }>('/streams/:stream', (request, reply) =>
    answer(request, reply, (store, options) => store.readStream(request.params.stream, options)),
  )
  app.get('/events', (request, reply) => answer(request, reply, (store, options) => store.readAll(options)))
}

function readOptionsOf(query: Query): ReadOptions {
  const from = integerOf(query, 'from', 0)
  return {
    direction: wordOf(query, 'direction', ['forward', 'backward']),
    limit: integerOf(query, 'limit', 1, limitMax) ?? limitDefault,
    consistency: wordOf(query, 'consistency', ['linearizable', 'local']),
    ...(from !== undefined && { from }),
  }
}
