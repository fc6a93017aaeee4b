/** Of consumer groups. */
import { exactly } from './exactly.ts'
import { position } from './numbers.ts'

const count = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER }
const some = { ...count, minimum: 1 }
const texts = { type: 'array', items: { type: 'string', minLength: 1 } }
const why = { type: 'string', description: 'Why it does not move; absent when it does, or has nothing to do.' }

const definition = {
  filter: {
    type: 'object',
    description: 'All parts that are given must hold. Absent: all events.',
    properties: { items: { type: 'array', items: { $ref: '#/components/schemas/QueryItem' } }, prefixes: texts, categories: texts },
    additionalProperties: false,
  },
  from: { oneOf: [{ const: 'end' }, position], description: 'Inclusive. Absent: the beginning.' },
  partitionBy: {
    oneOf: [{ const: 'stream' }, exactly({ tagPrefix: { type: 'string', minLength: 1 } })],
    description: 'Events with the same key come in order.',
  },
  partitions: { ...some, description: 'Fixed for the group’s life.' },
  ackDeadlineMs: { ...some, description: 'Milliseconds until an event that nobody settles is delivered again.' },
  attemptsMax: { ...some, description: 'Deliveries of one event; after the last it is parked.' },
  parkedMax: { ...some, description: 'At it the partitions with something to park stop.' },
}

const partition = {
  type: 'object',
  properties: {
    partition: count,
    settled: { ...position, description: 'Everything of the partition at or below is settled.' },
    consumer: { type: 'string' },
    inFlight: count,
    parked: count,
    oldest: exactly({ position, attempts: count }, 'The oldest event that is not settled, where this node knows of one.'),
    why,
  },
  required: ['partition', 'settled', 'inFlight', 'parked'],
  additionalProperties: false,
}

const summary = {
  group: { type: 'string' },
  definition: exactly(definition),
  generation: count,
  consumers: { type: 'array', items: exactly({ consumer: { type: 'string' }, node: { type: 'string' }, partitions: count }) },
  settled: { ...position, description: 'Everything at or below is settled, in every partition.' },
  lag: { ...count, description: 'The head less `settled`: positions, matching or not.' },
  parked: count,
}
const required = Object.keys(summary)

export const groupSchemas: Readonly<Record<string, object>> = {
  GroupDefinition: { type: 'object', properties: definition, additionalProperties: false },
  GroupStatus: {
    type: 'object',
    properties: { ...summary, why, partitions: { type: 'array', items: partition } },
    required: [...required, 'partitions'],
    additionalProperties: false,
  },
  Groups: exactly({
    groups: { type: 'array', items: { type: 'object', properties: { ...summary, why }, required, additionalProperties: false } },
  }),
  Parked: exactly({
    parked: {
      type: 'array',
      items: exactly({
        event: { $ref: '#/components/schemas/RecordedEvent' },
        partition: count,
        attempts: count,
        reason: { type: 'string', description: '`follows`: an event of its key was parked before it.' },
      }),
    },
  }),
  Replay: {
    type: 'object',
    description: 'Absent positions: all.',
    properties: { positions: { type: 'array', items: { ...position, minimum: 1 } } },
    additionalProperties: false,
  },
  Replayed: exactly({ replayed: count }),
}
