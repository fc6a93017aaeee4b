import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { Expected } from '@synod/events'
import type { HttpLimits } from '../config/node-config.ts'
import type { NodeView } from '../node/node-view.ts'
import { invalidArgument } from './http-error.ts'
import { parseEvents } from './parse-events.ts'
import { parseQuery, toInteger, type Query } from './query.ts'
import type { BodyReader } from './read-body.ts'
import { serving } from './serving.ts'
import { withDeadline } from './with-deadline.ts'

const words = ['any', 'noStream', 'streamExists'] as const

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

function expectedOf(query: Query): Expected {
  const value = query.get('expected')
  if (value === undefined) return 'any'
  return words.find((word) => word === value) ?? toInteger(value, 'expected', 0, Number.MAX_SAFE_INTEGER, `${words.join(', ')} and `)
}

/** Node joins headers of one name to "a, b", which would pass for a key; here each is seen for itself. */
function idempotencyKeyOf({ headers, headersDistinct }: IncomingMessage): string | undefined {
  const key = headers['idempotency-key']
  if (key === undefined) return undefined
  const given = headersDistinct['idempotency-key']?.length ?? 0
  if (typeof key !== 'string' || key === '' || given !== 1) {
    throw invalidArgument(`Idempotency-Key must be one value that is not empty${given > 1 ? `: there are ${given}` : ''}`)
  }
  return key
}
