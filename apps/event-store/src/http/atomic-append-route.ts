import type { FastifyInstance } from 'fastify'
import type { HttpLimits } from '../config/node-config.ts'
import type { NodeView } from '../node/node-view.ts'
import { idempotencyKeyOf } from './idempotency-key.ts'
import { parseAtomicAppend } from './parse-atomic-append.ts'
import { parseQuery } from './query.ts'
import type { BodyReader } from './read-body.ts'
import { serving } from './serving.ts'
import { violationsTold } from './to-http-error.ts'
import { withDeadline } from './with-deadline.ts'

/** `POST /append` → 201 `{position, streams: [{stream, revision}]}` of the last event, and of the last of each stream. */
export function atomicAppendRoute(app: FastifyInstance, node: NodeView, limits: HttpLimits, bodies: BodyReader): void {
  app.post('/append', async (request, reply) => {
    parseQuery(request.raw.url ?? '', [])
    const key = idempotencyKeyOf(request.raw)
    const store = serving(node)
    const appended = await bodies.withBody(request.raw, async (body) => {
      const asked = { ...parseAtomicAppend(body, limits.jsonDepthMax), ...(key !== undefined && { idempotencyKey: key }) }
      return withDeadline(reply.raw, limits.answerMillisecondsMax, (signal) => store.appendAtomically(asked, { signal })).catch(
        (error: unknown) => Promise.reject(violationsTold(error)),
      )
    })
    const { position, streams } = appended
    return reply.code(201).send({ position, streams: streams.map(({ stream, revision }) => ({ stream, revision })) })
  })
}
