import type { FastifyInstance } from 'fastify'
import type { NodeView } from '../node/node-view.ts'
import { parseQuery } from './query.ts'
import { serving } from './serving.ts'

/** `GET /health/live`: the process answers. `GET /health/ready`: this node takes appends and linearizable reads, else 503 with the reason. */
export function healthRoutes(app: FastifyInstance, node: NodeView): void {
  app.get('/health/live', (request) => {
    parseQuery(request.raw.url ?? '', [])
    return { id: node.id, live: true }
  })
  app.get('/health/ready', (request) => {
    parseQuery(request.raw.url ?? '', [])
    serving(node)
    return { id: node.id, ready: true }
  })
}
