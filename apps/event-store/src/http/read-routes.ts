import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { EventStore, ReadOptions } from '@synod/events'
import type { HttpLimits } from '../config/node-config.ts'
import type { NodeView } from '../node/node-view.ts'
import { encodePage, encodeQueryPage } from './event-json.ts'
import { filterOf, filterParameters } from './filter-query.ts'
import { filteredPage } from './filtered-page.ts'
import { integerOf, parseQuery, wordOf, type Query } from './query.ts'
import { serving } from './serving.ts'
import { withDeadline } from './with-deadline.ts'

const parameters = ['from', 'direction', 'limit', 'consistency', 'atLeast']
const limitMax = 4096
const limitDefault = 256

/** `GET /streams/{stream}` and `GET /events` → `{events: […]}`; of a filtered read `{events, considered, isEnd}`. */
export function readRoutes(app: FastifyInstance, node: NodeView, limits: HttpLimits): void {
  const answer = async (
    reply: FastifyReply,
    options: ReadOptions,
    read: (store: EventStore, options: ReadOptions & { readonly signal: AbortSignal }) => Promise<Buffer>,
  ): Promise<void> => {
    const store = storeFor(node, options)
    const page = await withDeadline(reply.raw, limits.answerMillisecondsMax, (signal) => read(store, { ...options, signal }))
    await reply.type('application/json; charset=utf-8').send(page)
  }
  app.get<{ Params: { stream: string } }>('/streams/:stream', { exposeHeadRoute: false }, (request, reply) =>
    answer(reply, streamReadOptionsOf(request), async (store, options) =>
      encodePage(await store.readStream(request.params.stream, options)),
    ),
  )
  app.get('/events', (request, reply) => {
    const query = parseQuery(request.raw.url ?? '', [...parameters, ...filterParameters], filterParameters)
    const filter = filterOf(query)
    return answer(reply, readOptionsOf(query), async (store, options) =>
      filter === undefined
        ? encodePage(await store.readAll(options))
        : encodeQueryPage(await filteredPage(store, { ...options, filter }, options.signal)),
    )
  })
}

/** The parameters of a read of a stream. @throws HttpError 400 */
export function streamReadOptionsOf(request: FastifyRequest): ReadOptions {
  return readOptionsOf(parseQuery(request.raw.url ?? '', parameters))
}

/** Whom a read with this consistency may ask. @throws HttpError 503 */
export function storeFor(node: NodeView, { consistency }: Pick<ReadOptions, 'consistency'>): EventStore {
  return consistency === 'local' ? node.store() : serving(node)
}

/** `consistency` and `atLeast` of a read that has no more. @throws HttpError 400 */
export function sightOf(query: Query): Pick<ReadOptions, 'consistency' | 'atLeast'> {
  const atLeast = integerOf(query, 'atLeast', 0)
  return { consistency: wordOf(query, 'consistency', ['linearizable', 'local']), ...(atLeast !== undefined && { atLeast }) }
}

function readOptionsOf(query: Query): ReadOptions {
  const from = integerOf(query, 'from', 0)
  return {
    direction: wordOf(query, 'direction', ['forward', 'backward']),
    limit: integerOf(query, 'limit', 1, limitMax) ?? limitDefault,
    ...sightOf(query),
    ...(from !== undefined && { from }),
  }
}
