/** `paths` of the document: every route, its parameters, and every status that it answers with. */
import { groupPaths } from './group-operations.ts'
import { body, json, operation, type Schema } from './operation.ts'
import {
  atLeast,
  consistency,
  direction,
  expected,
  filters,
  fromPosition,
  fromRevision,
  idempotencyKey,
  lastEventId,
  limit,
  stream,
} from './parameters.ts'
import { deleteStream, streamPaths } from './stream-operations.ts'

const reading = [400, 503]
const page = json('A page of events.', 'Page')
const pageOrFiltered = {
  description: 'A page of events; of a filtered read it has `considered` and `isEnd` too.',
  content: {
    'application/json': { schema: { oneOf: [{ $ref: '#/components/schemas/Page' }, { $ref: '#/components/schemas/FilteredPage' }] } },
  },
}
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
      [400, 403, 408, 409, 410, 413, 415, 503],
      body({ type: 'array', minItems: 1, maxItems: 4096, items: { $ref: '#/components/schemas/ProposedEvent' } }),
    ),
    get: operation(
      'readStream',
      'Reads a stream',
      [stream, fromRevision, direction, limit, consistency, atLeast],
      { 200: page },
      [400, 404, 410, 413, 503],
    ),
    delete: deleteStream,
  },
  '/append': {
    post: operation(
      'appendAtomically',
      'Appends to several streams, all or nothing, with checks on others and a condition',
      [idempotencyKey],
      { 201: json('Appended.', 'AtomicallyAppended') },
      [400, 403, 408, 409, 410, 413, 415, 503],
      body({ $ref: '#/components/schemas/AtomicAppend' }),
    ),
  },
  ...streamPaths,
  ...groupPaths,
  '/events': {
    get: operation(
      'readAll',
      'Reads all events in their order, or those that pass a filter; the answer then says how far the node looked',
      [fromPosition, direction, limit, consistency, atLeast, ...filters],
      { 200: pageOrFiltered },
      [400, 413, 503],
    ),
  },
  '/streams/{stream}/subscription': {
    get: operation('subscribeToStream', 'Follows a stream', [stream, fromRevision, lastEventId], { 200: messages }, [400, 410, 413, 503]),
  },
  '/events/subscription': {
    get: operation(
      'subscribeToAll',
      'Follows all events, or those that pass a filter',
      [fromPosition, lastEventId, ...filters],
      { 200: messages },
      [400, 413, 503],
    ),
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
