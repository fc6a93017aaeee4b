/** What requests and answers look like, as JSON Schema 2020-12: `components.schemas` of the document. */
const revision = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'Place in its stream, from 0.' }
const position = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'Place among all events, from 1, dense.' }
const slot = { type: 'integer', minimum: 0 }
const orNull = (schema: { readonly type: string }): object => ({ ...schema, type: [schema.type, 'null'] })

/** All keys are always there, and no others. */
function exactly(properties: Readonly<Record<string, object>>, description?: string): object {
  return {
    type: 'object',
    ...(description !== undefined && { description }),
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
  }
}

function errorWith(code: string, details: Readonly<Record<string, object>>): object {
  return {
    allOf: [{ $ref: '#/components/schemas/Error' }],
    type: 'object',
    properties: { code: { const: code }, ...details },
    required: Object.keys(details),
  }
}

export const errorCodes = [
  'busy',
  'event_id_conflict',
  'idempotency_key_reused',
  'internal',
  'invalid_argument',
  'method_not_allowed',
  'not_found',
  'origin_not_allowed',
  'stream_not_found',
  'too_large',
  'unavailable',
  'wrong_expected_revision',
] as const

const nodeState = {
  type: 'string',
  enum: ['starting', 'serving', 'catchingUp', 'unavailable', 'wiped', 'foreign', 'stopping', 'stopped'],
}

export const schemas: Readonly<Record<string, object>> = {
  ProposedEvent: {
    type: 'object',
    properties: {
      id: { type: 'string', format: 'uuid', description: 'The same ids in the same order make the same append. Drawn when absent.' },
      type: { type: 'string', minLength: 1 },
      data: { description: 'Any JSON, null too; kept byte for byte.' },
      metadata: { description: 'Any JSON; null is the same as absent.' },
      tags: { type: 'array', items: { type: 'string' } },
    },
    required: ['type', 'data'],
    additionalProperties: false,
  },
  RecordedEvent: exactly({
    stream: { type: 'string' },
    revision,
    position,
    id: { type: 'string', format: 'uuid' },
    type: { type: 'string' },
    data: { description: 'Any JSON.' },
    metadata: { description: 'Any JSON; null when there is none.' },
    tags: { type: 'array', items: { type: 'string' } },
    recordedAt: { type: 'string', format: 'date-time', description: 'By the clock of the node that took the append. It informs.' },
  }),
  Appended: exactly({ revision, position }, 'Of the last event of the request.'),
  Page: exactly({ events: { type: 'array', items: { $ref: '#/components/schemas/RecordedEvent' } } }, 'Only an empty page is the end.'),
  Error: {
    type: 'object',
    properties: {
      code: { type: 'string', enum: errorCodes, description: 'Stable.' },
      message: { type: 'string', description: 'For people: what is wrong, and what to do.' },
    },
    required: ['code', 'message'],
  },
  WrongExpectedRevision: errorWith('wrong_expected_revision', {
    stream: { type: 'string' },
    expected: { oneOf: [{ type: 'string', enum: ['any', 'noStream', 'streamExists'] }, revision] },
    actual: { oneOf: [{ const: 'noStream' }, revision], description: 'The last revision of the stream.' },
  }),
  Node: {
    type: 'object',
    properties: {
      cluster: { type: 'string' },
      id: { type: 'string' },
      pid: { type: 'integer' },
      state: nodeState,
      why: { type: 'string', description: 'Why it is not serving.' },
      decidedSlot: slot,
      appliedSlot: slot,
      position,
    },
    required: ['cluster', 'id', 'pid', 'state', 'decidedSlot', 'appliedSlot', 'position'],
    additionalProperties: false,
  },
  Cluster: exactly({
    cluster: { type: 'string' },
    id: { type: 'string', description: 'The node that answers.' },
    role: { type: 'string', enum: ['leader', 'follower', 'replica'] },
    leader: { type: ['string', 'null'], description: 'Null when none is known, and where the protocol has none.' },
    protocol: { type: 'string' },
    mode: { type: 'string' },
    transport: { type: 'string' },
    epoch: { type: 'integer', minimum: 0 },
    nodes: {
      type: 'array',
      items: exactly({
        id: { type: 'string' },
        url: { type: 'string', format: 'uri' },
        pid: { type: ['integer', 'null'] },
        state: { type: 'string', enum: [...nodeState.enum, 'unreachable'] },
        decidedSlot: orNull(slot),
        appliedSlot: orNull(slot),
        position: orNull(position),
      }),
    },
  }),
  Live: exactly({ id: { type: 'string' }, live: { const: true } }),
  Ready: exactly({ id: { type: 'string' }, ready: { const: true } }),
}
