/** Consumer groups; they are consumed over a client's connection. */
import { body, integer, json, operation, parameter, type Schema } from './operation.ts'
import { group } from './parameters.ts'

const status = { 200: json('The group.', 'GroupStatus') }
const after = parameter('query', 'after', 'A position: those above it.', integer(0))
const limit = parameter('query', 'limit', 'Events at most.', { type: 'integer', minimum: 1, maximum: 256, default: 64 })

export const groupPaths: Readonly<Record<string, Readonly<Record<string, Schema>>>> = {
  '/groups': {
    get: operation('listGroups', 'All groups, without their partitions', [], { 200: json('The groups.', 'Groups') }, [400, 503]),
  },
  '/groups/{group}': {
    get: operation('describeGroup', 'How far it is, and why it does not move', [group], status, [400, 404, 503]),
    put: operation(
      'putGroup',
      'Makes a group, or changes its deadline, attempts and bound of parked events',
      [group],
      status,
      [400, 403, 408, 409, 413, 415, 503],
      body({ $ref: '#/components/schemas/GroupDefinition' }, false),
    ),
    delete: operation(
      'deleteGroup',
      'Ends a group and forgets how far it was',
      [group],
      { 204: { description: 'It is gone.' } },
      [400, 403, 404, 503],
    ),
  },
  '/groups/{group}/parked': {
    get: operation(
      'readParked',
      'The events that a group has set aside, by position',
      [group, after, limit],
      { 200: json('A page of them; only an empty page is the end.', 'Parked') },
      [400, 404, 503],
    ),
  },
  '/groups/{group}/replay': {
    post: operation(
      'replayParked',
      'Delivers parked events again',
      [group],
      { 200: json('How many.', 'Replayed') },
      [400, 403, 404, 408, 413, 415, 503],
      body({ $ref: '#/components/schemas/Replay' }, false),
    ),
  },
}
