/** What requests and answers look like, as JSON Schema 2020-12: `components.schemas` of the document. */
import { groupSchemas } from './group-schemas.ts'
import { exactly } from './exactly.ts'
import { position, revision } from './numbers.ts'
import { streamSchemas } from './stream-schemas.ts'

const slot = { type: 'integer', minimum: 0 }
const orNull = (schema: { readonly type: string }): object => ({ ...schema, type: [schema.type, 'null'] })

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
  'condition_failed',
  'condition_too_broad',
  'event_id_conflict',
  'group_exists',
  'group_not_found',
  'idempotency_key_reused',
  'internal',
  'invalid_argument',
  'method_not_allowed',
  'not_found',
  'origin_not_allowed',
  'stream_not_found',
  'stream_tombstoned',
  'too_large',
  'unavailable',
  'wrong_expected_revision',
] as const

const expected = { oneOf: [{ type: 'string', enum: ['any', 'noStream', 'streamExists'] }, revision] }
const actual = { oneOf: [{ const: 'noStream' }, revision], description: 'The last revision of the stream.' }
const texts = { type: 'array', items: { type: 'string' } }

const nodeState = {
  type: 'string',
  enum: ['starting', 'serving', 'catchingUp', 'unavailable', 'wiped', 'foreign', 'stopping', 'stopped'],
}

export const schemas: Readonly<Record<string, object>> = {
  ...streamSchemas,
  ...groupSchemas,
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
  QueryItem: {
    type: 'object',
    description: 'An event matches when its type is one of the types and it has all of the tags; what is absent or empty asks for nothing.',
    properties: { types: texts, tags: texts },
    additionalProperties: false,
  },
  AtomicAppend: {
    type: 'object',
    description: 'Each stream once, in writes and checks together.',
    properties: {
      writes: {
        type: 'array',
        minItems: 1,
        items: {
          type: 'object',
          properties: {
            stream: { type: 'string', minLength: 1 },
            expected: { ...expected, default: 'any' },
            events: { type: 'array', minItems: 1, maxItems: 4096, items: { $ref: '#/components/schemas/ProposedEvent' } },
          },
          required: ['stream', 'events'],
          additionalProperties: false,
        },
      },
      checks: { type: 'array', items: exactly({ stream: { type: 'string', minLength: 1 }, expected }) },
      condition: {
        type: 'object',
        properties: {
          failIfEventsMatch: exactly(
            { items: { type: 'array', minItems: 1, items: { $ref: '#/components/schemas/QueryItem' } } },
            'An event matches when it matches one of the items.',
          ),
          after: { ...position, description: 'Events at or below this position do not count; absent: all count.' },
        },
        required: ['failIfEventsMatch'],
        additionalProperties: false,
      },
    },
    required: ['writes'],
    additionalProperties: false,
  },
  AtomicallyAppended: exactly(
    { position, streams: { type: 'array', items: exactly({ stream: { type: 'string' }, revision }) } },
    'The position is that of the last event, a revision that of the stream’s last; streams are in the order of the writes.',
  ),
  FilteredPage: exactly(
    {
      events: { type: 'array', items: { $ref: '#/components/schemas/RecordedEvent' } },
      considered: { ...position, description: 'Every event at or below (backward: at or above) was considered.' },
      isEnd: { type: 'boolean', description: 'Nothing more in this direction, as of the read.' },
    },
    'Only an empty page is the end.',
  ),
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
    expected,
    actual,
  }),
  Violated: {
    allOf: [{ $ref: '#/components/schemas/Error' }],
    type: 'object',
    properties: {
      code: { enum: ['wrong_expected_revision', 'condition_failed'] },
      violations: {
        type: 'array',
        minItems: 1,
        description: 'All that was violated, of an append to several streams.',
        items: {
          oneOf: [
            exactly({ kind: { const: 'revision' }, stream: { type: 'string' }, expected, actual }),
            exactly({ kind: { const: 'condition' }, position }, 'The newest event that matches.'),
          ],
        },
      },
    },
    required: ['violations'],
  },
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
