import { paths } from './operations.ts'
import { schemas } from './schemas.ts'

/** OpenAPI 3.1 of everything that a node answers; docs/http.md is the page for people. A test holds it against the routes and their answers. */
export const openapiDocument = {
  openapi: '3.1.1',
  info: {
    title: 'Synod',
    version: '0.0.0',
    summary: 'A replicated, append-only event store.',
    description:
      'Every node takes every request. HEAD is GET without the body, except on subscriptions; of a stream it has the headers Synod-First-Revision, ' +
      'Synod-Last-Revision, Synod-Length and Synod-Last-Position (absent when no event is visible). Another method on a path that is known is 405, ' +
      'a path that is not is 404, unknown query parameters are 400.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  servers: [{ url: '/', description: 'This node.' }],
  paths,
  components: {
    schemas,
    responses: {
      Refused: {
        description: 'Any other refusal.',
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
      },
    },
  },
} as const
