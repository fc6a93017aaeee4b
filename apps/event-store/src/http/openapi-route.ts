import type { FastifyInstance } from 'fastify'
import { openapiDocument } from './openapi/document.ts'
import { parseQuery } from './query.ts'

/** `GET /openapi.json`. */
export function openapiRoute(app: FastifyInstance): void {
  const text = JSON.stringify(openapiDocument)
  app.get('/openapi.json', async (request, reply) => {
    parseQuery(request.raw.url ?? '', [])
    await reply.type('application/json; charset=utf-8').send(text)
  })
}
