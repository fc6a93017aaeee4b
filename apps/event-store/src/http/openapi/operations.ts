/** `paths` of the document: every route, its parameters, and every status that it answers with. */
type Schema = Readonly<Record<string, unknown>>

const refusals: Readonly<Record<number, string>> = {
  400: 'Says which parameter, header, event or field is wrong, and what is allowed.',
  403: 'A page in a browser asks, and its origin is not listed in `http.origins`.',
  404: 'There is no such stream.',
  408: 'The body, or the whole request, did not come in time.',
  409: 'Nothing was written: the stream is not as expected, or the ids or the key belong to something else.',
  413: 'A bound of docs/limits.md.',
  415: '`content-encoding` is not `identity`.',
  426: 'What asks is no WebSocket.',
  503: 'No quorum, not ready, or too much under way; with `Retry-After`. For an append that is `unavailable` the outcome may be unknown: the retry is safe.',
}

const stream = parameter('path', 'stream', 'Percent-encoded.', { type: 'string', minLength: 1 })
const direction = parameter('query', 'direction', 'Backward without `from` begins at the end.', {
  type: 'string',
  enum: ['forward', 'backward'],
  default: 'forward',
})
const limit = parameter('query', 'limit', 'Events at most.', { type: 'integer', minimum: 1, maximum: 4096, default: 256 })
const consistency = parameter('query', 'consistency', '`local` answers from what this node has.', {
  type: 'string',
  enum: ['linearizable', 'local'],
  default: 'linearizable',
})
const lastEventId = parameter('header', 'Last-Event-ID', 'Resume after this position; wins over `from`.', integer(0))
const expected = parameter('query', 'expected', 'What the stream must be like: the number is its last revision.', {
  oneOf: [{ type: 'string', enum: ['any', 'noStream', 'streamExists'] }, integer(0)],
  default: 'any',
})
const idempotencyKey = parameter('header', 'Idempotency-Key', 'A retry with it has one effect and gets the original answer.', {
  type: 'string',
  minLength: 1,
})
const fromRevision = parameter('query', 'from', 'A revision, inclusive.', integer(0))
const fromPosition = parameter('query', 'from', 'A position, inclusive; 0 and 1 are the start.', integer(0))

const reading = [400, 503]
const page = json('A page of events.', 'Page')
const messages = {
  description:
    'Server-sent events: `id:` is a position, `event:` one of event, caughtUp, fellBehind, checkpoint, `data:` one line of JSON; of an event it is a RecordedEvent.',
  content: { 'text/event-stream': { schema: { type: 'string' } } },
}

export const paths: Readonly<Record<string, Readonly<Record<string, Schema>>>> = {
  '/streams/{stream}': {
    post: operation(
      'append',
      'Appends events, all or nothing',
      [stream, expected, idempotencyKey],
      { 201: json('Appended.', 'Appended') },
      [400, 403, 408, 409, 413, 415, 503],
      {
        requestBody: {
          required: true,
          description: 'JSON, whatever `content-type` says.',
          content: {
            'application/json': {
              schema: { type: 'array', minItems: 1, maxItems: 4096, items: { $ref: '#/components/schemas/ProposedEvent' } },
            },
          },
        },
      },
    ),
    get: operation(
      'readStream',
      'Reads a stream',
      [stream, fromRevision, direction, limit, consistency],
      { 200: page },
      [400, 404, 413, 503],
    ),
  },
  '/events': {
    get: operation('readAll', 'Reads all events in their order', [fromPosition, direction, limit, consistency], { 200: page }, reading),
  },
  '/streams/{stream}/subscription': {
    get: operation('subscribeToStream', 'Follows a stream', [stream, fromRevision, lastEventId], { 200: messages }, [400, 413, 503]),
  },
  '/events/subscription': {
    get: operation('subscribeToAll', 'Follows all events', [fromPosition, lastEventId], { 200: messages }, reading),
  },
  '/connection': {
    get: operation(
      'connect',
      'A client’s connection: a WebSocket of subprotocol synod.v1 (docs/client-protocol.md)',
      [],
      { 101: { description: 'From here on it is a WebSocket.' } },
      [400, 403, 426, 503],
    ),
  },
  '/cluster': {
    get: operation(
      'describeCluster',
      'The cluster as this node sees it, without a quorum too',
      [],
      { 200: json('The cluster.', 'Cluster') },
      [400],
    ),
  },
  '/node': { get: operation('describeNode', 'This node’s own part of it', [], { 200: json('The node.', 'Node') }, [400]) },
  '/health/live': { get: operation('isLive', 'The process answers', [], { 200: json('It does.', 'Live') }, [400]) },
  '/health/ready': {
    get: operation('isReady', 'This node takes appends and linearizable reads', [], { 200: json('It does.', 'Ready') }, reading),
  },
  '/metrics': {
    get: operation(
      'metrics',
      'Metrics for Prometheus (docs/metrics.md)',
      [],
      { 200: { description: 'The text format.', content: { 'text/plain': { schema: { type: 'string' } } } } },
      [400],
    ),
  },
  '/openapi.json': {
    get: operation(
      'openapi',
      'This document',
      [],
      { 200: { description: 'OpenAPI 3.1.', content: { 'application/json': { schema: { type: 'object' } } } } },
      [400],
    ),
  },
}

function operation(
  operationId: string,
  summary: string,
  parameters: readonly Schema[],
  answers: Readonly<Record<number, object>>,
  refused: readonly number[],
  more: Schema = {},
): Schema {
  return {
    operationId,
    summary,
    parameters,
    ...more,
    responses: {
      ...answers,
      ...Object.fromEntries(refused.map((status) => [status, refusal(status)])),
      default: { $ref: '#/components/responses/Refused' },
    },
  }
}

function refusal(status: number): object {
  const error = { $ref: '#/components/schemas/Error' }
  const schema = status === 409 ? { anyOf: [{ $ref: '#/components/schemas/WrongExpectedRevision' }, error] } : error
  return {
    description: refusals[status] ?? '',
    ...(status === 503 && { headers: { 'Retry-After': { description: 'Seconds.', schema: { type: 'integer' } } } }),
    content: { 'application/json': { schema } },
  }
}

function json(description: string, schema: string): object {
  return { description, content: { 'application/json': { schema: { $ref: `#/components/schemas/${schema}` } } } }
}

function parameter(place: 'path' | 'query' | 'header', name: string, description: string, schema: Schema): Schema {
  return { name, in: place, required: place === 'path', description, schema }
}

function integer(minimum: number): Schema {
  return { type: 'integer', minimum, maximum: Number.MAX_SAFE_INTEGER }
}
