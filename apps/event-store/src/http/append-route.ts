import type { FastifyInstance } from 'fastify'
import type { Expected } from '@synod/events'
import type { HttpLimits } from '../config/node-config.ts'
import type { NodeView } from '../node/node-view.ts'
import { expectedWords } from './expected-shape.ts'
import { idempotencyKeyOf } from './idempotency-key.ts'
import { parseEvents } from './parse-events.ts'
import { parseQuery, toInteger, type Query } from './query.ts'
import type { BodyReader } from './read-body.ts'
import { serving } from './serving.ts'
import { withDeadline } from './with-deadline.ts'

/** `POST /streams/{stream}?expected=any|noStream|streamExists|N` → 201 `{revision, position}` of the last event. */
export function appendRoute(app: FastifyInstance, node: NodeView, limits: HttpLimits, bodies: BodyReader): void {
  app.post<{ Params: { stream: string } }>('/streams/:stream', async (request, reply) => {
    const expected = expectedOf(parseQuery(request.raw.url ?? '', ['expected']))
    const key = idempotencyKeyOf(request.raw)
    const store = serving(node)
    const appended = await bodies.withBody(request.raw, async (body) => {
      const events = parseEvents(body, limits.jsonDepthMax)
      const asked = { stream: request.params.stream, events, expected, ...(key !== undefined && { idempotencyKey: key }) }
      return withDeadline(reply.raw, limits.answerMillisecondsMax, (signal) => store.append(asked, { signal }))
    })
    return reply.code(201).send({ revision: appended.revision, position: appended.position })
  })
}

export function expectedOf(query: Query): Expected {
  const value = query.get('expected')
  if (value === undefined) return 'any'
  return (
    expectedWords.find((word) => word === value) ??
    toInteger(value, 'expected', 0, Number.MAX_SAFE_INTEGER, `${expectedWords.join(', ')} and `)
  )
}
