import type { FastifyInstance } from 'fastify'
import type { NodeMetrics } from '../metrics/node-metrics.ts'
import { parseQuery } from './query.ts'

/** `GET /metrics`: in Prometheus' text form, in every phase of a node's life (docs/metrics.md). */
export function metricsRoute(app: FastifyInstance, metrics: NodeMetrics): void {
  app.get('/metrics', async (request, reply) => {
    parseQuery(request.raw.url ?? '', [])
    const text = await metrics.text()
    await reply.type(metrics.contentType).send(text)
  })
}
